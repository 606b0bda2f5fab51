"""Sessions of a notebook: made, used, listed, ended; variables in and out; cells in the background."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest

from kernel_exec.magics.arguments import HELP
from tests.executor.looks import runs, wait_until
from tests.magics.conftest import Notebook


def test_variables_in_and_out(nb: Notebook) -> None:
    nb.ok(
        "import pandas as pd, numpy as np\nframe = pd.DataFrame({'a': [1, 2]}); array = np.arange(3); word = {'k': [1]}"
    )
    nb.ok(
        "%%kx lab -i frame,array -i word -o doubled,total -o word2\n"
        "doubled = frame * 2\ntotal = array.sum()\nword2 = word"
    )
    assert (
        nb.ok("doubled.a.tolist(), int(total), word2, type(doubled).__name__").value
        == "([2, 4], 3, {'k': [1]}, 'DataFrame')"
    )


def test_state_is_kept_and_apart(nb: Notebook) -> None:
    nb.ok("%%kx one\nwhose = 'one'")
    nb.ok("%%kx two\nwhose = 'two'")
    assert nb.ok("%%kx one\nwhose").value == "'one'"
    assert nb.run("whose").error["ename"] == "NameError"
    listed = nb.ok("%kx list").text
    assert "one" in listed
    assert "idle" in listed
    assert nb.ok("%kx stop one").text == "one: ended\n"
    assert " one " not in nb.ok("%kx list").text
    nb.ok("%kx stop two")


def test_the_default(fresh: Notebook) -> None:
    assert "no sessions" in fresh.ok("%kx list").text
    fresh.ok("%%kx\nx = 1")
    fresh.ok("%%kx b\nx = 2")
    assert fresh.ok("%%kx\nx").value == "1"
    fresh.ok("%kx use b")
    assert fresh.ok("%%kx\nx").value == "2"
    assert [line[:6].strip() for line in fresh.ok("%kx list").text.splitlines()] == ["main", "* b"]
    fresh.ok("%kx stop b")
    assert fresh.ok("%%kx\nx").value == "1"
    fresh.ok("%kx stop --all")
    assert "no sessions" in fresh.ok("%kx list").text


def test_a_session_as_asked_for(nb: Notebook, tmp_path: Path) -> None:
    work, notebook = tmp_path / "work", tmp_path / "kept.ipynb"
    told = nb.ok(f"%kx start made --timeout 1 --memory 1g --workdir {work} --notebook {notebook}").text
    assert told == f"made: python3 on this machine, in {work}\n"
    assert nb.ok("%%kx made\nimport os; os.getcwd()").value == repr(str(work))
    ran = nb.run("%%kx made\nwhile True: pass")
    assert ran.error["ename"] == "ExecutionTimeout"
    assert "KeyboardInterrupt" in "".join(ran.error["traceback"])
    nb.ok("%%kx made --timeout 50\nimport time; time.sleep(1.3)")
    nb.ok("%kx stop made")
    cells = nbformat.read(notebook, as_version=4).cells
    assert [cell.source.splitlines()[0] for cell in cells][:2] == ["import os; os.getcwd()", "while True: pass"]


def test_in_the_background(nb: Notebook) -> None:
    first = nb.ok("%%kx lab --bg -o n\nimport time\nprint('first'); time.sleep(0.7); n = 1; n")
    assert first.seconds < 5
    nb.ok("%%kx lab --bg -o n\nprint('second'); n = 2; 1 / 0")
    nb.ok("%%kx other --bg\n'at the same time'")
    assert "2 in the background" in nb.ok("%kx list").text
    assert nb.ok("%%kx other\n'beside'").value == "'beside'"
    assert nb.ok("%kx result other").value == "'at the same time'"
    assert nb.ok("%%kx lab\nn").value == "2"  # a cell that is waited for has its turn behind them
    shown = nb.ok("%kx result lab")
    assert (shown.text, shown.value) == ("first\n", "1")
    assert nb.ok("n").value == "1"  # as it was when the cell ended
    ran = nb.run("%kx result lab")
    assert (ran.text, ran.error["ename"]) == ("second\n", "ZeroDivisionError")
    assert "nothing runs in the background" in nb.run("%kx result lab").error["evalue"]
    nb.ok("%kx stop other")


def test_in_the_background_variables_are_as_they_were_when_it_was_called(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    nb.ok(f"%%kx lab --bg\nopen({str(gate)!r}).close()")
    nb.ok("mine = [1]")
    nb.ok("%%kx lab --bg -i mine\nmine")
    nb.ok("mine.append(2)")
    gate.write_text("")
    nb.ok("%kx result lab")
    assert nb.ok("%kx result lab").value == "[1]"
    nb.ok("import threading; mine = threading.Lock()")
    assert "-i mine: it cannot be copied" in nb.run("%%kx lab --bg -i mine\n1").error["evalue"]


def test_results_that_nobody_has_seen_are_bounded(fresh: Notebook) -> None:
    fresh.ok("import kernel_exec.magics.kx\nkernel_exec.magics.kx.MANY_JOBS = 2")
    for number in range(2):
        fresh.ok(f"%%kx --bg\n{number}")
    assert "2 results wait" in fresh.run("%%kx --bg\n'too many'").error["evalue"]
    assert fresh.ok("%kx result").value == "0"
    fresh.ok("%%kx --bg\n2")


def test_interrupted_and_restarted_from_the_notebook(nb: Notebook, tmp_path: Path) -> None:
    nb.ok("%%kx lab\nkept = 1")
    begun = tmp_path / "begun"
    nb.ok(f"%%kx lab --bg\nopen({str(begun)!r}, 'w').close()\nwhile True: pass")
    assert wait_until(begun.exists)
    nb.ok("%kx interrupt lab")
    assert nb.run("%kx result lab").error["ename"] == "KeyboardInterrupt"
    assert nb.ok("%%kx lab\nkept").value == "1"
    nb.ok("%%kx lab --bg\nwhile True: pass")
    nb.ok("%%kx lab --bg\n'never'")
    assert "all variables are lost" in nb.ok("%kx restart lab").text
    assert nb.run("%kx result lab").error["ename"] == "ExecutionInterrupted"
    assert "never ran" in nb.run("%kx result lab").error["evalue"]
    assert nb.ok("%%kx lab\n'kept' in globals()").value == "False"


def test_after_its_kernel_died(nb: Notebook) -> None:
    nb.ok("%%kx lab\nx = 1")
    ran = nb.run("%%kx lab\nprint('last words'); import os; os._exit(3)")
    assert ran.text == "last words\n"
    assert ran.error["ename"] == "KernelDiedError"
    assert "fresh kernel" in ran.error["evalue"]
    assert nb.ok("%%kx lab\n'x' in globals()").value == "False"
    pid = int(nb.ok("%%kx lab\nimport os; os.getpid()").value)
    nb.ok(f"import os; os.kill({pid}, 9)")
    assert wait_until(lambda: not runs(pid))
    ran = nb.run("%%kx lab\n'does not run'")
    assert ran.error["ename"] == "KernelDiedError"
    assert "was not run" in ran.error["evalue"]
    assert nb.ok("%%kx lab\n'runs'").value == "'runs'"


def test_in_functions_loops_and_coroutines(nb: Notebook) -> None:
    ran = nb.ok(
        "def each(n):\n    get_ipython().run_cell_magic('kx', 'lab', f'print({n})')\n"
        "async def later():\n    each(2)\nfor n in range(2): each(n)\nawait later()\nprint('end')"
    )
    assert ran.text == "0\n1\n2\nend\n"
    ran = nb.run("def f():\n    get_ipython().run_cell_magic('kx', 'lab', '1 / 0')\nf(); print('not reached')")
    assert (ran.text, ran.error["ename"]) == ("", "ZeroDivisionError")


def test_threads_that_name_a_new_session_at_once_share_it(fresh: Notebook) -> None:
    ran = fresh.ok(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def each(n):\n    get_ipython().run_cell_magic('kx', f'both -o pid{n}', f'import os; pid{n} = os.getpid()')\n"
        "with ThreadPoolExecutor(2) as pool: list(pool.map(each, range(2)))\npid0 == pid1"
    )
    assert ran.value == "True"


@pytest.mark.long
def test_unloaded_and_loaded_again(fresh: Notebook) -> None:
    pid = int(fresh.ok("%%kx\nimport os; os.getpid()").value)
    fresh.ok("%%kx --bg\nwhile True: pass")
    fresh.ok("%unload_ext kernel_exec.magics")
    assert not runs(pid)
    assert list(fresh.temporary.glob("kernel-exec-*")) == []
    assert fresh.run("%%kx\n1").status == "error"
    assert "start" not in fresh.complete("%kx st")["matches"]
    fresh.load()
    assert fresh.ok("%%kx\n'os' in globals()").value == "False"
    pid = int(fresh.ok("%%kx\nimport os; os.getpid()").value)
    fresh.ok("%reload_ext kernel_exec.magics")
    assert not runs(pid)
    assert fresh.ok("%%kx\n6 * 7").value == "42"


@pytest.mark.long
def test_saved_and_replayed(nb: Notebook, tmp_path: Path) -> None:
    nb.ok("import pandas as pd\nframe = pd.DataFrame({'a': range(1000)})")
    nb.ok("%kx start origin")
    nb.ok("%%kx origin -i frame\ntotal = int(frame.a.sum()); total")
    saved = tmp_path / "saved" / "copy.ipynb"
    saved.parent.mkdir()
    assert "copy.ipynb" in nb.ok(f"%kx save {saved} origin").text
    nb.ok(f"%kx save {saved} origin")  # a recording may be saved again
    nb.ok("%kx stop origin")
    nbformat.validate(nbformat.read(saved, as_version=4))
    before = saved.read_bytes()
    ran = nb.ok(f"%kx replay {saved} again")
    assert ran.of("update_display_data")[-1]["data"]["text/plain"] == "copy.ipynb: 2 cells ran"
    assert nb.ok("%%kx again\ntotal").value == "499500"
    assert saved.read_bytes() == before
    nb.ok("%kx stop again")
    nb.ok("%%kx here\nx = 1")
    cells = nbformat.read(saved.with_name("copy.replay.ipynb"), as_version=4).cells
    assert cells[-1].source == "total"
    other = tmp_path / "other.ipynb"
    cell = {"cell_type": "markdown", "id": "a", "source": "mine", "metadata": {"kernel_exec": {}}}
    other.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert "no recording" in nb.run(f"%kx save {other} here").error["evalue"]
    nb.ok("%kx stop here")


def test_replay_stops_at_a_failure(nb: Notebook, tmp_path: Path) -> None:
    new = nbformat.v4.new_code_cell
    cells = [new("a = 1"), new("print('then'); a / 0"), new("b = 1")]
    notebook = tmp_path / "fails.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    nb.ok("%%kx lab\nmine = 5")
    ran = nb.run(f"%kx replay {notebook} lab")
    assert (ran.error["ename"], ran.text) == ("ZeroDivisionError", "then\n")
    told = ran.of("update_display_data")[-1]["data"]["text/plain"]
    assert told == "fails.ipynb: 2 cells ran, cell 1 failed, 1 did not run"
    assert nb.ok("%%kx lab\na, mine, 'b' in globals()").value == "(1, 5, False)"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("%%kx lab --frob\n1", "unrecognized arguments: --frob"),
        ("%%kx lab --timeout soon\n1", "invalid float value: 'soon'"),
        ("%%kx lab --timeout -1\n1", "timeout"),
        ("%%kx lab two\n1", "unrecognized arguments: two"),
        ("%%kx lab\n\n  \n", "the cell is empty"),
        ("%%kx 1st\n1", "no name for a session"),
        ("%%kx lab -i nowhere\n1", "no variable of that name"),
        ("%%kx lab -i a-b\n1", "takes names of variables"),
        ("%%kx lab -i print\n1", "no variable of that name"),
        ("%%kx lab -o nowhere\n1", "nowhere"),
        ("%%kx lab 'x\n1", "no closing quotation"),
        ("%kx frob", "invalid choice: 'frob'"),
        ("%kx start", "NAME"),
        ("%kx start --docker box", "NAME stands before --docker"),
        ("%kx start lab", "a session 'lab' already"),
        ("%kx start new --kernel nowhere", "nowhere"),
        ("%kx start new --memory much", "memory"),
        ("%kx start new --network none", "--network needs --docker"),
        ("%kx start new --docker --kernel python3", "do not go together"),
        ("%kx stop nobody", "no session 'nobody'; there are: "),
        ("%kx use nobody", "no session 'nobody'"),
        ("%kx result nobody", "no session 'nobody'"),
        ("%kx save /nowhere/x.ipynb lab", "/nowhere"),
        ("%kx replay /nowhere.ipynb lab", "/nowhere.ipynb"),
    ],
)
def test_what_cannot_be(nb: Notebook, code: str, told: str) -> None:
    nb.ok("%%kx lab\nx = 1")
    error = nb.run(code).error
    assert error["ename"] == "UsageError"
    assert told in error["evalue"]
    assert len(error["traceback"]) == 1
    assert len(error["evalue"]) < 300


def test_a_value_that_cannot_go(nb: Notebook) -> None:
    nb.ok("%%kx lab\nx = 1")
    nb.ok("mine = object()")
    assert nb.run("%%kx lab -i mine\n1").error["ename"] == "UsageError"
    ran = nb.run("%%kx lab -o theirs\nprint('ran'); theirs = object()")
    assert (ran.text, ran.error["ename"]) == ("ran\n", "UsageError")
    ran = nb.run("%%kx lab -o nowhere,fine\nfine = 1")
    assert "'nowhere'" in ran.error["evalue"]
    assert nb.ok("fine").value == "1"


def test_a_value_that_cannot_go_takes_no_output_with_it(nb: Notebook) -> None:
    nb.ok("%%kx lab --bg -o nowhere,fine\nfine = 2; print('ran'); 'the value'")
    ran = nb.run("%kx result lab")
    assert (ran.text, ran.value) == ("ran\n", "'the value'")
    assert "'nowhere'" in ran.error["evalue"]
    assert nb.ok("fine").value == "2"


def test_help_fits_a_screen(nb: Notebook) -> None:
    assert len(HELP.splitlines()) <= 24
    assert max(map(len, HELP.splitlines())) <= 80
    assert nb.ok("%kx help").text == nb.ok("%kx").text == HELP
    nb.client.inspect("%kx")
    assert "%%kx [NAME]" in str(nb.client.get_shell_msg(timeout=60)["content"]["data"])


def test_no_engine(fresh: Notebook) -> None:
    fresh.ok("import os; os.environ['DOCKER_HOST'] = 'unix:///nowhere.sock'")
    assert fresh.run("%kx start box --docker").error["ename"] == "UsageError"
    assert "no sessions" in fresh.ok("%kx list").text

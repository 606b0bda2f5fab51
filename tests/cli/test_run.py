"""`kernel-exec run` as people and programs meet it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernel_exec.cli import values as status
from tests.cli.conftest import COMMAND, PATIENCE, Runs, Terminal

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"


def a_notebook(*cells: Any, **metadata: Any) -> str:
    notebook = nbformat.v4.new_notebook(cells=list(cells), metadata=metadata)
    return nbformat.writes(notebook)


def code(source: str, *tags: str) -> Any:
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def test_a_script_runs_cell_by_cell_in_one_kernel(run: Runs) -> None:
    done = run.code("# %% [markdown]\n# # Title\n# %%\nx = 20\n# %% Add\nprint('sum:', x + 1)\nx + 2\n")
    assert (done.returncode, done.stdout) == (status.OK, "sum: 21\n22\n")
    cells = [("markdown", "# Title"), ("code", "x = 20"), ("code", "print('sum:', x + 1)\nx + 2")]
    assert run.sources() == cells
    assert "recorded in" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_each_stream_goes_where_it_belongs(run: Runs) -> None:
    done = run.code("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert done.stdout == "out\n"
    assert "err\n" in done.stderr
    assert "out" not in done.stderr.replace("recorded in", "")


@pytest.mark.long
def test_the_work_directory_is_this_one_or_another(run: Runs) -> None:
    (run.directory / "other").mkdir()
    (run.directory / "data.txt").write_text("here")
    (run.directory / "other" / "data.txt").write_text("there")
    script = run.script("print(open('data.txt').read())")
    assert run(script).stdout == "here\n"
    assert run(script, "--workdir", "other", "--notebook", "record of it.ipynb").stdout == "there\n"
    assert run.sources("record of it.ipynb")


def test_the_code_of_a_notebook_runs(run: Runs) -> None:
    attached = nbformat.v4.new_markdown_cell("![](a.png)", attachments={"a.png": {"image/png": "aGk="}})
    cells = [attached, nbformat.v4.new_raw_cell("raw"), code("6 * 7", "answer"), code("")]
    script = run.script(a_notebook(*cells, kernelspec={"name": "python3", "display_name": "Python 3"}), "in.ipynb")
    done = run(script, "--notebook", "out.ipynb")
    assert (done.returncode, done.stdout) == (status.OK, "42\n")
    text, raw, recorded = run.recorded("out.ipynb").cells
    assert (text.source, text.attachments) == (attached.source, attached.attachments)
    assert (raw.cell_type, raw.source) == ("raw", "raw")
    assert recorded.outputs[0].data["text/plain"] == "42"


@pytest.mark.long
def test_text_with_metadata_that_the_format_forbids_is_carried_without(run: Runs) -> None:
    strange = nbformat.v4.new_markdown_cell("the text")
    strange.metadata["tags"] = [3]
    done = run(run.script(json.dumps({**nbformat.v4.new_notebook(), "cells": [strange, code("1")]}), "in.ipynb"))
    assert done.returncode == status.OK, done.stderr
    assert run.sources() == [("markdown", "the text"), ("code", "1")]


@pytest.mark.parametrize("text", ["print(1)\n# %%\nprint(2)\n", a_notebook(code("print(1)"), code("print(2)"))])
def test_standard_input_may_be_a_script_or_a_notebook(run: Runs, text: str) -> None:
    done = run("-", stdin=text)
    assert (done.returncode, done.stdout) == (status.OK, "1\n2\n")


def test_parameters(run: Runs) -> None:
    script = run.script('# %% tags=["parameters"]\na, b = 1, "b"\n# %%\nprint(a, b, c)')
    done = run(script, "--param", "a=[1, true]", "-p", "b=text", "-p", "c=None")
    assert (done.returncode, done.stdout) == (status.OK, "[1, True] text None\n")
    assert run.sources()[1] == ("code", "# Parameters\na = [1, True]\nb = 'text'\nc = None")


def test_an_error_stops_the_run(run: Runs) -> None:
    done = run.code("print('before'); 1/0\n# %%\nprint('after')")
    assert (done.returncode, done.stdout) == (status.ERROR, "before\n")
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert len(run.sources()) == 1


def test_keep_going_goes_on(run: Runs) -> None:
    done = run.code("print('before'); 1/0\n# %%\nprint('after')", "--keep-going")
    assert (done.returncode, done.stdout) == (status.ERROR, "before\nafter\n")


def test_a_cell_that_may_fail_does_not_stop_the_run(run: Runs) -> None:
    done = run.code('# %% tags=["raises-exception"]\n1/0\n# %%\nprint("after")')
    assert (done.returncode, done.stdout) == (status.OK, "after\n")


def test_a_timeout_has_its_own_status(run: Runs) -> None:
    done = run.code("print('begun')\nwhile True: pass\n# %%\nprint('after')", "--timeout", "4")
    assert (done.returncode, done.stdout) == (status.TIMEOUT, "begun\n")  # four seconds: in one it may not have printed
    assert "ExecutionTimeout" in done.stderr
    assert "print('begun')" in run.sources()[0][1]


def test_a_dead_kernel_has_its_own_status(run: Runs) -> None:
    done = run.code("print('begun', flush=True)\nimport os; os._exit(3)")
    assert (done.returncode, done.stdout) == (status.DEAD, "begun\n")
    assert "KernelDiedError" in done.stderr
    assert "exited with status 3" in done.stderr


@pytest.mark.long
def test_after_a_death_keep_going_has_a_fresh_kernel(run: Runs) -> None:
    done = run.code("x = 1; import os; os._exit(3)\n# %%\nprint('x' in globals())", "--keep-going")
    assert (done.returncode, done.stdout) == (status.DEAD, "False\n")


@pytest.mark.long
def test_pictures_are_named(run: Runs) -> None:
    done = run.code(FIGURE)
    assert done.returncode == status.OK
    (path,) = re.findall(r"picture: (.*)", done.stderr)
    assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_json_is_one_document(run: Runs) -> None:
    done = run.code(f"print('ü', end='')\n# %%\n{FIGURE}\n# %%\n1/0\n# %%\n2", "--json")
    assert done.returncode == status.ERROR
    document = json.loads(done.stdout)
    assert (document["status"], document["exit_status"]) == ("error", status.ERROR)
    assert document["notebook"] == str(run.directory / "session.ipynb")
    first, figure, error = document["cells"]
    assert (first["status"], first["stdout"], first["error"]) == ("ok", "ü", None)
    assert figure["images"][0]["mime"] == "image/png"
    assert Path(figure["images"][0]["path"]).exists()
    assert (error["error"]["name"], error["error"]["value"]) == ("ZeroDivisionError", "division by zero")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "FILE"),
        (("missing.py",), "missing.py: it cannot be read: No such file"),
        (("broken.ipynb",), "broken.ipynb: it is no notebook, as it is no JSON: .* line 1"),
        (("list.ipynb",), "list.ipynb: it is JSON, but no notebook"),
        (("latin.py",), "latin.py: it is no text in UTF-8"),
        (("what.txt",), "what.txt: .*cannot be told from its name"),
        ((".",), "it cannot be read|cannot be told"),
        (("r.ipynb", "-p", "a=1"), "--param sets variables in Python, and this is R"),
        (("ok.py", "--timeout", "0"), "above zero"),
        (("ok.py", "--timeout", "soon"), "no number"),
        (("ok.py", "--timeout", "nan"), "above zero"),
        (("ok.py", "--param", "novalue"), "not NAME=VALUE"),
        (("ok.py", "--param", "class=1"), "cannot be the name"),
        (("ok.py", "--param", "a b=1"), "cannot be the name"),
        (("ok.py", "--param", "2x=1"), "cannot be the name"),
        (("ok.py", "--param", "=1"), "cannot be the name"),
        (("ok.py", "--workdir", "ok.py"), "is a file"),
        (("ok.py", "--notebook", "."), "is a directory"),
        (("ok.py", "--wrong"), "unrecognized arguments"),
    ],
)
def test_what_cannot_be_used_is_said_clearly(run: Runs, arguments: tuple[str, ...], said: str) -> None:
    run.script("print(1)", "ok.py")
    run.script("{]", "broken.ipynb")
    run.script("[]", "list.ipynb")
    run.script("", "what.txt")
    run.script(a_notebook(kernelspec={"name": "ir", "display_name": "R", "language": "R"}), "r.ipynb")
    (run.directory / "latin.py").write_bytes(b"# caf\xe9\n")
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (status.USAGE, "")
    assert re.search(said, done.stderr)
    assert "Traceback" not in done.stderr


def test_an_unknown_kernel_is_said_clearly(run: Runs) -> None:
    run.code("1")
    done = run.code("1", "--kernel", "no-such-kernel")
    assert (done.returncode, done.stdout) == (status.CANNOT, "")
    assert "no-such-kernel" in done.stderr
    assert "--kernel takes another" in done.stderr
    assert "recorded in" not in done.stderr  # what is there is of the run before
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_recording_that_cannot_be_written_is_said_clearly(run: Runs) -> None:
    done = run.code("1", "--notebook", "/sys/kernel/a.ipynb")
    assert (done.returncode, done.stdout) == (status.CANNOT, "")
    assert "/sys/kernel/a.ipynb" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_directories_that_are_missing_are_made(run: Runs) -> None:
    assert run.code("import os; print(os.getcwd())", "--workdir", "a/b", "--notebook", "c/d/e.ipynb").stdout == (
        f"{run.directory}/a/b\n"
    )
    assert run.sources("c/d/e.ipynb")


@pytest.mark.long
def test_an_older_notebook_is_kept(run: Runs) -> None:
    run.code("print(1)")
    run.code("print(2)")
    assert [run.sources(name)[0][1] for name in ("session.ipynb", "session-1.ipynb")] == ["print(2)", "print(1)"]


@pytest.mark.long
def test_nobody_is_there_to_type(run: Runs) -> None:
    done = run("-", stdin="print('before')\ninput('name? ')\n# %%\nprint('after')")
    assert (done.returncode, done.stdout) == (status.ERROR, "before\n")
    assert "StdinNotImplementedError" in done.stderr


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_output_that_cannot_be_written_is_said_clearly(run: Runs, option: tuple[str, ...]) -> None:
    script = run.script("print(1)")
    with open("/dev/full", "w") as full:
        command = [*COMMAND, script, *option]
        done = subprocess.run(
            command, cwd=run.directory, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
        )
    assert done.returncode == status.CANNOT
    assert done.stderr == "kernel-exec: the output cannot be written: [Errno 28] No space left on device\n"
    assert run.sources() == [("code", "print(1)")]


@pytest.mark.long
def test_standard_streams_may_be_closed(run: Runs) -> None:
    command = shlex.join([*COMMAND, run.script("print(1)")])
    done = subprocess.run(f"{command} <&- >&- 2>&-", shell=True, cwd=run.directory, timeout=PATIENCE, check=False)
    assert done.returncode == status.OK
    assert run.recorded().cells[0].outputs[0].text == "1\n"


@pytest.mark.long
def test_text_that_the_encoding_lacks_is_escaped(run: Runs) -> None:
    command = ["env", "PYTHONIOENCODING=ascii", *COMMAND, run.script("print('\u00fc')")]
    done = subprocess.run(command, cwd=run.directory, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (status.OK, b"\\xfc\n")


def test_help_documents_the_exit_status(run: Runs) -> None:
    done = run("--help")
    assert done.returncode == status.OK
    for number in (status.OK, status.ERROR, status.USAGE, status.CANNOT, status.TIMEOUT, status.DEAD):
        assert re.search(rf"^ +{number}  ", done.stdout, re.MULTILINE)
    for option in ("--param", "--timeout", "--notebook", "--workdir", "--kernel", "--json", "--keep-going"):
        assert option in done.stdout


@pytest.mark.long
def test_an_empty_script_is_an_empty_recording(run: Runs) -> None:
    assert run.code("\n\n").returncode == status.OK
    assert run.sources() == []


def test_output_streams_live(run: Runs) -> None:
    # The cell waits for a file that is made only once its first line has been seen here.
    wait = (
        "import os, time\nprint('first', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('last')"
    )
    with run.start(run.script(wait)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"
        (run.directory / "go").touch()
        assert process.stdout.read() == "last\n"
        assert process.wait(PATIENCE) == status.OK


@pytest.mark.parametrize("json_too", [False, True])
def test_ctrl_c_interrupts_the_cell_and_finishes_the_recording(run: Runs, json_too: bool) -> None:
    script = run.script("print('done')\n# %%\nprint('begun', flush=True)\nopen('begun', 'w').close()\nwhile True: pass")
    os.mkfifo(run.directory / "begun")
    with Terminal(run.directory, [script, *(["--json"] if json_too else [])]) as terminal:
        (run.directory / "begun").read_bytes()  # returns when the cell has written it
        terminal.type("\x03")
        assert terminal.end() == status.INTERRUPTED
    if json_too:
        document = json.loads(terminal.text[terminal.text.index("{") :])
        assert [cell["status"] for cell in document["cells"]] == ["ok", "interrupted"]
    assert "Traceback (most recent call last):\r\n  File" not in terminal.text
    first, second = run.recorded().cells
    assert first.outputs[0].text == "done\n"
    assert second.outputs[0].text == "begun\n"
    assert second.metadata.kernel_exec.status == "interrupted"
    assert second.outputs[-1].ename == "ExecutionInterrupted"


@pytest.mark.long
def test_a_terminal_shows_what_runs(run: Runs) -> None:
    script = run.script("# %% Load\nprint('hello')\n# %%\nimport time; time.sleep(3); 5\n# %%\n1/0")
    with Terminal(run.directory, [script]) as terminal:
        assert terminal.end() == status.ERROR
    assert "hello\r\n" in terminal.text
    assert re.search(r"✓.*\[1/3\].*Load", terminal.text)
    assert re.search(r"\[2/3\] import time.*  [123] s", terminal.text)  # the clock
    assert re.search(r"✗.*\[3/3\]", terminal.text)
    assert "\x1b[" in terminal.text


def test_a_reader_who_goes_away_is_no_error(run: Runs) -> None:
    script = run.script("for i in range(10**7): print('line', i)\n# %%\nprint('after')")
    with run.start(script) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == status.BROKEN_PIPE
    assert run.recorded().cells[0].outputs


def test_a_polite_end_from_outside_is_like_ctrl_c(run: Runs) -> None:
    script = run.script("import os; print(os.getpid(), flush=True)\nwhile True: pass")
    with run.start(script) as process:
        assert process.stdout is not None
        kernel = int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == status.INTERRUPTED
    assert not Path(f"/proc/{kernel}").exists()
    assert run.recorded().cells[0].source.startswith("import os")


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("kernel-exec")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert re.fullmatch(r"kernel-exec \d+\.\d+\.\d+\n", done.stdout)


TRICKS = r"""
import sys
print("\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]52;c;Y2xp" "cA==\x07\x1b[2J\x1b[H\x1b[6n one\x1e")
sys.stdout.write("\x1b]52;c;aGFs"); sys.stdout.flush()
sys.stdout.write("ZmQ=\x07two\x1b[3"); sys.stdout.flush()
sys.stdout.write("2mgreen\n")
print("\x1b]2;title\x1b\\three", file=sys.stderr)
from IPython.display import display
display({"text/plain": "\x1b]52;c;Y2xp" "cA==\x07four"}, raw=True)
raise ValueError("\x1b]52;c;Y2xp" "cA==\x07five")
"""
WORDS = ("red", "one", "two", "green", "three", "four", "five")


def test_what_cells_show_cannot_drive_the_terminal(run: Runs) -> None:
    with Terminal(run.directory, [run.script(TRICKS)]) as terminal:
        assert terminal.end() == status.ERROR
    assert [word for word in WORDS if word not in terminal.text] == []
    shown = terminal.text.replace("\r\x1b[2K", "")  # the line that tells what runs
    assert re.findall(r"\x1b(?!\[[\d;]*m)..|[\x07\x1e]", shown) == []

    assert "Y2xpcA" not in shown
    assert "\x1b[31mred\x1b[0m" in shown
    assert re.search(r"\x1b\[32mgreen\r\n.*\x1b\[0m", shown, re.DOTALL)


@pytest.mark.long
def test_a_pipe_has_no_escape_sequences(run: Runs) -> None:
    done = run.code(TRICKS)
    assert [word for word in WORDS if word not in done.stdout + done.stderr] == []
    assert "\x1b" not in done.stdout + done.stderr
    assert "Y2xpcA" not in done.stdout + done.stderr
    assert "one\x1e\n" in done.stdout

"""Notebooks run again: what runs, what is kept, and that the notebook itself stays as it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http import HTTPMethod, HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernel_exec import (
    DockerKernel,
    Executor,
    HostKernel,
    InvalidArgument,
    NotebookError,
    Progress,
    Replay,
    UnknownKernel,
    WrongType,
    areplay,
    replay,
)
from tests.executor.looks import runs, wait_until
from tests.replays.notebooks import KERNEL, code, read, text, write


def origin(cell: Any) -> Any:
    return cell.metadata.kernel_exec.get("origin")


def test_a_session_is_run_again(tmp_path: Path) -> None:
    with Executor(workdir=tmp_path) as ex:
        ex.annotate("# Title")
        ex.execute("x = 41", metadata={"tags": ["parameters"]})
        ex.put("y", [1])
        ex.execute("print(x + y[0])")
        ex.execute("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()")
    before = (tmp_path / "session.ipynb").read_bytes()
    done = replay(tmp_path / "session.ipynb")
    assert done.ok
    assert [result.stdout for result in done.results] == ["", "", "42\n", ""]
    assert len(done.results[-1].images) == 1
    assert (tmp_path / "session.ipynb").read_bytes() == before
    assert done.notebook_path == tmp_path / "session.replay.ipynb"
    made, old = read(done.notebook_path), read(tmp_path / "session.ipynb")
    assert [cell.source for cell in made.cells] == [cell.source for cell in old.cells]
    assert [origin(cell) for cell in made.cells] == [
        {"index": index, "cell": cell.id} for index, cell in enumerate(old.cells)
    ]
    assert made.metadata.kernel_exec.origin.notebook == "session.ipynb"
    assert made.cells[1].metadata.tags == ["parameters"]


def test_parameters_are_set_as_papermill_sets_them(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "import os", code("a, b = 1, 2", "parameters"), "print(a, b)")
    parameters = {"a": [1, None, {"k": float("inf")}], "b": "it's"}
    done = replay(path, parameters=parameters)
    assert done.results[-1].stdout == "[1, None, {'k': inf}] it's\n"
    cells = read(done.notebook_path).cells
    assert cells[2].metadata.tags == ["injected-parameters"]
    assert origin(cells[2]) is None
    assert origin(cells[3]) == {"index": 2, "cell": "cell-2"}
    again = replay(done.notebook_path, parameters={"a": 3, "b": 4}, output=tmp_path / "again.ipynb")
    assert again.results[-1].stdout == "3 4\n"
    assert len(read(again.notebook_path).cells) == 4
    for wrong in ({"a b": 1}, {"class": 1}, {"a": object()}, {1: 2}):
        with pytest.raises(InvalidArgument):
            replay(path, parameters=wrong)  # type: ignore[arg-type]


def test_parameters_that_are_of_a_kind_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "print(a, b, c, d)")
    parameters = {"a": np.float64(0.5), "b": HTTPStatus.OK, "c": HTTPMethod.GET, "d": [np.float64("nan")]}
    done = replay(path, parameters=parameters)
    assert done.results[-1].stdout == "0.5 200 GET [nan]\n"
    with pytest.raises(WrongType, match="parameters must be a dictionary"):
        replay(path, parameters=[1])  # type: ignore[arg-type]


def test_cells_that_do_not_run_are_never_shown_as_run(tmp_path: Path) -> None:
    stale = [{"output_type": "stream", "name": "stdout", "text": "stale"}]
    path = write(
        tmp_path / "n.ipynb",
        code("print(1)", "skip-execution", outputs=stale),
        code("print(2)", "run-once", outputs=stale),
        code("1/0", "raises-exception"),
        "print(3)",
        "1/0",
        code("print(4)", outputs=stale),
        text("# The end"),
    )
    done = replay(path)
    assert not done.ok
    assert [cell.status for cell in done.cells] == ["skipped", "skipped", "error", "ok", "error", "skipped"]
    assert [cell.ok for cell in done.cells] == [True, True, True, True, False, True]
    assert "skipped" in done.cells[0].reason
    assert "ZeroDivisionError" in done.cells[5].reason
    with pytest.raises(Exception, match="division by zero"):
        done.raise_for_error()
    cells = read(done.notebook_path).cells
    for index in (0, 1, 5):
        assert (cells[index].outputs, cells[index].execution_count) == ([], None)
        assert cells[index].metadata.kernel_exec.status == "skipped"
        assert "execution" not in cells[index].metadata
    assert cells[6].source == "# The end"
    gone_on = replay(path, allow_errors=True)
    assert gone_on.results[-1].stdout == "4\n"
    assert not gone_on.ok


@pytest.mark.parametrize(
    ("chosen", "ran"),
    [
        ({}, [0, 1, 2, 3]),
        ({"until": 1}, [0, 1]),
        ({"until": "cell-2"}, [0, 1, 2]),
        ({"since": 1}, [1, 2, 3]),
        ({"since": "cell-1", "until": -2}, [1, 2]),
        ({"since": 2, "until": 2}, [2]),
    ],
)
def test_a_range(tmp_path: Path, chosen: dict[str, Any], ran: list[int]) -> None:
    path = write(tmp_path / "n.ipynb", *map(str, range(4)))
    done = replay(path, kernel=HostKernel(), **chosen)
    assert [int(result.text) for result in done.results] == ran
    assert len(read(done.notebook_path).cells) == 4


@pytest.mark.parametrize("wrong", [{"until": 4}, {"until": "x"}, {"since": -5}, {"since": 2, "until": 1}])
def test_a_range_that_is_none(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = write(tmp_path / "n.ipynb", *map(str, range(4)))
    with pytest.raises(InvalidArgument):
        replay(path, **wrong)
    with pytest.raises(WrongType):
        replay(path, until=1.5)  # type: ignore[arg-type]


def test_what_failed_then_may_fail_again(tmp_path: Path) -> None:
    with Executor(workdir=tmp_path) as ex:
        ex.execute("1/0")
        ex.execute("while True: pass", timeout=0.5)
        ex.execute("x = 1")
        ex.restart()
        ex.execute("'x' in globals()")
        ex.execute("import os; os._exit(3)")
        ex.execute("1 + 1")
    start = time.monotonic()
    done = replay(tmp_path / "session.ipynb")
    assert time.monotonic() - start < 60
    assert done.ok
    assert [result.status for result in done.results] == ["error", "timeout", "ok", "ok", "died", "ok"]
    assert done.results[3].text == "False"


def test_progress_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", text("# Title"), "a = 1\nb = 2", code("2", "skip-execution"), "1/0", "3")
    told: list[Progress] = []
    replay(path, on_progress=told.append)
    assert [(step.index, step.status, step.done) for step in told] == [
        (1, "running", 0),
        (1, "ok", 1),
        (2, "skipped", 2),
        (3, "running", 2),
        (3, "error", 3),
        (4, "skipped", 4),
    ]
    assert {step.total for step in told} == {4}
    assert told[0].title == "a = 1"

    def fail(step: Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        replay(path, on_progress=fail)


async def test_progress_may_be_awaited(tmp_path: Path) -> None:
    told: list[str] = []

    async def tell(step: Progress) -> None:
        told.append(step.status)

    done: Replay = await areplay(write(tmp_path / "n.ipynb", "1"), on_progress=tell)
    assert (done.ok, told) == (True, ["running", "ok"])


def test_files_lie_where_the_notebook_lies(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1\n")
    path = write(tmp_path / "n.ipynb", "print(open('data.csv').read())", "open('out.txt', 'w').write('x')")
    done = replay(path, output=tmp_path / "elsewhere" / "n.ipynb")
    assert done.ok
    assert (tmp_path / "out.txt").exists()
    assert [artifact.path.name for artifact in done.results[1].artifacts] == ["out.txt"]
    other = tmp_path / "other"
    assert not replay(path, workdir=other).ok
    with Executor(workdir=other, notebook=tmp_path / "s.ipynb") as ex:
        ex.execute("open('made', 'w').write('x')")
        ex.execute("import os; sorted(os.listdir())")
    assert replay(tmp_path / "s.ipynb").results[1].text == "['made']"


def test_a_notebook_names_no_directory_elsewhere(tmp_path: Path) -> None:
    """It would be mounted into the container that its code is to be boxed in."""
    (tmp_path / "secret").mkdir()
    books = tmp_path / "books"
    books.mkdir()
    (books / "link").symlink_to(tmp_path / "secret")
    for told in ("../secret", str(tmp_path / "secret"), "link", "..", "a\0b"):
        path = write(books / "n.ipynb", "import os; os.getcwd()", kernel_exec={"workdir": told})
        assert replay(path, output=tmp_path / "out.ipynb").results[0].text == repr(str(books))


def test_ctrl_c_ends_it_in_order(tmp_path: Path) -> None:
    long = "import time; print('b', flush=True); open('begun', 'w').close(); time.sleep(600)"
    path = write(tmp_path / "n.ipynb", "print('a')", long, "3")
    pressing: list[threading.Thread] = []

    def when_it_has_begun() -> None:
        if wait_until((tmp_path / "begun").exists, 60):
            os.kill(os.getpid(), signal.SIGINT)

    def press(step: Progress) -> None:
        if step.index == 1 and not pressing:
            pressing.append(threading.Thread(target=when_it_has_begun))
            pressing[0].start()

    with pytest.raises(KeyboardInterrupt):
        replay(path, on_progress=press)
    cells = read(tmp_path / "n.replay.ipynb").cells
    assert [cell.metadata.kernel_exec.status for cell in cells] == ["ok", "interrupted"]
    assert cells[1].outputs[0].text == "b\n"


def test_text_cells_are_carried(tmp_path: Path) -> None:
    dot = {"dot.png": {"image/png": "iVBORw0KGgo="}}
    path = write(
        tmp_path / "n.ipynb",
        text("![](attachment:dot.png)", attachments=dot),
        text("\\LaTeX", "raw"),
        code("1", "a tag", slideshow={"slide_type": "slide"}),
        title="Sales",
        authors=[{"name": "x"}],
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {}, "version_major": 2, "version_minor": 0}},
    )
    made = read(replay(path).notebook_path)
    assert made.cells[0].attachments == dot
    assert (made.cells[1].cell_type, made.cells[1].source) == ("raw", "\\LaTeX")
    assert (made.cells[2].metadata.slideshow.slide_type, made.cells[2].metadata.tags) == ("slide", ["a tag"])
    assert made.metadata.title == "Sales"


BROKEN = {
    "cut off": (lambda text: text[: len(text) // 2], "no JSON.*cut off"),
    "empty": (lambda text: "", "no JSON"),
    "a list": (lambda text: "[1]", "no notebook"),
    "another JSON": (lambda text: '{"a": 1}', "does not say its format"),
    "no cells": (lambda text: '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "no list of cells"),
    "too new": (lambda text: text.replace('"nbformat": 4', '"nbformat": 5'), "format 5"),
    "a cell that is none": (lambda text: text.replace('"source": "1"', '"source": [3]'), "cell 0"),
    "a lone surrogate": (lambda text: text.replace('"source": "1"', '"source": "\\ud800"'), "cell 0.*lone surrogate"),
    "an unknown cell": (lambda text: text.replace('"cell_type": "code"', '"cell_type": "video"'), "cell 0"),
    "a cell of a type that is a list": (
        lambda text: text.replace('"cell_type": "code"', '"cell_type": ["code"]'),
        "cell 0",
    ),
    "nested": (lambda text: '{"cells": ' + "[" * 100_000, "no notebook"),
    "format 3 in name only": (lambda text: text.replace('"nbformat": 4', '"nbformat": 3'), "format 3"),
    "another language": (lambda text: text.replace('"language": "python"', '"language": "R"'), "is in R"),
    "not UTF-8": (lambda text: text.encode("utf-16"), "no text in UTF-8"),
}


@pytest.mark.parametrize(("broken", "says"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_notebook(tmp_path: Path, broken: Any, says: str) -> None:
    path = write(tmp_path / "n.ipynb", "1")
    found = broken(path.read_text())
    path.write_bytes(found if isinstance(found, bytes) else found.encode())
    with pytest.raises(NotebookError, match=f"(?s)n.ipynb.*{says}"):
        replay(path)
    assert os.listdir(tmp_path) == ["n.ipynb"]


def test_no_notebook_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="No such file"):
        replay(tmp_path / "none.ipynb")
    with pytest.raises(NotebookError, match="Is a directory"):
        replay(tmp_path)
    os.mkfifo(tmp_path / "pipe.ipynb")
    with pytest.raises(NotebookError, match="it is a pipe"):
        replay(tmp_path / "pipe.ipynb")
    with pytest.raises(WrongType):
        replay(3)  # type: ignore[arg-type]


ODD = {
    "invalid outputs": (lambda book: book["cells"][0].update(outputs=[{"output_type": "video"}]), "invalid"),
    "outputs that are no list": (lambda book: book["cells"][0].update(outputs=3), "invalid"),
    "a cell of another language": (
        lambda book: book["cells"][0]["metadata"].update(vscode={"languageId": "sql"}),
        "in 'sql', and is run as python",
    ),
    "the same id twice": (lambda book: book["cells"].append(dict(book["cells"][0])), "same id"),
    "no kernelspec": (lambda book: book["metadata"].pop("kernelspec"), "names no kernel"),
    "metadata that is not allowed": (lambda book: book["cells"][0].update(metadata={"tags": 3}), "invalid"),
    "facts of ours that are none": (
        lambda book: book["cells"][0].update(metadata={"tags": 3, "kernel_exec": {"status": ["ok"]}}),
        "invalid",
    ),
    "of the notebook": (lambda book: book["metadata"].update(title=3), "invalid"),
}


@pytest.mark.parametrize(("change", "says"), ODD.values(), ids=ODD)
def test_what_is_odd_is_told_and_run(tmp_path: Path, change: Any, says: str) -> None:
    path = write(tmp_path / "n.ipynb", "1 + 1")
    book = json.loads(path.read_text())
    change(book)
    path.write_text(json.dumps(book))
    before = path.read_bytes()
    done = replay(path)
    assert done.results[0].text == "2"
    assert says in " ".join(done.notes)
    assert path.read_bytes() == before
    read(done.notebook_path)


def test_an_older_format(tmp_path: Path) -> None:
    cell = {
        "cell_type": "code",
        "input": "1 + 1",
        "outputs": [],
        "language": "python",
        "metadata": {},
        "collapsed": False,
    }
    book = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "x"},
        "worksheets": [{"cells": [cell], "metadata": {}}],
    }
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(book))
    done = replay(path)
    assert done.results[0].text == "2"
    assert "it was converted from format 3" in done.notes
    assert json.loads(path.read_text()) == book


def test_a_large_one(tmp_path: Path) -> None:
    large = [{"output_type": "stream", "name": "stdout", "text": "x" * 100 * 2**20}]
    path = write(tmp_path / "n.ipynb", code("1 + 1", outputs=large))
    assert replay(path).results[0].text == "2"


def test_a_kernel_that_is_not_installed(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "1", kernelspec={**KERNEL, "name": "no-such-kernel"})
    with pytest.raises(UnknownKernel, match="no-such-kernel"):
        replay(path)
    assert replay(path, kernel=HostKernel()).ok


def test_the_notebook_itself_is_no_output(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "1")
    (tmp_path / "link.ipynb").symlink_to(path)
    for output in (path, tmp_path / "link.ipynb"):
        with pytest.raises(InvalidArgument, match="the notebook itself"):
            replay(path, output=output)


@pytest.mark.engine
def test_from_the_host_to_a_container_and_back(engine: Any, tmp_path: Path) -> None:
    with Executor(workdir=tmp_path) as ex:
        ex.execute("x = 1; print(x)")
    boxed = replay(tmp_path / "session.ipynb", kernel=DockerKernel())
    assert (boxed.ok, boxed.results[0].stdout) == (True, "1\n")
    assert read(boxed.notebook_path).metadata.kernel_exec.environment.kernel == "docker"
    again = replay(boxed.notebook_path, output=tmp_path / "again.ipynb")
    assert read(again.notebook_path).metadata.kernel_exec.environment.kernel == "docker", "as it was recorded"
    home = replay(boxed.notebook_path, output=tmp_path / "home.ipynb", kernel=HostKernel())
    assert read(home.notebook_path).metadata.kernel_exec.environment.kernel == "host"


LATER = [pytest.param(number / 10, marks=pytest.mark.long) for number in range(3, 33, 5)]


@pytest.mark.parametrize("seconds", [0.2, 0.8, 1.2, *LATER])
def test_killed_in_the_middle(tmp_path: Path, seconds: float) -> None:
    path = write(tmp_path / "n.ipynb", *(f"import time; time.sleep(0.1); print({n})" for n in range(30)))
    before = path.read_bytes()
    script = f"from kernel_exec import replay; print('go', flush=True); replay({str(path)!r})"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not runs(process.pid)
    assert path.read_bytes() == before
    assert wait_until(lambda: {entry.suffix for entry in tmp_path.iterdir()} == {".ipynb"})
    made = path.with_name("n.replay.ipynb")
    if made.exists():
        cells = read(made).cells
        assert all(cell.execution_count for cell in cells if cell.outputs)

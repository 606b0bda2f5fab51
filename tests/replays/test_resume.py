"""Sessions that go on where their recording ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import (
    AsyncExecutor,
    DockerKernel,
    Executor,
    HostKernel,
    InvalidArgument,
    NotebookError,
    RecordingError,
    WrongType,
)
from tests.executor.looks import wait_until
from tests.replays.notebooks import code, read, write


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """The recording of a session."""
    with Executor(workdir=tmp_path, name="mine") as ex:
        ex.execute("x = [1]")
        ex.execute("import time; other = time.time()")
        ex.execute("x.append(2)")
        ex.execute("1/0")
        ex.execute("import matplotlib.pyplot as plt; plt.plot([1]); plt.show()")
    return tmp_path / "session.ipynb"


def test_it_goes_on_in_the_same_file(session: Path) -> None:
    before = session.read_bytes()
    pictures = {path: path.read_bytes() for path in (session.parent / "session_files").iterdir()}
    with Executor.resume(session) as ex:
        assert ex.resumed is not None
        assert ex.resumed.ok
        assert [cell.index for cell in ex.resumed.replayed] == [0, 1, 2, 3, 4]
        assert session.read_bytes() == before, "nothing is written before there is something to write"
        assert ex.execute("x").text == "[1, 2]"
        assert session.read_bytes() != before
        assert ex.execute("plt.plot(x); plt.show()").images
    cells = read(session).cells
    old = read_bytes(before)
    assert [cell.source for cell in cells[:5]] == [cell.source for cell in old]
    assert [cell.get("outputs") for cell in cells[:5]] == [cell.get("outputs") for cell in old]
    assert cells[5].metadata.kernel_exec.event == "resume"
    assert [cell.source for cell in cells[6:]] == ["x", "plt.plot(x); plt.show()"]
    assert {path: path.read_bytes() for path in pictures} == pictures
    assert read(session).metadata.kernel_exec.name == "mine"
    with Executor.resume(session) as again:
        assert again.execute("len(x)").text == "2"
    assert len(read(session).cells) == 10


def read_bytes(data: bytes) -> list:  # type: ignore[type-arg]
    import nbformat

    return list(nbformat.reads(data.decode(), as_version=4).cells)


def test_only_looked_at(session: Path) -> None:
    before = session.read_bytes()
    with Executor.resume(session) as ex:
        assert ex.get("x") == [1, 2]
    assert session.read_bytes() == before
    assert sorted(entry.name for entry in session.parent.iterdir()) == ["session.ipynb", "session_files"]


def test_only_what_is_needed(session: Path) -> None:
    with Executor.resume(session, needed_for=["x"]) as ex:
        assert ex.resumed is not None
        assert [cell.index for cell in ex.resumed.replayed] == [0, 2]
        assert {cell.reason for cell in ex.resumed.skipped} == {"not needed"}
        assert [variable.name for variable in ex.variables()] == ["x"]


def test_what_seemed_enough_and_was_not(tmp_path: Path) -> None:
    unseen = "import sys; setattr(sys.modules['__main__'], 'hid' + 'den', 1)"
    path = write(tmp_path / "n.ipynb", unseen, "z = 3", "x = hidden + 1")
    with Executor.resume(path, needed_for=["x"]) as ex:
        assert ex.resumed is not None
        assert [cell.index for cell in ex.resumed.replayed] == [0, 1, 2]
        assert "NameError" in ex.resumed.notes[0]
        assert ex.get("x") == 2
    with Executor.resume(path, needed_for=["never"]) as ex:
        assert ex.resumed is not None
        assert "never" in ex.resumed.notes[0]
    for wrong in ("x", [1]):
        with pytest.raises(WrongType):
            Executor.resume(path, needed_for=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        Executor.resume(path, needed_for=["a b"])


def test_what_fails_now(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1")
    with Executor(workdir=tmp_path) as ex:
        ex.execute("data = open('data').read()")
        ex.execute("x = 1")
        ex.execute("pay()", metadata={"tags": ["run-once"]})
    (tmp_path / "data").unlink()
    with Executor.resume(tmp_path / "session.ipynb") as ex:
        assert ex.resumed is not None
        assert not ex.resumed.ok
        assert [cell.index for cell in ex.resumed.failed] == [0]
        assert [cell.index for cell in ex.resumed.skipped] == [2]
        assert ex.get("x") == 1
        assert "1 failed" in str(ex.resumed)
        ex.execute("'later'")
    assert "1 failed" in read(tmp_path / "session.ipynb").cells[3].source


def test_what_gives_another_result(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1")
    with Executor(workdir=tmp_path) as ex:
        ex.execute("data = open('data').read(); print(data)")
        ex.execute("open('made', 'w').write('x')")
    (tmp_path / "data").write_text("2")
    with Executor.resume(tmp_path / "session.ipynb") as ex:
        assert ex.resumed is not None
        assert [cell.index for cell in ex.resumed.changed] == [0]
        assert "1 -> 2" in ex.resumed.changed[0].differences[0]
        assert not ex.resumed.ok
        assert "1 differ" in str(ex.resumed)
    with Executor.resume(tmp_path / "session.ipynb", needed_for=["data"]) as ex:
        assert ex.resumed is not None
        assert "another result" in ex.resumed.notes[0]
        assert len(ex.resumed.replayed) == 2


def test_a_restart_in_it(tmp_path: Path) -> None:
    with Executor(workdir=tmp_path) as ex:
        ex.execute("x = 1")
        ex.restart()
        ex.execute("y = 2")
    before = (tmp_path / "session.ipynb").read_bytes()
    with Executor.resume(tmp_path / "session.ipynb") as ex:
        assert [variable.name for variable in ex.variables()] == ["y"]
        assert (tmp_path / "session.ipynb").read_bytes() == before


async def test_of_others(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "x = 1", code("x = 2", "skip-execution"), minor=4, title="Theirs")
    async with await AsyncExecutor.resume(path) as ex:
        assert (await ex.execute("x")).text == "1"
    made = read(path)
    assert (made.metadata.title, made.nbformat_minor) == ("Theirs", 5)
    assert len({cell.id for cell in made.cells}) == 4


def test_what_cannot_be_resumed(tmp_path: Path, session: Path) -> None:
    with pytest.raises(NotebookError):
        Executor.resume(tmp_path / "none.ipynb")
    before = session.read_bytes()
    with Executor.resume(session), pytest.raises(RecordingError, match="another executor"):
        Executor.resume(session)
    assert session.read_bytes() == before


LATER = [pytest.param(number / 10, marks=pytest.mark.long) for number in range(4, 34, 5)]


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0, *LATER])
def test_killed_in_the_middle(tmp_path: Path, seconds: float) -> None:
    path = write(tmp_path / "n.ipynb", *(f"import time; time.sleep(0.1); x = {n}" for n in range(8)))
    before = read(path).cells
    script = (
        f"from kernel_exec import Executor; print('go', flush=True); ex = Executor.resume({str(path)!r})\n"
        f"for n in range(100): ex.execute(f'x = {{n}}')"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [cell.source for cell in read(path).cells][:8] == [cell.source for cell in before]
    assert wait_until(lambda: {entry.suffix for entry in tmp_path.iterdir()} == {".ipynb"})


@pytest.mark.engine
def test_recorded_in_a_container_and_resumed_on_the_host(engine: Any, tmp_path: Path) -> None:
    with Executor(DockerKernel(), workdir=tmp_path) as ex:
        ex.execute("import os; os.getcwd()")
    with Executor.resume(tmp_path / "session.ipynb", kernel=HostKernel()) as ex:
        assert ex.resumed is not None
        assert not ex.resumed.cells[0].differences

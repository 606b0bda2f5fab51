"""What cannot work is refused at the door, with a typed error that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernel_exec import (
    AsyncExecutor,
    Executor,
    ExecutorClosed,
    HostKernel,
    InvalidArgument,
    KernelExecError,
    KernelStartError,
    RecordingError,
    UnknownKernel,
    WrongType,
)


@pytest.mark.parametrize("maker", [Executor, AsyncExecutor])
@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"timeout": -1}, InvalidArgument, "above zero"),
        ({"timeout": 0}, InvalidArgument, "above zero"),
        ({"timeout": float("nan")}, InvalidArgument, "above zero"),
        ({"timeout": "5"}, WrongType, "number of seconds"),
        ({"timeout": True}, WrongType, "number of seconds"),
        ({"lifetime": -3}, InvalidArgument, "lifetime"),
        ({"lifetime": "x"}, WrongType, "lifetime"),
        ({"workdir": 3}, WrongType, "workdir"),
        ({"workdir": ""}, InvalidArgument, "workdir"),
        ({"workdir": "a\0b"}, InvalidArgument, "null"),
        ({"workdir": __file__}, InvalidArgument, "is a file"),
        ({"notebook": 3}, WrongType, "notebook"),
        ({"notebook": "/"}, InvalidArgument, "is a directory"),
        ({"name": 3}, WrongType, "name"),
        ({"kernel": "python3"}, WrongType, "HostKernel"),
    ],
)
def test_settings(maker: Any, settings: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as raised:
        maker(**settings)
    assert isinstance(raised.value, KernelExecError)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"kernel_name": 3}, WrongType),
        ({"kernel_name": ""}, InvalidArgument),
        ({"env": {"A": 3}}, WrongType),
        ({"env": {"A=B": "x"}}, InvalidArgument),
        ({"env": {"A": "\0"}}, InvalidArgument),
        ({"env": "A=B"}, WrongType),
    ],
)
def test_host_kernels(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        HostKernel(**settings)


def test_an_unknown_kernel_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownKernel, match="python3"), Executor(HostKernel(kernel_name="nope"), workdir=tmp_path):
        pass


def test_a_kernelspec_whose_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "kernels" / "broken"
    spec.mkdir(parents=True)
    text = '{"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "B", "language": "python"}'
    (spec / "kernel.json").write_text(text)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with pytest.raises(KernelStartError, match="/nowhere/python"), Executor(HostKernel(kernel_name="broken")):
        pass


def test_a_kernel_that_ends_at_once_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "kernels" / "ends"
    spec.mkdir(parents=True)
    argv = '["python", "-c", "import sys; sys.exit(\'no luck today\')", "{connection_file}"]'
    (spec / "kernel.json").write_text(f'{{"argv": {argv}, "display_name": "E", "language": "python"}}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with pytest.raises(KernelStartError, match="no luck today"), Executor(HostKernel(kernel_name="ends")):
        pass


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda ex: ex.execute(3), WrongType),
        (lambda ex: ex.execute(b"1"), WrongType),
        (lambda ex: ex.execute(None), WrongType),
        (lambda ex: ex.execute("'\ud800'"), InvalidArgument),
        (lambda ex: ex.execute("1", timeout=-1), InvalidArgument),
        (lambda ex: ex.execute("1", timeout="1"), WrongType),
        (lambda ex: ex.execute("1", on_output=3), WrongType),
        (lambda ex: ex.execute("1", on_input="x"), WrongType),
        (lambda ex: ex.submit(3), WrongType),
        (lambda ex: ex.annotate(3), WrongType),
        (lambda ex: ex.annotate("", metadata="x"), WrongType),
        (lambda ex: ex.annotate("", metadata={"x": {1}}), InvalidArgument),
        (lambda ex: ex.annotate("", metadata={"tags": "no list"}), InvalidArgument),
        (lambda ex: ex.annotate("", cell_type="raw", metadata={"format": 3}), InvalidArgument),
        (lambda ex: ex.annotate("", attachments={"x.png": "data"}), InvalidArgument),
        (lambda ex: ex.annotate("", attachments={"x.png": {"image/png": 3}}), InvalidArgument),
        (lambda ex: ex.stream(3), WrongType),
        (lambda ex: ex.submit("import time; time.sleep(1)").result(timeout=-1), InvalidArgument),
        (lambda ex: ex.submit("import time; time.sleep(0.3)").extend(-1), InvalidArgument),
        (lambda ex: ex.submit("import time; time.sleep(0.3)").extend(float("inf")), InvalidArgument),
    ],
)
def test_calls(ex: Executor, call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(ex)
    assert ex.execute("1").ok


def test_after_close(tmp_path: Path) -> None:
    ex = Executor(workdir=tmp_path)
    ex.close()
    ex.close()
    for call in (lambda: ex.execute("1"), lambda: ex.submit("1"), lambda: ex.stream("1"), ex.interrupt, ex.restart):
        with pytest.raises(ExecutorClosed, match="make a new one"):
            call()
    with pytest.raises(RuntimeError), ex:
        pass
    assert list(tmp_path.iterdir()) == []


async def test_after_close_of_the_core(tmp_path: Path) -> None:
    ex = AsyncExecutor(workdir=tmp_path)
    await ex.start()
    await ex.close()
    await ex.close()
    with pytest.raises(ExecutorClosed):
        await ex.execute("1")
    with pytest.raises(ExecutorClosed):
        ex.stream("1")


def test_without_with_the_first_call_starts_it(tmp_path: Path) -> None:
    ex = Executor(workdir=tmp_path)
    assert not ex.is_alive
    assert ex.execute("1").text == "1"
    assert ex.is_alive
    ex.close()


def test_a_work_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KernelStartError, match="work directory"), Executor(workdir=tmp_path / "file" / "below"):
        pass


def test_a_relative_path_in_a_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InvalidArgument, match="absolute path"):
        Executor(workdir="work")


def test_a_notebook_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError), Executor(workdir=tmp_path, notebook=tmp_path / "file" / "n.ipynb"):
        pass


def test_what_it_is_for_people(tmp_path: Path) -> None:
    ex = Executor(workdir=tmp_path, name="weather")
    assert repr(ex) == "Executor('weather', not started)"
    with ex:
        assert repr(ex) == "Executor('weather', alive)"
    assert repr(ex) == "Executor('weather', closed)"

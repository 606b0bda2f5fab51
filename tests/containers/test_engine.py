"""What engines do in the middle of it: they are stopped, killed, full. Images in which nothing runs: tests/images."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, EngineError, EngineUnavailable, Executor
from tests.containers.second import SecondEngine, second_engine
from tests.executor.looks import wait_until

WAIT = "open('begun', 'w').close()\nwhile True: pass"


@pytest.fixture(scope="module")
def second(engine: Any) -> Iterator[SecondEngine]:
    with second_engine() as second:
        yield second


@pytest.fixture
def ex(second: SecondEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """An executor with its container in the second engine, of which nothing may be left."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("DOCKER_HOST", second.url)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with Executor(kernel=DockerKernel(), workdir=tmp_path / "work", timeout=60) as executor:
        yield executor
    with second.client() as client:
        assert wait_until(lambda: not client.containers.list(all=True, ignore_removed=True))
    assert wait_until(lambda: list(Path(tempfile.gettempdir()).iterdir()) == [])


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_engine_ends_in_the_middle_of_a_cell(second: SecondEngine, ex: Executor, number: int) -> None:
    assert ex.execute("kept = 1").ok
    running = ex.submit(WAIT)
    assert wait_until((ex.workdir / "begun").exists)
    ending = threading.Thread(target=second.stop, args=(number,))
    start = time.monotonic()
    ending.start()
    result = running.result(20)
    took = time.monotonic() - start
    ending.join()
    assert (result.status, result.state_preserved) == ("died", False)
    assert "the container engine has gone" in result.text
    assert took < 9  # of which the engine takes some for itself; none of it is a time-out of ours, which is ten
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="does not answer"):
            ex.execute("1")
    second.start()
    assert ex.execute("import os; (os.path.exists('begun'), 'kept' in globals())").text == "(True, False)"


@pytest.fixture
def full(second: SecondEngine) -> Iterator[Callable[[], None]]:
    """The engine's disk, without a free byte until what this gives is called."""
    filler = second.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    yield lambda: filler.unlink(missing_ok=True)
    filler.unlink(missing_ok=True)


@pytest.mark.long
def test_the_engines_disk_is_full(ex: Executor, full: Callable[[], None], tmp_path: Path) -> None:
    assert ex.execute("open('file', 'w').write('x' * 100_000); 1").text.startswith("1")  # it goes on
    other = Executor(kernel=DockerKernel(), workdir=tmp_path / "other")
    with pytest.raises(EngineError, match=r"no space left on device.*docker system df"):
        other.execute("1")
    full()
    assert other.execute("1 + 1").text == "2"
    other.close()

"""How kernels in containers die, and what is told of it; the next call runs in a fresh container, in the same place."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import docker
import pytest

from kernel_exec import DockerKernel, EngineError, Executor, Limits
from tests.containers.conftest import containers, name_of
from tests.containers.forwarder import forwarder
from tests.executor.looks import ended_by_its_deadline, runs, wait_until

WAIT = "open('begun', 'w').close()\nwhile True: pass"


def during(executor: Executor, do: Callable[[Any], object], engine: Any) -> Any:
    """Run a cell that never ends, and `do` something to its container; return its result."""
    container = engine.containers.get(name_of(executor))
    begun = executor.workdir / "begun"
    begun.unlink(missing_ok=True)
    running = executor.submit(WAIT)
    assert wait_until(begun.exists)
    do(container)
    return running.result(60)


def goes_on(executor: Executor) -> bool:
    """The file of the cell before is there for the next."""
    return executor.execute("import os; os.path.exists('begun')").text == "True"


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (lambda container: container.kill(), r"killed or removed from outside \(signal 9\)"),
        (lambda container: container.remove(force=True), "removed from outside"),
        (lambda container: container.stop(timeout=30), r"asked from outside to end \(signal 15\)"),
    ],
    ids=["kill", "rm", "stop"],
)
def test_ended_from_outside(
    fresh: Callable[..., Executor], engine: Any, do: Callable[[Any], object], reason: str
) -> None:
    executor = fresh()
    executor.execute("x = 1")
    result = during(executor, do, engine)
    assert result.status == "died"
    assert not result.state_preserved
    assert re.search(reason, result.text), result.text
    assert goes_on(executor)
    assert executor.execute("'x' in globals()").text == "False"


def pause(container: Any) -> None:
    """Pause a container; where much runs, runc gives up freezing it after a while, and can be asked again."""
    for _ in range(20):
        try:
            return container.pause()
        except docker.errors.APIError as error:
            if "unable to freeze" not in str(error):
                raise
    raise AssertionError("it cannot be frozen")


def test_paused(fresh: Callable[..., Executor], engine: Any) -> None:
    executor = fresh()
    name = name_of(executor)
    container, begun = engine.containers.get(name), executor.workdir / "begun"
    paused_at: list[float] = []

    def paused() -> bool:
        if begun.exists():
            pause(container)
            paused_at.append(time.monotonic())
        return bool(paused_at)

    result = ended_by_its_deadline(executor, WAIT, 1, paused)
    assert result.status == "timeout"
    assert not result.state_preserved
    assert f"timeout of 1 s; its container {name} was paused from outside, so it could not obey" in result.text
    assert time.monotonic() - paused_at[0] < 10
    assert goes_on(executor)


def test_a_child_is_killed_for_lack_of_memory(fresh: Callable[..., Executor]) -> None:
    executor = fresh(limits=Limits(memory="256m"))
    child = "import mmap\nm = mmap.mmap(-1, 400 << 20)\nfor _ in range(400): m.write(bytes(1 << 20))"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}]).returncode"
    assert executor.execute(code).text == "-9"
    assert executor.execute("1 + 1").text == "2"


def test_lack_of_memory_in_the_kernel_names_limit_and_peak(fresh: Callable[..., Executor]) -> None:
    executor = fresh(limits=Limits(memory="256m"))
    code = (
        "import mmap, resource\nresource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)\n"
        "held = []\nfor _ in range(500):\n    held.append(mmap.mmap(-1, 1 << 20)); held[-1].write(bytes(1 << 20))"
    )
    result = executor.execute(code)
    assert result.status == "died"
    assert "memory" in result.text
    assert "256 MiB" in result.text
    assert executor.execute("1 + 1").text == "2"


def test_files_in_memory_count_for_the_peak(fresh: Callable[..., Executor]) -> None:
    executor = fresh(limits=Limits(memory="256m"), tmpfs="1g")
    result = executor.execute("with open('/tmp/big', 'wb') as file:\n    while True: file.write(bytes(1 << 20))")
    assert result.status == "died"
    found = re.search(r"lack of memory \((\d+) MiB were held, and the limit is 256 MiB", result.text)
    assert found, result.text
    assert 240 <= int(found[1]) <= 256


def test_the_kernel_exits(fresh: Callable[..., Executor]) -> None:
    executor = fresh()
    result = executor.execute("print('last words', flush=True); import os; os._exit(7)")
    assert result.status == "died"
    assert "status 7" in result.text
    assert "last words" in result.stdout
    assert executor.execute("1 + 1").text == "2"


def test_the_keeper_is_killed(fresh: Callable[..., Executor], engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container goes with it, nothing stays, and nobody of the host's is taken for one of its processes."""
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _: signalled.append(group))
    executor = fresh()
    name = name_of(executor)
    session = executor._core._conductor.kernels.session
    assert session is not None
    link = session.kernel._provisioner.link
    assert link is not None
    os.kill(link._supervisor, signal.SIGKILL)
    assert wait_until(lambda: not runs(link._supervisor))
    assert executor.execute("1").status == "died"
    assert executor.execute("1 + 1").text == "2"
    assert wait_until(lambda: not containers(engine, name))
    assert signalled == []


def test_close_leaves_nothing(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    executor = Executor(kernel=DockerKernel()).start()
    name = name_of(executor)
    assert containers(engine, name)
    executor.execute("open('file', 'w').close()")
    executor.close()
    assert wait_until(lambda: not containers(engine, name))
    assert wait_until(lambda: list(tmp_path.iterdir()) == [])
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


HOST = """
import sys
from kernel_exec import DockerKernel, Executor
print('begun', flush=True)
with Executor(kernel=DockerKernel(labels={'test': sys.argv[1]}), workdir=sys.argv[2]) as ex:
    while True:
        ex.execute('1'); print('done', flush=True)
"""


def one_kill(
    engine: Any,
    folder: Path,
    until: Callable[[IO[str]], object],
    *,
    fork: bool = False,
    env: Mapping[str, str] = MappingProxyType({}),
) -> float:
    """Kill a host when `until`, which is given its output, returns; return seconds until nothing of it was left."""
    folder.mkdir()
    temporary = folder / "tmp"
    temporary.mkdir()
    label = str(folder)
    forking = "import os, time\n    if not os.fork(): time.sleep(100); os._exit(0)\n    while True:"
    code = HOST.replace("while True:", forking) if fork else HOST

    def left() -> list[Any]:
        return list(engine.containers.list(all=True, filters={"label": f"test={label}"}, ignore_removed=True))

    host = subprocess.Popen(
        [sys.executable, "-c", code, label, folder / "work"],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary), **env},
        text=True,
        start_new_session=True,
    )
    assert host.stdout is not None
    host.stdout.readline()
    until(host.stdout)
    host.kill()
    host.wait()
    if fork:
        assert wait_until(lambda: not left())
        os.killpg(host.pid, signal.SIGKILL)
    host.stdout.close()
    begun = time.monotonic()
    assert wait_until(lambda: not left() and not [path for path in temporary.iterdir() if path.is_dir()], 30)
    seconds = time.monotonic() - begun
    assert str(temporary) not in Path("/proc/mounts").read_text()
    return seconds


def after(seconds: float) -> Callable[[IO[str]], object]:
    return lambda _: threading.Event().wait(seconds)


def after_a_cell(output: IO[str]) -> None:
    assert output.readline() == "done\n"


def kills(engine: Any, folder: Path, count: int) -> None:
    moments = [*(after(number / count) for number in range(count)), after_a_cell]
    seconds = [one_kill(engine, folder / str(number), moment) for number, moment in enumerate(moments)]
    assert statistics.median(seconds) < 5


def test_a_host_killed_at_6_points_leaves_no_container(engine: Any, tmp_path: Path) -> None:
    kills(engine, tmp_path, 6)


@pytest.mark.long
def test_a_host_killed_at_30_points_leaves_no_container(engine: Any, tmp_path: Path) -> None:
    kills(engine, tmp_path, 30)


def test_a_forked_child_of_the_host_keeps_no_container(engine: Any, tmp_path: Path) -> None:
    one_kill(engine, tmp_path / "host", after_a_cell, fork=True)


def test_a_host_killed_while_the_engine_is_slow_leaves_no_container(engine: Any, tmp_path: Path) -> None:
    """It makes the container when nobody is there any more who asked for it."""
    asked, seen, made = threading.Event(), threading.Event(), threading.Event()
    label = {"label": f"test={tmp_path / 'host'}"}

    def hide(request: str) -> bytes | None:
        return None if made.is_set() or not request.startswith("GET /containers/") else b"HTTP/1.0 404 None\r\n\r\n{}"

    def hold(request: str) -> None:
        if "/containers/create" in request:
            asked.set()
            assert seen.wait(30)
            threading.Event().wait(6)
            made.set()

    def until(_: object) -> None:
        assert asked.wait(60)
        try:
            assert wait_until(lambda: engine.containers.list(all=True, filters=label, ignore_removed=True))
        finally:
            seen.set()

    with forwarder(hide, hold) as address:
        seconds = one_kill(engine, tmp_path / "host", until, env={"DOCKER_HOST": address})
    assert seconds > 1


def test_an_engine_that_fails_to_remove_is_asked_again(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    failure = b'HTTP/1.0 500 Internal Server Error\r\n\r\n{"message": "device or resource busy"}'

    def refuse(request: str) -> bytes | None:
        method, path, _ = request.split()
        if path.endswith("/start") or (method == "DELETE" and len(refused) < 3):
            refused.append(method)
            return failure
        return None

    with forwarder(refuse) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        executor = Executor(kernel=DockerKernel(name=f"busy-{os.getpid()}"), workdir=tmp_path / "work")
        with pytest.raises(EngineError, match="device or resource busy"):
            executor.start()
        executor.close()
        assert wait_until(lambda: refused == ["POST", "DELETE", "DELETE"])
        assert wait_until(lambda: not containers(engine, f"busy-{os.getpid()}"))


@pytest.mark.parametrize("count", [6, pytest.param(20, marks=pytest.mark.long)])
def test_many_at_once(engine: Any, tmp_path: Path, count: int) -> None:
    """All are there at the same time, each works, and all are gone after."""
    label = f"many={tmp_path.name}"
    kernel = DockerKernel(labels=dict([label.split("=")]))
    all_there = threading.Barrier(count)

    def work(number: int) -> tuple[str, int, str]:
        with Executor(kernel=kernel, workdir=tmp_path / str(number)) as executor:
            first = executor.execute(f"kept = {number}\nprint({number})").stdout
            all_there.wait(60)
            running = len(engine.containers.list(filters={"label": label, "status": "running"}, ignore_removed=True))
            all_there.wait(60)
            return first, running, executor.execute("kept").text

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(work, range(count)))
    assert results == [(f"{number}\n", count, str(number)) for number in range(count)]
    assert wait_until(lambda: not engine.containers.list(all=True, filters={"label": label}, ignore_removed=True))

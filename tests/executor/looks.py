"""What is there: processes, threads, descriptors, notebooks."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import nbformat

from kernel_exec import AsyncExecutor, ExecutionResult, Executor
from kernel_exec.kernels.docker import DockerProvisioner


def runs(pid: int) -> bool:
    """True when the process lives; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def host_pid(ex: Executor | AsyncExecutor, pid: int) -> int:
    """The number that a process has here which has `pid` where an executor's kernel runs."""
    session = (ex if isinstance(ex, AsyncExecutor) else ex._core)._conductor.kernels.session
    assert session is not None
    provisioner = session.kernel._provisioner
    if not isinstance(provisioner, DockerProvisioner):
        return pid
    with contextlib.closing(docker.from_env()) as engine:
        first = engine.containers.get(provisioner.container).attrs["State"]["Pid"]
    namespace = os.readlink(f"/proc/{first}/ns/pid")
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            numbers = (path / "status").read_text().partition("NSpid:")[2].partition("\n")[0].split()
            if int(numbers[-1]) == pid and os.readlink(path / "ns" / "pid") == namespace:
                return int(path.name)
    raise AssertionError(f"no process {pid} is in {provisioner.container}")


def children(pid: int | None = None) -> set[int]:
    """Direct children of a process."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == (pid or os.getpid()) and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


def wait_until(what: Callable[[], Any], seconds: float = 20) -> bool:
    """Wait for something outside this process to become true."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def ended_by_its_deadline(
    ex: Executor, code: str, timeout: float, begun: Callable[[], Any] | None = None
) -> ExecutionResult:
    """Run a cell whose time begins when it has put something out, or when `begun` says so.

    A deadline that counts from the call may be over before a busy machine has run the first line.
    """
    execution = ex.submit(code, timeout=None)
    assert wait_until(begun or execution.outputs, 60)

    async def arm() -> None:
        execution._core.stop.timeout = timeout
        execution._core.stop.arm(None)

    ex._portal.call(arm)
    return execution.result()


def quickest(ask: Callable[[], object], expected: object, seconds: float) -> float:
    """Ask until an answer took less than some seconds, five times at most: a busy machine may hold up any of them.

    Returns:
        How long the quickest took.
    """
    took: list[float] = []
    while len(took) < 5 and min(took, default=seconds) >= seconds:
        start = time.monotonic()
        assert ask() == expected
        took.append(time.monotonic() - start)
    return min(took)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def tasks() -> int:
    """Threads of this process as the operating system counts them, zmq's included."""
    return len(os.listdir("/proc/self/task"))


def python_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())


def notebook(path: Path | None) -> Any:
    """Read and validate a notebook; its bytes must be what JupyterLab would write."""
    assert path is not None
    text = path.read_text(encoding="utf-8")
    read = nbformat.reads(text, as_version=4)
    nbformat.validate(read)
    assert nbformat.writes(read) + "\n" == text or nbformat.writes(read) == text
    assert json.loads(text)["nbformat_minor"] == 5
    return read


def code_cells(path: Path | None) -> list[Any]:
    return [cell for cell in notebook(path).cells if cell.cell_type == "code"]


def left_over(folder: Path) -> list[str]:
    """Files in a folder that only a running recording may have there."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))

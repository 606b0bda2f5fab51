"""The rows about containers. They need an engine, and the image that `make engine` makes."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import docker

from kernel_exec import AsyncExecutor, DockerKernel, HostKernel, Limits
from tests.benchmarks.row import ROUNDS, Row
from tests.containers.elsewhere import elsewhere as engine_elsewhere

MIB = 2**20


async def containers() -> list[Row]:
    """Cold start, warm calls, output, interrupts, closing and files of kernels in containers."""
    engine = docker.from_env()
    cold: dict[str, list[float]] = {"in a container": [], "docker run": []}
    gone: dict[str, list[float]] = {"closed": [], "docker rm -f": []}
    settings = DockerKernel()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        executor = AsyncExecutor(kernel=settings)
        await executor.execute("2")
        cold["in a container"].append(_since(start))
        session = executor._conductor.kernels.session
        assert session is not None
        name = str(session.kernel._provisioner.container)  # type: ignore[attr-defined]
        start = time.perf_counter()
        await executor.close()
        await _until_gone(engine, name)
        gone["closed"].append(_since(start))
        start = time.perf_counter()
        await _docker_run(settings)
        cold["docker run"].append(_since(start))
        gone["docker rm -f"].append(await _docker_rm(settings))
    engine.close()
    rows = [
        Row("container: nothing to first result", "ms", _medians(cold), "docker run", 2.0),
        Row("container: closed, until the engine knows nothing of it", "ms", _medians(gone), "docker rm -f", 1.5),
    ]
    with TemporaryDirectory() as folder:
        async with (
            AsyncExecutor(kernel=settings, workdir=Path(folder) / "box", limits=Limits(artifact_bytes=64 * MIB)) as box,
            AsyncExecutor(kernel=HostKernel(), workdir=Path(folder) / "host") as host,
        ):
            both = {"in a container": box, "on the host": host}
            calls = await _turns(both, lambda executor: executor.execute("x=1"), 200)
            output = await _turns(both, lambda executor: executor.execute("print('x' * 10**6)"), 40)
            interrupt = await _interrupts(both)
            home = {"artifact of 20 MB": [], "copied": []}  # type: dict[str, list[float]]
            for number in range(ROUNDS):
                result = await box.execute(f"open('{number}', 'wb').write(__import__('os').urandom(20_000_000))")
                start = time.perf_counter()
                shutil.copyfile(result.artifacts[0].path, Path(folder) / "copy")
                home["copied"].append(_since(start))
                await box.execute("data = __import__('os').urandom(20_000_000)")
                start = time.perf_counter()
                await box.execute("file = open('again', 'wb'); file.write(data); file.close()")
                home["artifact of 20 MB"].append(_since(start))
    return [
        *rows,
        Row("container: warm call x=1", "ms", calls, "on the host", 1.15),
        Row("container: 1 MB of output", "ms", output, "on the host", 1.15),
        Row("container: interrupt of a busy cell", "ms", interrupt, "on the host", 2.0),
        Row("container: a 20 MB artifact home", "ms", _medians(home), "copied", 3.0),
    ]


async def elsewhere() -> list[Row]:
    """The same session where the engine sees none of the host's files; what it costs is told, nothing is wanted."""
    with engine_elsewhere() as (port, _), TemporaryDirectory() as folder:
        there = AsyncExecutor(kernel=DockerKernel(), workdir=Path(folder) / "there")
        os.environ["DOCKER_HOST"] = f"tcp://127.0.0.1:{port}"
        try:
            await there.start()
        finally:
            del os.environ["DOCKER_HOST"]
        async with there, AsyncExecutor(kernel=DockerKernel(), workdir=Path(folder) / "here") as here:
            both = {"elsewhere": there, "here": here}
            calls = await _turns(both, lambda executor: executor.execute("x=1"), 200)
            output = await _turns(both, lambda executor: executor.execute("print('x' * 10**6)"), 40)
            for executor in both.values():
                await executor.execute("data = __import__('os').urandom(20_000_000)")
            write = "file = open('file', 'wb'); file.write(data); file.close()"
            files = await _turns(both, lambda executor: executor.execute(write), ROUNDS)
    return [
        Row("engine elsewhere: warm call x=1", "ms", calls, "here", None),
        Row("engine elsewhere: 1 MB of output", "ms", output, "here", None),
        Row("engine elsewhere: a 20 MB artifact home", "ms", files, "here", None),
    ]


async def _interrupts(executors: dict[str, AsyncExecutor]) -> dict[str, float]:
    """Return the median milliseconds from an interrupt of a busy cell to its result."""
    samples: dict[str, list[float]] = {name: [] for name in executors}
    for turn in range(ROUNDS):
        for name in list(executors) if turn % 2 else reversed(list(executors)):
            execution = await executors[name].submit("while True: pass")
            while execution.cell is None:
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)  # it is busy by then
            start = time.perf_counter()
            await executors[name].interrupt()
            await execution.result()
            samples[name].append(_since(start))
    return _medians(samples)


async def _turns(
    executors: dict[str, AsyncExecutor], do: Callable[[AsyncExecutor], Awaitable[object]], rounds: int
) -> dict[str, float]:
    samples: dict[str, list[float]] = {name: [] for name in executors}
    for turn in range(rounds):
        for name in list(executors) if turn % 2 else reversed(list(executors)):
            start = time.perf_counter()
            await do(executors[name])
            samples[name].append(_since(start))
    return _medians(samples)


def _limits(settings: DockerKernel) -> list[str]:
    return [
        *("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--memory", str(settings.memory), "--cpus", str(settings.cpus), "--pids-limit", str(settings.pids)),
    ]


async def _docker_run(settings: DockerKernel) -> None:
    command = ["run", "--rm", "--pull=never", *_limits(settings), settings.image, "python3", "-c", "print(2)"]
    assert await _docker(*command) == b"2\n"


async def _docker_rm(settings: DockerKernel) -> float:
    """Milliseconds in which a container that runs is removed."""
    command = ["run", "-d", "--pull=never", *_limits(settings), settings.image, "sleep", "60"]
    name = (await _docker(*command)).decode().strip()
    start = time.perf_counter()
    await _docker("rm", "-f", name)
    return _since(start)


async def _docker(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec("docker", *arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out


async def _until_gone(engine: Any, name: str) -> None:
    while True:
        try:
            await asyncio.to_thread(engine.api.inspect_container, name)
        except docker.errors.NotFound:
            return


def _since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def _medians(samples: dict[str, list[float]]) -> dict[str, float]:
    return {name: median(values[1:]) for name, values in samples.items()}

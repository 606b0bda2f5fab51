"""The rows of the table, one function each. Contenders take turns, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import psutil

from kernel_exec import AsyncExecutor, Limits
from kernel_exec.recording import Recorder, code_cell
from tests.benchmarks import beside, boxes, control, notebooks, peers, viewing
from tests.benchmarks.peers import OURS, RECORDED, Contender, Run
from tests.benchmarks.row import ROUNDS, Row

Samples = dict[str, list[float]]


async def idle() -> list[Row]:
    """CPU time of an open executor with nothing to do, beyond that of the same loop without it; and of its kernel."""
    bare = await _cpu_per_second([psutil.Process()])
    async with AsyncExecutor() as executor:
        await executor.execute("x = 1")
        await asyncio.sleep(2)  # what the start left to do: collecting garbage, closing files
        idle = await _cpu_per_second([psutil.Process()])
        kernel = await _cpu_per_second(psutil.Process().children(recursive=True))
    medians = {OURS: max(0.0, idle - bare), "its kernel and supervisor": kernel}
    return [Row("idle executor: CPU time per second", "ms", medians, None, 1.0)]


async def first_result() -> list[Row]:
    """From nothing to the result of the first cell; the libraries are imported."""
    contenders: dict[str, Contender] = {
        RECORDED: peers.recorded,
        "nbclient": peers.nbclient,
        "AutoGen": peers.autogen,
        "jupyter_client": peers.jupyter_client,
    }
    samples: Samples = {name: [] for name in contenders}
    for turn in range(ROUNDS + 1):
        for name in _rotated(contenders, turn):
            start = time.perf_counter()
            async with contenders[name]() as run:
                await run("1+1")
                samples[name].append(1000 * (time.perf_counter() - start))
    medians = _medians(samples, skip=1)  # the first round fills caches of the file system
    rival = min(list(medians)[1:], key=lambda name: medians[name])
    return [Row("nothing to first result", "ms", medians, rival, 0.75)]


async def warm_call() -> list[Row]:
    """`x=1` in a kernel that is up."""
    contenders: dict[str, Contender] = {
        OURS: peers.unrecorded,
        RECORDED: peers.recorded,
        "nbclient": peers.nbclient,
    }
    async with AsyncExitStack() as stack:
        runs = {name: await stack.enter_async_context(make()) for name, make in contenders.items()}
        samples: Samples = {name: [] for name in runs}
        for turn in range(ROUNDS * 10):
            for name in _rotated(runs, turn):
                start = time.perf_counter()
                await runs[name]("x=1")
                samples[name].append(1000 * (time.perf_counter() - start))
    medians = _medians(samples, skip=10)
    of = len(samples[OURS]) - 10
    return [
        Row(f"warm call x=1{suffix}", "ms", {n: medians[n] for n in (name, "nbclient")}, "nbclient", target, rounds=of)
        for name, suffix, target in ((OURS, ", unrecorded", 0.95), (RECORDED, ", recorded", 1.1))
    ]


async def many_kernels(kernels: int = 50, calls: int = 20) -> list[Row]:
    """Calls per second of one process with many kernels that all work. Both sides talk over ipc."""
    contenders: dict[str, Contender] = {
        OURS: peers.unrecorded,
        "AsyncKernelClient": peers.jupyter_client_ipc,
    }
    async with AsyncExitStack() as stack:
        crowds = {n: await stack.enter_async_context(_crowd(c, kernels)) for n, c in contenders.items()}
        samples: Samples = {name: [] for name in crowds}
        for turn in range(ROUNDS + 1):
            for name in _rotated(crowds, turn):
                start = time.perf_counter()
                await asyncio.gather(*(_repeat(run, calls) for run in crowds[name]))
                samples[name].append(kernels * calls / (time.perf_counter() - start))
    medians = _medians(samples, skip=1)
    measure = f"{kernels} kernels x {calls} calls, one process"
    return [Row(measure, "calls/s", medians, "AsyncKernelClient", 1.3, at_least=True)]


async def recording() -> list[Row]:
    """Writing one finished cell down, synced: early and late in a session, and nbformat.write late in it."""
    samples: Samples = {"cell 1000": [], "cell 10": [], "nbformat.write": []}
    for _ in range(ROUNDS):
        with TemporaryDirectory() as folder:
            times = _record(Path(folder) / "session.ipynb", 1005)
            samples["cell 10"] += times[5:15]
            samples["cell 1000"] += times[995:1005]
            samples["nbformat.write"].append(_rewrite(Path(folder) / "session.ipynb"))
    medians = _medians(samples, skip=0)
    growth = {name: medians[name] for name in ("cell 1000", "cell 10")}
    against = {name: medians[name] for name in ("cell 1000", "nbformat.write")}
    return [
        Row("recording, cell 1000 against cell 10", "ms", growth, "cell 10", 1.5),
        Row("recording, cell 1000 against nbformat.write", "ms", against, "nbformat.write", 0.1),
    ]


async def state() -> list[Row]:
    """A data frame out of the kernel into one here; and what variables there are, beside a warm call."""
    samples: Samples = {"get": [], "parquet through a file": [], "variables()": [], "warm call x=1": []}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "frame.parquet"
        contenders: dict[str, Callable[[AsyncExecutor], Awaitable[object]]] = {
            "get": lambda executor: executor.get("frame"),
            "parquet through a file": lambda executor: _through_parquet(executor, file),
            "variables()": lambda executor: executor.variables(),
            "warm call x=1": lambda executor: executor.execute("x=1"),
        }
        async with AsyncExecutor(notebook=False) as executor:
            await executor.execute(_FRAME)
            for turn in range(ROUNDS + 2):
                for name in _rotated(contenders, turn):
                    start = time.perf_counter()
                    await contenders[name](executor)
                    samples[name].append(1000 * (time.perf_counter() - start))
    medians = _medians(samples, skip=2)  # the first rounds import pandas and pyarrow on both sides
    values = {name: medians[name] for name in ("get", "parquet through a file")}
    names = {name: medians[name] for name in ("variables()", "warm call x=1")}
    return [
        Row("get of a 1,000,000 x 10 DataFrame", "ms", values, "parquet through a file", 1.0),
        Row("variables()", "ms", names, "warm call x=1", 1.5),
    ]


async def much_output() -> list[Row]:
    """100 MB in one print, and by how many MiB this process grows: each in a kernel that is up."""
    contenders: dict[str, Contender] = {RECORDED: peers.recorded, "nbclient": peers.nbclient}
    samples: Samples = {name: [] for name in contenders}
    growth: Samples = {name: [] for name in contenders}
    async with AsyncExitStack() as stack:
        runs = {name: await stack.enter_async_context(make()) for name, make in contenders.items()}
        for turn in range(ROUNDS):
            for name in _rotated(runs, turn):
                await runs[name]("x=1")
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
                before, start = _memory("VmRSS"), time.perf_counter()
                await runs[name]("print('x' * 10**8)")
                samples[name].append(1000 * (time.perf_counter() - start))
                growth[name].append((_memory("VmHWM") - before) / 1024)
    most = {name: max(values) for name, values in growth.items()}
    return [
        Row("100 MB in one print", "ms", _medians(samples, skip=0), "nbclient", 0.5),
        Row("the same, growth of the client", "MiB", {RECORDED: most[RECORDED]}, None, 32),
        Row("the same, growth of the client", "MiB", most, "nbclient", 0.1),
    ]


async def many_files(files: int = 100_000) -> list[Row]:
    """A cell that writes nothing, with many files in the work directory, and with none."""
    with TemporaryDirectory() as folder:
        empty, full = Path(folder) / "empty", Path(folder) / "full"
        full.mkdir()
        for number in range(files):
            (full / f"{number}.txt").touch()
        makers = {f"{files:,} files": AsyncExecutor(workdir=full), "no files": AsyncExecutor(workdir=empty)}
        medians = await _taking_turns(makers)
    return [Row("artifacts: a cell that writes nothing", "ms", medians, "no files", 1.2)]


async def limits() -> list[Row]:
    """A warm call under all limits, and under none."""
    on = Limits(memory=2 * 2**30, cpus=1)
    off = Limits(text=None, output_bytes=2**40, image_bytes=2**40, artifact_bytes=2**40)
    with TemporaryDirectory() as folder:
        makers = {
            "limits on": AsyncExecutor(limits=on, workdir=Path(folder) / "on"),
            "limits off": AsyncExecutor(limits=off, workdir=Path(folder) / "off"),
        }
        medians = await _taking_turns(makers)
    return [Row("warm call, limits on, nothing exceeded", "ms", medians, "limits off", 1.05)]


ALL = (
    *(idle, first_result, warm_call, many_kernels, recording, state, much_output, many_files, limits),
    *(boxes.containers, boxes.elsewhere, notebooks.replays, beside.magics, viewing.view, viewing.watched),
    *(control.policies, control.retries, control.metrics),
)

_FRAME = """
import numpy as np, pandas as pd
frame = pd.DataFrame(np.random.default_rng(1).random((1_000_000, 10)), columns=list("abcdefghij"))
"""


async def _taking_turns(executors: Mapping[str, AsyncExecutor], calls: int = 300) -> dict[str, float]:
    """Return the median milliseconds of a warm call in each of the executors."""
    samples: Samples = {name: [] for name in executors}
    async with AsyncExitStack() as stack:
        for executor in executors.values():
            await stack.enter_async_context(executor)
        for turn in range(calls):
            for name in _rotated(executors, turn):
                start = time.perf_counter()
                await executors[name].execute("x=1")
                samples[name].append(1000 * (time.perf_counter() - start))
    return _medians(samples, skip=10)


def _memory(what: str) -> int:
    """KiB that this process holds (VmRSS), or has held at most (VmHWM)."""
    return int(Path("/proc/self/status").read_text("ascii").partition(what + ":")[2].split()[0])


async def _through_parquet(executor: AsyncExecutor, file: Path) -> object:
    """What one does by hand: the kernel writes a file, and it is read here."""
    import pandas as pd

    (await executor.execute(f"frame.to_parquet({str(file)!r})")).raise_for_error()
    return await asyncio.to_thread(pd.read_parquet, file)


@asynccontextmanager
async def _crowd(contender: Contender, size: int) -> AsyncIterator[list[Run]]:
    """Start `size` kernels, a few at a time, and end them likewise."""
    few = asyncio.Semaphore(4)
    ended = asyncio.Event()
    ready: list[asyncio.Future[Run]] = [asyncio.get_running_loop().create_future() for _ in range(size)]

    async def live(run: asyncio.Future[Run]) -> None:
        async with AsyncExitStack() as stack:
            async with few:
                run.set_result(await stack.enter_async_context(contender()))
            await ended.wait()
            await few.acquire()
        few.release()

    async with asyncio.TaskGroup() as group:
        for future in ready:
            group.create_task(live(future))
        yield [await future for future in ready]
        ended.set()


async def _repeat(run: Run, calls: int) -> None:
    for _ in range(calls):
        await run("x=1")


def _rotated(contenders: Mapping[str, Any], turn: int) -> list[str]:
    """Return the names in an order that changes with every turn."""
    names = list(contenders)
    return names[turn % len(names) :] + names[: turn % len(names)]


def _medians(samples: Samples, *, skip: int) -> dict[str, float]:
    return {name: median(values[skip:]) for name, values in samples.items()}


async def _cpu_per_second(processes: Sequence[psutil.Process]) -> float:
    """Median of the CPU milliseconds that processes take in a second in which this one sleeps."""
    times = []
    for _ in range(ROUNDS):
        before = sum(map(_cpu_ms, processes))
        await asyncio.sleep(1)
        times.append(sum(map(_cpu_ms, processes)) - before)
    return median(times)


def _cpu_ms(process: psutil.Process) -> float:
    """CPU milliseconds of all threads so far, by the scheduler's own count in nanoseconds."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def _cell(number: int) -> dict[str, Any]:
    """A cell with 4 kB of output, as a table has."""
    output = {"output_type": "stream", "name": "stdout", "text": f"{number:5d} {'0123456789 ' * 9}\n" * 38}
    return code_cell(f"cell-{number}", f"show({number})", [output], number, {})


def _record(path: Path, cells: int) -> list[float]:
    """Record `cells` cells; return the milliseconds of each."""
    recorder = Recorder(path)
    recorder.open({"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    times = []
    for number in range(cells):
        cell = _cell(number)
        start = time.perf_counter()
        recorder.write(cell)
        times.append(1000 * (time.perf_counter() - start))
    recorder.close()
    return times


def _rewrite(path: Path) -> float:
    """Return the milliseconds that nbformat takes to write the same notebook."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    nbformat.write(notebook, path.with_name("rewritten.ipynb"))
    return 1000 * (time.perf_counter() - start)

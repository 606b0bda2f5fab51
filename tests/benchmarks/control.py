"""Rows about what a session is controlled with: a policy, trying again, metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from kernel_exec import AsyncExecutor, Policy, Proposal, Retry
from tests.benchmarks.row import Row

CALLS = 200
LINES = "\n".join(f"value_{number} = [x * {number} for x in range(10)]  # a line as any other" for number in range(98))
CELL = f"import math\nimport json\n{LINES}"
FAILS = "1 / 0"


def _allow(proposal: Proposal) -> bool:
    return len(proposal.code) > 0


POLICY = Policy(
    max_length=100_000,
    patterns=[re.compile(rf"forbidden_{number}\s*\(") for number in range(40)],
    blocked_imports=["subprocess", "ctypes", "socket", "multiprocessing", "pty", "shutil"],
    shell=False,
    rules=[_allow, _allow],
)
"""Fifty rules: 40 patterns, 6 modules, a length, the shell, and two functions."""


async def policies() -> list[Row]:
    """A cell of 100 lines that 50 rules are asked about, and the same without."""
    with TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            executors = {
                "50 rules": AsyncExecutor(workdir=Path(folder) / "policy", policy=POLICY),
                "no policy": AsyncExecutor(workdir=Path(folder) / "none"),
            }
            for executor in executors.values():
                await stack.enter_async_context(executor)
            calls = {name: _calling(executor) for name, executor in executors.items()}
            medians = await _taking_turns(calls)
    return [Row("a cell of 100 lines, 50 rules", "ms", medians, "no policy", 1.05, rounds=CALLS)]


async def retries() -> list[Row]:
    """A cell that fails, tried twice at once by `retry`, and called twice."""

    async def again() -> None:
        result = await executor.execute(FAILS, retry=Retry(attempts=2, backoff=0))
        assert result.attempts == 2

    async def twice() -> None:
        for _ in range(2):
            await executor.execute(FAILS)

    with TemporaryDirectory() as folder:
        async with AsyncExecutor(workdir=folder) as executor:
            medians = await _taking_turns({"retry": again, "two calls": twice})
    return [Row("two attempts, without back-off", "ms", medians, "two calls", 1.05, rounds=CALLS)]


async def metrics() -> list[Row]:
    """A short cell with metrics on, and off."""
    with TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            executors = {
                "metrics on": AsyncExecutor(workdir=Path(folder) / "on", monitoring_interval=1),
                "metrics off": AsyncExecutor(workdir=Path(folder) / "off"),
            }
            for executor in executors.values():
                await stack.enter_async_context(executor)
            medians = await _taking_turns({name: _calling(ex, "1 + 1") for name, ex in executors.items()}, 5 * CALLS)
    return [Row("a short cell, sampled each second", "ms", medians, "metrics off", 1.02, rounds=5 * CALLS)]


def _calling(executor: AsyncExecutor, code: str = CELL) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        (await executor.execute(code)).raise_for_error()

    return call


async def _taking_turns(calls: dict[str, Callable[[], Awaitable[None]]], count: int = CALLS) -> dict[str, float]:
    """Return the median milliseconds of each."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(count + 10):
        names = list(calls) if turn % 2 else list(calls)[::-1]
        for name in names:
            start = time.perf_counter()
            await calls[name]()
            samples[name].append(1000 * (time.perf_counter() - start))
    return {name: median(values[10:]) for name, values in samples.items()}

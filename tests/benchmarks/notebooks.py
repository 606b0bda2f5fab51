"""Rows of what notebooks do with us."""

from __future__ import annotations

import time
from statistics import median

from tests.benchmarks import peers
from tests.benchmarks.row import ROUNDS, Row

THEIRS = "a cell of the notebook"


async def magics() -> list[Row]:
    """`x=1` in a session beside a notebook, by `%%kx`, and in the notebook itself: in one kernel, by nbclient."""
    codes = {"%%kx": "%%kx\nx=1", THEIRS: "x=1"}
    samples: dict[str, list[float]] = {name: [] for name in codes}
    async with peers.nbclient() as run:
        await run("%load_ext kernel_exec.magics")
        for turn in range(ROUNDS * 10):
            for name in sorted(codes, reverse=bool(turn % 2)):
                start = time.perf_counter()
                await run(codes[name])
                samples[name].append(1000 * (time.perf_counter() - start))
    medians = {name: median(values[10:]) for name, values in samples.items()}
    return [Row("%%kx with x=1, in a notebook", "ms", medians, THEIRS, 1.5, rounds=ROUNDS * 10 - 10)]

"""Looking at a session: how long a page takes to be made, and what the session feels of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from kernel_exec import AsyncExecutor
from kernel_exec.recording import Recorder, code_cell, markdown_cell
from kernel_exec.viewing.follow import Follower
from tests.benchmarks.row import Row

_CELLS = 1000
_ROUNDS = 5
_SOURCE = """import pandas as pd
by_city = weather.groupby('city').agg({'rain': 'mean', 'wind': 'max'})
for name, row in by_city.iterrows():
    print(f'{name:10} {row.rain:.2f}')  # in mm
by_city.head(%d)
"""


async def view() -> list[Row]:
    """From the command to the page of a session of 1,000 cells; and what one more cell costs who follows it live."""
    with TemporaryDirectory() as folder:
        notebook = Path(folder, "session.ipynb")
        _record(notebook, _CELLS)
        programs = {
            "kernel-exec view": [
                sys.executable,
                "-m",
                "kernel_exec.cli",
                "view",
                str(notebook),
                "-o",
                f"{folder}/a.html",
            ],
            "nbconvert --to html": [sys.executable, "-m", "nbconvert", "--to", "html", str(notebook), "--output", "b"],
        }
        samples: dict[str, list[float]] = {name: [] for name in programs}
        for turn in range(_ROUNDS + 1):
            for name in list(programs)[:: 1 if turn % 2 else -1]:
                start = time.perf_counter()
                subprocess.run(programs[name], check=True, capture_output=True)
                samples[name].append(time.perf_counter() - start)
        change = {
            f"session of {cells:,} cells": _change(Path(folder, f"{cells}.ipynb"), cells) for cells in (_CELLS, 10)
        }
    made = {name: median(values[1:]) for name, values in samples.items()}
    return [
        Row("page of a session of 1,000 cells, as a command", "s", made, "nbconvert --to html", 0.5, rounds=_ROUNDS),
        Row("live page: one more cell", "ms", change, "session of 10 cells", None, rounds=20),
    ]


async def watched() -> list[Row]:
    """A recorded warm call in a session that somebody looks at live, and in one that nobody looks at."""
    samples: dict[str, list[float]] = {"watched": [], "not watched": []}
    with TemporaryDirectory() as folder:
        async with AsyncExecutor(workdir=folder) as executor:
            for turn in range(11):
                with _looking(executor.notebook_path if turn % 2 else None):
                    await asyncio.sleep(0.5)
                    times = []
                    for _ in range(60):
                        start = time.perf_counter()
                        await executor.execute("x=1")
                        times.append(1000 * (time.perf_counter() - start))
                if turn:
                    samples["watched" if turn % 2 else "not watched"] += times[10:]
    medians = {name: median(values) for name, values in samples.items()}
    return [Row("warm call, recorded, of a session watched live", "ms", medians, "not watched", 1.1, rounds=250)]


def _record(path: Path, cells: int) -> Recorder:
    """Record a session, as analyses are; return its recorder, which is closed."""
    recorder = Recorder(path)
    recorder.open({"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    for number in range(cells):
        recorder.write(_cell(number))
    recorder.close()
    return recorder


def _cell(number: int) -> dict[str, Any]:
    if number % 10 == 0:
        return markdown_cell(
            f"c{number}", f"## Part {number}\n\nSome *text* about **it**, with `code`.\n\n- one\n- two\n"
        )
    lines = "".join(f"Ulm{line:3}   {line / 2:.2f}\n" for line in range(15))
    outputs: list[dict[str, Any]] = [{"output_type": "stream", "name": "stdout", "text": lines}]
    if number % 3 == 0:
        rows = "".join(f"<tr><th>{row}</th>{''.join(f'<td>{row / 7:.6f}</td>' * 5)}</tr>" for row in range(8))
        html = f'<table border="1" class="dataframe"><tbody>{rows}</tbody></table>'
        outputs.append(
            {"output_type": "display_data", "data": {"text/html": html, "text/plain": "..."}, "metadata": {}}
        )
    facts = {"status": "ok", "duration": 0.01, "peak_memory": 50_000_000, "state_preserved": True}
    return code_cell(f"c{number}", _SOURCE % number, outputs, number, {"kernel_exec": facts})


def _change(path: Path, cells: int) -> float:
    """Return the milliseconds that a new cell costs who follows the session."""
    recorder = Recorder(path)
    recorder.open({})
    for number in range(cells):
        recorder.write(_cell(number))
    follower, times = Follower(path), []
    follower.look()
    for number in range(20):
        recorder.write(_cell(cells + number))
        start = time.perf_counter()
        follower.look()
        follower.snapshot.update(follower.snapshot.version - 1)
        times.append(1000 * (time.perf_counter() - start))
    recorder.close()
    return median(times)


@contextmanager
def _looking(notebook: Path | None) -> Iterator[None]:
    """Serve a notebook live in another process, and look at it; None to do nothing."""
    if notebook is None:
        yield
        return
    command = [sys.executable, "-m", "kernel_exec.cli", "view", "--live", str(notebook)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        # In a process of its own, as a browser is.
        url = server.stdout.readline().strip()
        read = f"import urllib.request; urllib.request.urlopen({url + 'events?seen=-'!r}).read()"
        with subprocess.Popen([sys.executable, "-c", read], stderr=subprocess.DEVNULL) as browser:
            try:
                yield
            finally:
                server.terminate()
                browser.wait()

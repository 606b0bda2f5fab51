"""Looking at a session: how long a page takes to be made, and what the session feels of it."""

from __future__ import annotations

import asyncio
import signal
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
            assert executor.notebook_path is not None
            with _looking(executor.notebook_path) as server:
                await asyncio.sleep(1)
                for turn in range(80):
                    name = list(samples)[turn % 2]
                    server.send_signal(signal.SIGCONT if name == "watched" else signal.SIGSTOP)
                    for _ in range(20):
                        start = time.perf_counter()
                        await executor.execute("x=1")
                        samples[name].append(1000 * (time.perf_counter() - start))
                server.send_signal(signal.SIGCONT)
    medians = {name: median(values[20:]) for name, values in samples.items()}
    return [Row("warm call, recorded, of a session watched live", "ms", medians, "not watched", 1.1, rounds=780)]


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
def _looking(notebook: Path) -> Iterator[subprocess.Popen[str]]:
    """Serve a notebook live, and look at it, in processes of their own; the value is the server's."""
    command = [sys.executable, "-m", "kernel_exec.cli", "view", "--live", str(notebook)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        read = f"import urllib.request; urllib.request.urlopen({url + 'events?seen=-'!r}).read()"
        with subprocess.Popen([sys.executable, "-c", read], stderr=subprocess.DEVNULL) as browser:
            try:
                yield server
            finally:
                server.terminate()
                browser.wait()

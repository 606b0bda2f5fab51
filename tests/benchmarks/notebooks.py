"""The rows about notebooks that are run again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import papermill
from nbclient import NotebookClient

from kernel_exec import AsyncExecutor, areplay, averify, replay
from kernel_exec.replays.many import side_by_side
from tests.benchmarks.row import Row

TURNS = 5
CELLS = 50
MANY = 20
IMAGES = 20


async def replays() -> list[Row]:
    """Notebooks that are run again: one, many, and compared."""
    return [_one(), await _many(), await _verified()]


def _one() -> Row:
    """A notebook of 50 cells, from the file to the file."""
    with TemporaryDirectory() as folder:
        path = _notebook(Path(folder) / "n.ipynb", [f"x = {number}\nprint(x)" for number in range(CELLS)])
        output = Path(folder) / "out.ipynb"

        def ours() -> None:
            output.unlink(missing_ok=True)
            assert replay(path, output=output).ok

        contenders: dict[str, Callable[[], object]] = {
            "replay": ours,
            "nbclient": lambda: _by_nbclient(path, output),
            "papermill": lambda: papermill.execute_notebook(path, output, progress_bar=False),
        }
        samples: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(TURNS + 1):
            for name in list(contenders) if turn % 2 else reversed(list(contenders)):
                start = time.perf_counter()
                contenders[name]()
                samples[name].append(1000 * (time.perf_counter() - start))
    medians = {name: median(values[1:]) for name, values in samples.items()}
    rival = min("nbclient", "papermill", key=lambda name: medians[name])
    return Row(f"replay of a notebook of {CELLS} cells", "ms", medians, rival, 0.8, rounds=TURNS)


async def _many() -> Row:
    """20 notebooks, two at a time, and one after the other."""
    samples: dict[str, list[float]] = {"side by side": [], "one after the other": []}
    work = "import time\ntotal = sum(i * i for i in range(1_000_000))\nprint(total)"
    with TemporaryDirectory() as folder:
        paths = [_notebook(Path(folder) / f"{number}.ipynb", [work] * 3) for number in range(MANY)]

        async def run(path: Path) -> bool:
            path.with_name(f"{path.stem}.replay.ipynb").unlink(missing_ok=True)
            return (await areplay(path)).ok

        for _ in range(2):
            for name, jobs in (("side by side", 2), ("one after the other", 1)):
                start = time.perf_counter()
                assert all(await side_by_side(paths, run, jobs=jobs))
                samples[name].append(1000 * (time.perf_counter() - start))
    medians = {name: min(values) for name, values in samples.items()}
    return Row(f"replay of {MANY} notebooks on 2 cores", "ms", medians, "one after the other", 0.6, rounds=2)


async def _verified() -> Row:
    """What comparing takes beyond running, for a notebook with 20 pictures."""
    samples: dict[str, list[float]] = {"compared": [], "run": []}
    plot = "plt.plot(np.cumsum(np.random.default_rng({n}).normal(size=200))); plt.title('{n}'); plt.show()"
    with TemporaryDirectory() as folder:
        async with AsyncExecutor(workdir=folder) as executor:
            await executor.execute("import numpy as np, matplotlib.pyplot as plt")
            for number in range(IMAGES):
                await executor.execute(plot.format(n=number))
        path = Path(folder) / "session.ipynb"
        for _ in range(TURNS + 1):
            start = time.perf_counter()
            path.with_name("session.replay.ipynb").unlink(missing_ok=True)
            await areplay(path)
            middle = time.perf_counter()
            assert (await averify(path)).ok
            samples["run"].append(1000 * (middle - start))
            samples["compared"].append(1000 * (time.perf_counter() - middle))
    medians = {name: median(values[1:]) for name, values in samples.items()}
    return Row(f"verify, with {IMAGES} pictures", "ms", medians, "run", 1.1, rounds=TURNS)


def _by_nbclient(path: Path, output: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}).execute()
    nbformat.write(notebook, output)


def _notebook(path: Path, sources: list[str]) -> Path:
    cells: list[Any] = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path

"""Notebooks that others wrote, replayed; each beside a run by the program that its authors wrote it for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.exceptions import PapermillExecutionError

from kernel_exec import Replay, replay
from kernel_exec.compare import cell_differences
from kernel_exec.kernels.host import HostProvisioner
from tests.conformance.observed import launch_noted

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # of notebooks from before ids, and of the libraries that run them
]

PATIENCE = 60.0
NBCLIENT = {
    "Autokill.ipynb": "kills its own kernel: nbclient ends without a notebook",
    "Interrupt.ipynb": "runs until somebody interrupts it",
    "Parallel Execute A.ipynb": "waits for the other one, in a directory that its test names",
    "Parallel Execute B.ipynb": "waits for the other one, in a directory that its test names",
}
"""Notebooks of nbclient that cannot be compared, and why."""
PAPERMILL = {
    "binder.ipynb": "runs papermill on its own sources",
    "blank-vscode.ipynb": "names no kernel, which papermill refuses",
    "keyboard_interrupt.ipynb": "sleeps until somebody interrupts it",
    "notimplemented_translator.ipynb": "is in R",
}
"""Notebooks of papermill that cannot be compared, and why."""

Runner = Callable[[Path, Path], Any]


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Our provisioner's launches."""
    launched: list[str] = []
    monkeypatch.setattr(HostProvisioner, "launch_kernel", launch_noted(HostProvisioner, launched.append))
    return launched


def by_nbclient(path: Path, folder: Path) -> Any:
    """Run a notebook by nbclient; return it."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    with suppress(CellExecutionError):
        NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(path.parent)}}).execute()
    return notebook


def by_papermill(path: Path, folder: Path) -> Any:
    """Run a notebook by papermill's own engine; return what it wrote."""
    with suppress(PapermillExecutionError):
        papermill.execute_notebook(
            path, folder / "theirs.ipynb", progress_bar=False, cwd=path.parent, execution_timeout=PATIENCE
        )
    return nbformat.read(folder / "theirs.ipynb", 4)


def test_those_of_nbclient(nbclient_source: Path, tmp_path: Path, launches: list[str]) -> None:
    compared = compare(nbclient_source / "tests" / "files", tmp_path, by_nbclient, NBCLIENT)
    assert len(launches) == compared >= 16


def test_those_of_papermill(papermill_source: Path, tmp_path: Path, launches: list[str]) -> None:
    compared = compare(papermill_source / "papermill" / "tests" / "notebooks", tmp_path, by_papermill, PAPERMILL)
    assert len(launches) == compared >= 20


def compare(folder: Path, results: Path, runner: Runner, but: Mapping[str, str]) -> int:
    """Run the notebooks of a directory in both ways, and assert that both give the same; return how many there are."""
    paths = sorted(folder.rglob("*.ipynb"))
    assert set(but) <= {path.name for path in paths}
    wrong: dict[str, list[str]] = {}
    compared = [path for path in paths if path.name not in but]
    for path in compared:
        theirs = runner(path, results)
        ours = replay(path, output=results / "ours" / path.name, workdir=path.parent, timeout=PATIENCE)
        if found := list(differences(theirs, ours)):
            wrong[path.name] = found
    assert not wrong
    print(f"{len(compared)} of {len(paths)} notebooks come out as {runner.__name__}; not compared: {but}")
    return len(compared)


def differences(theirs: Any, ours: Replay) -> Iterator[str]:
    """Tell how a replay went otherwise than a run by others."""
    recorded = nbformat.read(ours.notebook_path, 4)
    pairs = zip(code_of(theirs), code_of(recorded), ours.cells, strict=True)
    for index, (their_cell, cell, played) in enumerate(pairs):
        counts = their_cell.execution_count, cell.execution_count
        if counts[0] != counts[1]:
            yield f"cell {index}: number {counts[0]} -> {counts[1]}"
        yield from (f"cell {index}: {difference}" for difference in cell_differences(their_cell, cell))
        status = "skipped" if counts[0] is None else "error" if has_failed(their_cell) else "ok"
        if played.status != status:
            yield f"cell {index}: {status} -> {played.status} ({played.reason})"


def has_failed(cell: Any) -> bool:
    """Whether a cell that was run failed; IPython tells of magics that there are not as text."""
    return any(
        output.output_type == "error" or output.get("text", "").startswith("UsageError") for output in cell.outputs
    )


def code_of(notebook: Any) -> list[Any]:
    """Return the cells of code of the notebook that was run; papermill has added texts, we none."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]

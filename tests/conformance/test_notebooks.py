"""nbclient's notebooks run by our executor; the recordings are compared by nbclient's own measure."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernel_exec import ExecutionResult, Executor, HostKernel, ResultNotReady

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:Cell is missing an id"),  # they are older than ids
]

WIDTH = {"COLUMNS": "80", "LINES": "24"}
"""The terminal that the recorded tracebacks were made for."""


@pytest.fixture
def their_tests(nbclient_source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """nbclient's module of tests: its list of notebooks, and its way to compare two."""
    package = nbclient_source / "tests"
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "tests"}
    try:
        module = importlib.import_module("tests.test_client")
        assert Path(module.__file__ or "").parent == package
        yield module
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
            del sys.modules[name]
        sys.modules.update(before)


def test_its_notebooks_come_out_the_same(their_tests: Any, nbclient_source: Path, tmp_path: Path) -> None:
    folder = nbclient_source / "tests" / "files"
    listed = [getattr(case, "values", case) for case in cases(their_tests.test_run_all_notebooks)]
    assert len(listed) >= 16
    for name, options in listed:
        recorded = run(nbformat.read(folder / name, 4), folder, tmp_path / name, options)
        try:
            expected = nbformat.read(folder / name, 4)
            their_tests.assert_notebooks_equal(expected, copy.deepcopy(recorded))
        except AssertionError:  # what was released is older than the IPython here: what does nbclient get from it?
            _, expected = their_tests.run_notebook(folder / name, options, their_tests.notebook_resources())
            their_tests.assert_notebooks_equal(expected, recorded)


def cases(test: Any) -> list[Any]:
    """Return what a test is parametrised with."""
    (mark,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
    return list(mark.args[1])


def run(notebook: Any, folder: Path, recording: Path, options: dict[str, Any]) -> Any:
    """Run a notebook as nbclient does; return it with the outputs that our recording holds."""
    with Executor(HostKernel(env=WIDTH), workdir=folder, notebook=recording) as executor:
        cells = [run_cell(executor, cell, options) for cell in notebook.cells]
    recorded = {cell.id: cell for cell in nbformat.read(recording, 4).cells}
    return {"cells": [recorded.get(cell.get("id"), cell) for cell in cells]}


def run_cell(executor: Executor, cell: Any, options: dict[str, Any]) -> Any:
    """Run a cell; return it as not yet run, with the id that it has in the recording."""
    cell = copy.deepcopy(cell)
    if cell.cell_type != "code":
        return cell
    cell.update(outputs=[], execution_count=None, id="not run")
    tags = cell.metadata.get("tags", [])
    if cell.source.strip() and "skip-execution" not in tags:
        result = executed(executor, cell.source, options.get("timeout"))
        assert result.ok or options.get("allow_errors") or "raises-exception" in tags, result.text
        cell.id = result.cell_id
    return cell


def executed(executor: Executor, source: str, timeout: float | None) -> ExecutionResult:
    """Run code; after `timeout` seconds interrupt it as somebody at a notebook would."""
    execution = executor.submit(source, timeout=60)
    try:
        return execution.result(timeout)
    except ResultNotReady:
        executor.interrupt()
        return execution.result()

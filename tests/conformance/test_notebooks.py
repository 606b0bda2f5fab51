"""nbclient's notebooks run by our executor; the recordings are compared by nbclient's own measure."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernel_exec import DockerKernel, ExecutionResult, Executor, ResultNotReady
from kernel_exec.kernels.docker import DockerProvisioner
from kernel_exec.kernels.host import HostProvisioner
from kernel_exec.kernels.kinds import KernelSettings
from tests.conformance.observed import launch_noted
from tests.libraries import with_libraries

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.everywhere(soon=True),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:Cell is missing an id"),  # they are older than ids
]

LOOKS = {"COLUMNS": "80", "LINES": "24", "IPYKERNEL_CELL_NAME": "<IPY-INPUT>"}
"""What nbclient's tests set, so that tracebacks look as in their notebooks."""


@pytest.fixture
def their_tests(nbclient_source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """nbclient's module of tests: its list of notebooks, and its way to compare two."""
    package = nbclient_source / "tests"
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    monkeypatch.setenv("IPYKERNEL_CELL_NAME", LOOKS["IPYKERNEL_CELL_NAME"])
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "tests"}
    try:
        module = importlib.import_module("tests.test_client")
        assert Path(module.__file__ or "").parent == package
        yield module
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
            del sys.modules[name]
        sys.modules.update(before)


def test_its_notebooks_come_out_the_same(
    their_tests: Any, nbclient_source: Path, kernel: KernelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[str] = []
    provisioner = DockerProvisioner if isinstance(kernel, DockerKernel) else HostProvisioner
    monkeypatch.setattr(provisioner, "launch_kernel", launch_noted(provisioner, launched.append))
    kernel = with_libraries(dataclasses.replace(kernel, env=LOOKS), "ipywidgets")
    folder = nbclient_source / "tests" / "files"
    listed = [getattr(case, "values", case) for case in cases(their_tests.test_run_all_notebooks)]
    assert len(listed) >= 16
    for name, options in listed:
        recorded = run(kernel, nbformat.read(folder / name, 4), folder, tmp_path / name, options)
        try:
            compare(their_tests, folder / name, options, recorded)
        except AssertionError as error:
            error.add_note(f"in {name}")
            raise
    assert len(launched) == len(listed)


def compare(their_tests: Any, released: Path, options: dict[str, Any], recorded: Any) -> None:
    """Assert that a recording equals the notebook as it was released.

    Where the IPython here words things otherwise than theirs did, what counts is what nbclient gets from it.
    """
    try:
        their_tests.assert_notebooks_equal(nbformat.read(released, 4), copy.deepcopy(recorded))
    except AssertionError:
        _, run_by_nbclient = their_tests.run_notebook(released, options, their_tests.notebook_resources())
        their_tests.assert_notebooks_equal(run_by_nbclient, recorded)


def cases(test: Any) -> list[Any]:
    """Return what a test is parametrised with."""
    (mark,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
    return list(mark.args[1])


def run(kernel: KernelSettings, notebook: Any, folder: Path, recording: Path, options: dict[str, Any]) -> Any:
    """Run a notebook as nbclient does; return it with the outputs that our recording holds."""
    with Executor(kernel, workdir=folder, notebook=recording) as executor:
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

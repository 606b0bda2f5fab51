"""`pytest --kernel-exec notebooks/`: each cell of code is a test, which passes when it gives what is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kernel_exec.replays.verify import Verification, VerifiedCell

# Loaded at the start of each run of pytest: what it needs is imported when it is asked for.


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options (a hook of pytest)."""
    group = parser.getgroup("kernel-exec", "notebooks, run again and compared")
    group.addoption("--kernel-exec", action="store_true", help="verify the notebooks (.ipynb) that are found")
    group.addoption(
        "--kernel-exec-runs",
        type=int,
        default=1,
        metavar="N",
        help="how often each runs, for cells that never agree",
    )
    group.addoption("--kernel-exec-timeout", type=float, default=600.0, metavar="SECONDS", help="for each cell")
    group.addoption("--kernel-exec-html", type=Path, metavar="DIR", help="write a page for each notebook there")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a notebook (a hook of pytest)."""
    if file_path.suffix != ".ipynb" or not parent.config.getoption("--kernel-exec"):
        return None
    if ".ipynb_checkpoints" in file_path.parts:
        return None
    return Notebook.from_parent(parent, path=file_path)


class Failed(Exception):
    """A cell gave something else than what is recorded."""


class Notebook(pytest.File):
    """One notebook, which runs when its first cell is asked for."""

    _verification: Verification | Exception | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield its cells of code."""
        from kernel_exec.errors import NotebookError
        from kernel_exec.recording.source import read_file

        try:
            program = read_file(self.path)
        except NotebookError as error:
            raise self.CollectError(str(error)) from error
        for cell in program.cells:
            if cell.cell_type == "code" and cell.index is not None:
                yield Cell.from_parent(self, name=f"cell {cell.index}: {cell.title[:60]}", index=cell.index)

    def verified(self, index: int) -> VerifiedCell:
        """Return what became of a cell."""
        if self._verification is None:
            try:
                self._verification = self._verify()
            except Exception as error:  # what keeps it from running is told for each cell, and not tried for each
                self._verification = error
        if isinstance(self._verification, Exception):
            raise self._verification
        return next(cell for cell in self._verification.cells if cell.index == index)

    def _verify(self) -> Verification:
        from kernel_exec.replays.verify import verify

        option = self.config.getoption
        done = verify(self.path, runs=option("--kernel-exec-runs"), timeout=option("--kernel-exec-timeout"))
        if folder := option("--kernel-exec-html"):
            done.to_html(folder / self._page())
        return done

    def _page(self) -> Path:
        """Return the path of its page: as that of the notebook, from where the tests are."""
        root = self.config.rootpath
        place = self.path.relative_to(root) if self.path.is_relative_to(root) else Path(*self.path.parts[1:])
        return place.with_suffix(".html")


class Cell(pytest.Item):
    """One cell of code.

    Args:
        index: where it stands in the notebook, from 0.
    """

    def __init__(self, *, index: int, **more: Any) -> None:
        super().__init__(**more)
        self._index = index

    def runtest(self) -> None:
        """Compare it."""
        assert isinstance(self.parent, Notebook)
        cell = self.parent.verified(self._index)
        if cell.status == "skipped":
            pytest.skip(cell.reason)
        lines = [str(difference) for difference in cell.differences]
        if cell.stable is False:
            lines.append(f"cell {cell.index} gives something else each time")
        if lines:
            raise Failed("\n".join(lines))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what differs; no traceback, for nothing went wrong in Python."""
        from kernel_exec.errors import KernelExecError

        if isinstance(excinfo.value, Failed | KernelExecError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where it stands."""
        return self.path, self._index, self.name

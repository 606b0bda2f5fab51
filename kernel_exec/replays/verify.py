"""Whether a notebook still gives what it has recorded."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kernel_exec.compare import Difference, Files, Rules, cell_differences, nearest_rules
from kernel_exec.errors import InvalidArgument, WrongType
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.player import CELL_TIMEOUT, OnProgress
from kernel_exec.portal import run_once
from kernel_exec.rebuild import INSIDE, Origin, origin_of
from kernel_exec.recording.source import Program, SourceCell, read_file
from kernel_exec.replays import workdirs
from kernel_exec.replays.environment import changes
from kernel_exec.replays.run import Replay, run_again
from kernel_exec.scratch import scratch
from kernel_exec.settings import Limits, PathLike, checked_path


@dataclass(frozen=True, slots=True)
class VerifiedCell:
    """One cell of code, then and now.

    Attributes:
        index: of the cell in the notebook, from 0.
        cell_id: its id there; "" where it has none.
        title: one line that tells a person which cell this is.
        status: "same"; "differs"; or "skipped", when it was not run, or there is nothing to compare it with.
        reason: why it was skipped.
        differences: what differs.
        stable: whether it gave the same in each run; None when it ran once only.
        seconds: that it took to run.
        old: the cell as it was recorded, as the notebook has it.
        new: the cell as it ran again.
    """

    index: int
    cell_id: str
    title: str
    status: Literal["same", "differs", "skipped"]
    reason: str = ""
    differences: tuple[Difference, ...] = ()
    stable: bool | None = None
    seconds: float = 0.0
    old: Mapping[str, Any] = field(default_factory=dict, repr=False)
    new: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a notebook that was run again and compared.

    Attributes:
        origin: the notebook.
        cells: each cell of code, in the order of the notebook.
        environment: how the environment has changed since, a sentence each: it usually explains a difference.
        notes: what else is to be known, a sentence each.
        seconds: that running and comparing took.
    """

    origin: Path
    cells: Sequence[VerifiedCell]
    environment: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether all is as it was recorded."""
        return not self.differences

    @property
    def differences(self) -> list[Difference]:
        """What differs, in the order of the cells."""
        return [difference for cell in self.cells for difference in cell.differences]

    @property
    def unstable(self) -> list[VerifiedCell]:
        """The cells that gave something else in each run: they cannot be reproduced at all."""
        return [cell for cell in self.cells if cell.stable is False]

    def to_html(self, path: PathLike) -> Path:
        """Write a page with old and new side by side, which needs nothing from the network; return its path."""
        from kernel_exec.replays.page import page_of

        return _write(path, page_of(self))

    def to_json(self, path: PathLike) -> Path:
        """Write all of it as a JSON object; return its path."""
        return _write(path, json.dumps(self.as_dict(), indent=1))

    def to_junit(self, path: PathLike) -> Path:
        """Write it as JUnit XML, a test a cell, as CI systems read it; return its path."""
        from kernel_exec.replays.junit import junit_of

        return _write(path, junit_of([self]))

    def to_nbdiff(self) -> str:
        """Return the structured difference of the notebook then and now, as nbdime prints it (extra `diff`).

        Raises:
            KernelExecError: nbdime is not installed.
        """
        from kernel_exec.replays.nbdiff import nbdiff_of

        return nbdiff_of(self)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; pictures are in base64."""
        return {
            "notebook": str(self.origin),
            "ok": self.ok,
            "environment": list(self.environment),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "cells": [
                {
                    "index": cell.index,
                    "id": cell.cell_id,
                    "title": cell.title,
                    "status": cell.status,
                    "reason": cell.reason,
                    "stable": cell.stable,
                    "differences": [difference.as_dict() for difference in cell.differences],
                }
                for cell in self.cells
            ],
        }

    def __str__(self) -> str:
        compared = sum(cell.status != "skipped" for cell in self.cells)
        differ = sum(cell.status == "differs" for cell in self.cells)
        lines = [f"{self.origin}: {differ or 'none'} of {compared} cells {'differs' if differ == 1 else 'differ'}"]
        lines += [f"  environment: {change}" for change in self.environment if differ]
        lines += [f"  {difference}" for difference in self.differences]
        lines += [f"  cell {cell.index} gives something else each time" for cell in self.unstable]
        return "\n".join((*lines, *(f"  note: {note}" for note in self.notes)))


async def averify(
    notebook: PathLike,
    *,
    kernel: KernelSettings | None = None,
    rules: Rules | None = None,
    runs: int = 1,
    timeout: float | None = CELL_TIMEOUT,
    workdir: PathLike | None = None,
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
) -> Verification:
    """Run a notebook again, and compare each output with what is recorded; the notebook is not changed.

    It runs in a copy of its directory, without the files that its cells made, so that nothing of what was recorded is
    lost. All cells run, also behind one that fails: an error that was recorded is to come again.

    Args:
        notebook: the notebook, recorded here or saved by anybody.
        kernel: where to run it; None for a kernel as it names it.
        rules: what counts as the same; None for `[tool.kernel_exec.verify]` of the nearest pyproject.toml.
        runs: how often to run it: with two or more, `unstable` tells which cells never give the same.
        timeout: seconds that each cell may run; None for no bound.
        workdir: where the code runs, instead of in a copy.
        limits: as for `Executor`.
        on_progress: called with a `Progress` when a cell begins, and when one is done with.

    Raises:
        NotebookError: it is no notebook, or in another language than the kernel.
        UnknownKernel, EngineUnavailable, KernelStartError: its kernel cannot be started: name another one.
        InvalidArgument, WrongType: an argument cannot work, or the directory is too large to copy.
    """
    if isinstance(runs, bool) or not isinstance(runs, int):
        raise WrongType(f"runs must be a whole number, not {type(runs).__name__}")
    if runs < 1:
        raise InvalidArgument(f"runs must be above zero, not {runs}")
    origin = await asyncio.to_thread(origin_of, notebook, kernel, workdir)
    chosen = nearest_rules(origin.path.parent) if rules is None else rules
    start = time.monotonic()
    with scratch("kernel-exec-verify-") as folder:
        places = [folder / str(number) for number in range(runs)]
        done = [await _once(origin, place, timeout, limits, on_progress, copied=workdir is None) for place in places]
        found = await asyncio.to_thread(_compared, origin, done, chosen)
    return replace(found, seconds=time.monotonic() - start)


def verify(
    notebook: PathLike,
    *,
    kernel: KernelSettings | None = None,
    rules: Rules | None = None,
    runs: int = 1,
    timeout: float | None = CELL_TIMEOUT,
    workdir: PathLike | None = None,
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
) -> Verification:
    """Run a notebook again, and compare each output with what is recorded; the notebook is not changed.

    The synchronous form of `averify`, which documents arguments and errors. `on_progress` is called in a thread of its
    own.
    """
    return run_once(
        lambda: averify(
            notebook,
            kernel=kernel,
            rules=rules,
            runs=runs,
            timeout=timeout,
            workdir=workdir,
            limits=limits,
            on_progress=on_progress,
        )
    )


@dataclass(frozen=True, slots=True)
class _Run:
    replay: Replay
    workdir: Path
    program: Program

    @property
    def cells(self) -> dict[int, SourceCell]:
        """The cells as they ran again, by their index in the notebook."""
        found = {}
        for cell in self.program.cells:
            origin = cell.facts.get("origin")
            if isinstance(origin, Mapping) and isinstance(origin.get("index"), int):
                found[origin["index"]] = cell
        return found


async def _once(
    origin: Origin,
    folder: Path,
    timeout: float | None,
    limits: Limits | None,
    on_progress: OnProgress | None,
    *,
    copied: bool,
) -> _Run:
    place, recording = origin, folder / "replay.ipynb"
    if copied:
        place = replace(origin, workdir=folder / "work" / origin.workdir.resolve().name)
        try:
            await asyncio.to_thread(workdirs.copy, origin.workdir, place.workdir, origin.path, origin.program)
        except OSError as error:
            raise InvalidArgument(
                f"the directory {str(origin.workdir)!r} cannot be copied ({error}): name a workdir to run in"
            ) from error
        if origin.path.is_relative_to(origin.workdir):  # where it was: code that looks around sees what it saw
            recording = place.workdir / origin.path.relative_to(origin.workdir)
    done = await run_again(place, recording, timeout=timeout, allow_errors=True, limits=limits, on_progress=on_progress)
    return _Run(done, place.workdir, await asyncio.to_thread(read_file, done.notebook_path))


def _compared(origin: Origin, runs: Sequence[_Run], rules: Rules) -> Verification:
    places = [str(origin.workdir), *(str(run.workdir) for run in runs), INSIDE]
    rules = rules.with_directories(places)
    first = runs[0]
    old_files = workdirs.Reader(origin.workdir)
    files = Files(old_files, workdirs.Reader(first.workdir))
    cells = []
    for cell in origin.program.cells:
        if cell.cell_type == "code" and cell.index is not None:
            new = [run.cells.get(cell.index) for run in runs]
            cells.append(_verified(cell, new, rules, files, runs))
    notes = list(first.replay.notes)
    if touched := workdirs.changed_by(origin.program):
        notes.append(f"these files were there before, and are not any more as they were then: {', '.join(touched)}")
    elsewhere = first.workdir != origin.workdir
    if elsewhere and any("FileNotFoundError" in found.new for cell in cells for found in cell.differences):
        notes.append("it ran in a copy of its directory: where it needs files from elsewhere, name a workdir to run in")
    then, now = (program.facts.get("environment") for program in (origin.program, first.program))
    changed = changes(then, now) if isinstance(then, Mapping) and isinstance(now, Mapping) else ()
    return Verification(origin.path, tuple(cells), changed, tuple(notes))


def _verified(
    cell: SourceCell, new: Sequence[SourceCell | None], rules: Rules, files: Files, runs: Sequence[_Run]
) -> VerifiedCell:
    assert cell.index is not None
    about = (cell.index, cell.cell_id, cell.title)
    now = new[0]
    if now is None or now.facts.get("status") == "skipped":
        return VerifiedCell(*about, "skipped", "" if now is None else str(now.facts.get("reason", "")))
    old_dict, new_dict = cell.as_dict(), now.as_dict()
    took = now.facts.get("duration")
    seconds = float(took) if isinstance(took, int | float) else 0.0
    stable = None
    if len(runs) > 1:
        again = [other for other in new[1:] if other is not None]
        stable = not any(cell_differences(new_dict, other.as_dict(), rules, index=cell.index) for other in again)
    if not cell.was_run:
        # That it fails is worth knowing all the same, as of a notebook that was saved without outputs.
        raised = () if "status" in cell.facts else _raised(old_dict, new_dict, rules, cell.index)
        why = "" if raised else "it was not run when it was saved"
        return VerifiedCell(
            *about, "differs" if raised else "skipped", why, raised, stable, seconds, old_dict, new_dict
        )
    found = tuple(cell_differences(old_dict, new_dict, rules, index=cell.index, files=files))
    return VerifiedCell(*about, "differs" if found else "same", "", found, stable, seconds, old_dict, new_dict)


def _raised(old: Mapping[str, Any], new: Mapping[str, Any], rules: Rules, index: int) -> tuple[Difference, ...]:
    return tuple(cell_differences(old, new, replace(rules, marked_only=True), index=index))


def _write(path: PathLike, text: str) -> Path:
    target = checked_path("path", path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target

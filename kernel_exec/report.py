"""The result of a cell that has ended, and its place in the recording."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kernel_exec.artifacts import Collected
from kernel_exec.execution import Execution
from kernel_exec.glyphs import Glyphs
from kernel_exec.home import Home
from kernel_exec.metrics import Counters
from kernel_exec.outcome import Verdict, memory_note
from kernel_exec.pictures import images_of
from kernel_exec.results import Artifact, ErrorInfo, ExecutionMetrics, ExecutionResult
from kernel_exec.scribe import Entry, Scribe
from kernel_exec.secrets import Veil
from kernel_exec.session import Ending
from kernel_exec.settings import Limits
from kernel_exec.spill import Spill
from kernel_exec.text import cut, text_of
from kernel_exec.wire.budget import Cuts
from kernel_exec.wire.cell import Cell
from kernel_exec.worker import Worker

_LONG_ERROR = 500


class Reporter:
    """Reports the cells of one session.

    Args:
        home: where its files go.
        limits: how much may be reported.
        mode: name of the mode of its kernels.
        scribe: writes the recording.
        worker: the thread that waits for the disk.
        counters: count what was refused.
        veil: masks what a result says.
    """

    def __init__(
        self,
        home: Home,
        limits: Limits,
        mode: str,
        scribe: Scribe,
        worker: Worker,
        counters: Counters,
        veil: Veil,
    ) -> None:
        self._home, self._limits, self._mode, self._scribe, self._worker = home, limits, mode, scribe, worker
        self._counters, self._veil = counters, veil
        self._artifacts: dict[Path, Artifact] = {}
        self._glyphs = Glyphs()

    @property
    def artifacts(self) -> list[Artifact]:
        """What cells have left in the work directory, by path."""
        return [self._artifacts[path] for path in sorted(self._artifacts)]

    async def start(self) -> None:
        """Look at the work directory before the first cell."""
        await self._worker.run(self._home.artifacts.start)

    async def report(
        self,
        execution: Execution,
        spill: Spill,
        verdict: Verdict,
        ending: Ending,
        duration: float,
        more_notes: Sequence[str] = (),
    ) -> ExecutionResult:
        """Write a cell, its pictures and what was cut of it to disk, and return its result.

        Args:
            execution: the call, whose cell has ended.
            spill: keeps what was cut out of its outputs.
            verdict: how it ended.
            ending: how it came to its end.
            duration: seconds that it ran.
            more_notes: what else is to be told of it.
        """
        cell = execution.cell
        assert cell is not None
        # Masked once more: of a text that came in pieces, what a carriage return or a display was between.
        outputs = self._veil.data([*cell.outputs.snapshot(), *verdict.extra])
        verdict = replace(verdict, error=self._veiled(verdict.error))
        collected = await self._collect(cell)
        facts = list(map(self._fact, collected.artifacts))
        images, trouble = images_of(outputs), None
        if execution.recorded:
            images, trouble = await self._scribe.save(images, spill.stem)
        stderr = self._veil.text(cell.outputs.stream("stderr"))
        undrawn, undrawn_again = self._glyphs.told(stderr)
        files = [f"{fact['change']} {fact['path']!r}" for fact in facts]
        said = self._veil.text(text_of(outputs, verdict.error, files, [*undrawn, *undrawn_again]))
        text = await self._text(said, spill)
        unwritten = None
        if execution.recorded:
            known = _facts(execution, verdict, ending, duration, facts)
            unwritten = await self._scribe.write(Entry(cell, known, execution.metadata, verdict.extra))
        notes = (
            *notes_of(cell.outputs.cuts, self._limits),
            *spill.notes(),
            _given_away(cell),
            *collected.notes,
            *more_notes,
            self._counters.news(),
            *undrawn,
            memory_note(verdict, ending),
            trouble,
            unwritten,
        )
        cpu, peak = ending.resources()
        metrics = self._metrics(
            execution,
            verdict,
            cell_id=cell.cell_id,
            duration=duration,
            cpu_seconds=cpu,
            peak_memory=peak,
            output_length=len(said),
            attempts=int(cell.started),
            samples=ending.samples,
        )
        return result_of(
            verdict,
            metrics,
            stdout=self._veil.text(cell.outputs.stream("stdout")),
            stderr=stderr,
            text=text,
            outputs=outputs,
            images=images,
            artifacts=collected.artifacts,
            execution_count=cell.execution_count,
            notes=tuple(self._veil.text(note) for note in notes if note),
            truncated=bool(cell.outputs.cuts),
            mode=self._mode,
        )

    def unrun(self, execution: Execution, verdict: Verdict) -> ExecutionResult:
        """Return the result of a call that never had its turn."""
        return result_of(verdict, self._metrics(execution, verdict), mode=self._mode)

    def raised(self, execution: Execution, error: BaseException) -> ExecutionMetrics:
        """Return what a call has taken that has no result, as something was raised on its way."""
        _, _, said = traceback.format_exception_only(error)[-1].strip().partition(": ")  # also of one that has no text
        told = ErrorInfo(type(error).__name__, self._veil.text(said))
        attempts = execution.attempt if execution.started else 0
        return self._metrics(execution, Verdict("error", told), attempts=attempts)

    def _metrics(self, execution: Execution, verdict: Verdict, **more: Any) -> ExecutionMetrics:
        """Return what a call has taken: `more`, and time."""
        now = time.time()
        known: dict[str, Any] = {
            "number": execution.number,
            "cell_id": "",
            "filename": execution.filename and self._veil.text(execution.filename),
            "status": verdict.status,
            "queued": execution.queued,
            "started": execution.started or now,
            "ended": now,
            "duration": 0.0,
            "cpu_seconds": None,
            "peak_memory": None,
            "output_length": 0,
            "error": str(verdict.error or "").partition("\n")[0][:_LONG_ERROR],
            "attempts": 0,
        }
        return ExecutionMetrics(**{**known, **more})

    def _veiled(self, error: ErrorInfo | None) -> ErrorInfo | None:
        if error is None or not self._veil:
            return error
        lines = tuple(map(self._veil.text, error.traceback))
        return ErrorInfo(self._veil.text(error.name), self._veil.text(error.value), lines)

    async def _collect(self, cell: Cell) -> Collected:
        collected = await self._worker.run(self._home.artifacts.collect, cell.cell_id)
        for artifact in collected.artifacts:
            self._artifacts[artifact.path] = artifact
            if artifact.change == "deleted":
                del self._artifacts[artifact.path]
        return collected

    def _fact(self, artifact: Artifact) -> dict[str, Any]:
        """Return an artifact as the recording has it."""
        name = os.fsencode(artifact.path.relative_to(self._home.workdir)).decode("utf-8", "backslashreplace")
        return {"path": name, "change": artifact.change, "size": artifact.size, "sha256": artifact.sha256}

    async def _text(self, text: str, spill: Spill) -> str:
        limit = self._limits.text
        if limit is None or len(text) <= limit:
            return text
        if not spill.paths:
            await self._worker.run(spill.keep_text, text)
        return cut(text, limit, [str(path) for path in spill.paths.values()])


def _given_away(cell: Cell) -> str | None:
    """Say that output is not here because the code has put it elsewhere."""
    return "output went into a widget (ipywidgets.Output), which the recording shows" if cell.given_away else None


def result_of(verdict: Verdict, metrics: ExecutionMetrics, **more: Any) -> ExecutionResult:
    """Return the result of a call that ended with `verdict`."""
    return ExecutionResult(
        verdict.status,
        error=verdict.error,
        state_preserved=verdict.state_preserved,
        steps=verdict.steps,
        duration=metrics.duration,
        cpu_seconds=metrics.cpu_seconds,
        peak_memory=metrics.peak_memory,
        attempts=metrics.attempts,
        cell_id=metrics.cell_id,
        metrics=metrics,
        **more,
    )


def _facts(
    execution: Execution, verdict: Verdict, ending: Ending, duration: float, artifacts: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what the recording says of a cell beyond its outputs."""
    cpu, peak = ending.resources()
    facts: dict[str, Any] = {
        "status": verdict.status,
        "duration": round(duration, 6),
        "cpu_seconds": cpu,
        "peak_memory": peak,
        "state_preserved": verdict.state_preserved,
        "steps": list(verdict.steps),
    }
    if artifacts:
        facts["artifacts"] = artifacts
    if verdict.status == "timeout":
        facts["timeout"] = execution.stop.timeout
    if execution.filename is not None:
        facts["filename"] = execution.filename
    if execution.judged:
        facts["policy"] = dict(execution.judged)
    if execution.retry is not None:
        facts["attempt"] = execution.attempt
    return facts


def notes_of(cuts: Cuts, limits: Limits) -> list[str]:
    """Return what was left out of the outputs, a sentence each."""
    beyond = f"beyond limits.output_bytes ({limits.output_bytes:,})"
    notes = [f"{size:,} bytes of {name} were left out, {beyond}" for name, size in sorted(cuts.text.items())]
    if cuts.parts:
        more = f" and {cuts.more_parts:,} more" if cuts.more_parts else ""
        notes.append(f"left out of the displays, as too large: {', '.join(cuts.parts[:10])}{more}")
    if cuts.displays:
        notes.append(f"{cuts.displays:,} displays were left out, {beyond}")
    return notes

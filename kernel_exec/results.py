"""What a cell produced: plain data, the same for every caller and every kind of kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kernel_exec.errors import ExecutionFailed, ExecutionInterrupted, ExecutionTimeout, KernelDiedError, PolicyDenied

Status = Literal["ok", "error", "timeout", "interrupted", "died", "aborted", "denied"]
Output = dict[str, Any]

OUT_OF_MEMORY = "MemoryLimitExceeded"
"""Name of the error of a cell that was ended because of `Limits.memory`."""

_EXCEPTIONS: dict[str, type[ExecutionFailed]] = {
    "timeout": ExecutionTimeout,
    "interrupted": ExecutionInterrupted,
    "aborted": ExecutionInterrupted,
    "denied": PolicyDenied,
}


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a cell did not end well.

    Attributes:
        name: class of the exception, such as "ZeroDivisionError"; for what the executor did, one of ours, such
            as "ExecutionTimeout".
        value: its message.
        traceback: the traceback as text without ANSI codes, one entry a frame as the kernel sent it.
    """

    name: str
    value: str
    traceback: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.value else self.name


@dataclass(frozen=True, slots=True)
class Image:
    """One picture that a cell displayed.

    Attributes:
        data: the bytes of the image file (an SVG is UTF-8 text).
        mime: its mime type, such as "image/png".
        path: the file that it was written to; None when it could not be written.
    """

    data: bytes = field(repr=False)
    mime: str
    path: Path | None = None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """Show the picture where a notebook shows the object (IPython's display protocol)."""
        import base64

        if self.mime == "image/svg+xml":
            return {self.mime: self.data.decode("utf-8", "replace")}
        return {self.mime: base64.b64encode(self.data).decode("ascii")}


Change = Literal["created", "modified", "deleted"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file in the work directory that a cell created, changed or deleted.

    Attributes:
        path: where it is; below the work directory.
        change: "created", "modified" or "deleted", compared with the moment before the cell.
        size: bytes; 0 for a deleted file.
        mime: its mime type, guessed from its name, such as "text/csv".
        sha256: hash of its content in hexadecimal; "" for a deleted file.
        cell_id: id of the cell in the recording.
    """

    path: Path
    change: Change
    size: int
    mime: str
    sha256: str
    cell_id: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that user code has set in the kernel.

    Attributes:
        name: the name.
        type: class of the value with its module, such as "pandas.DataFrame"; builtins without one ("int").
        shape: its dimensions (arrays, data frames), or its length; None where it has none.
        size: bytes that the value itself takes, as far as it says so cheaply; None when unknown.
        preview: one short line that shows the value; no code of the value's own class is run for it.
    """

    name: str
    type: str
    shape: tuple[int, ...] | None
    size: int | None
    preview: str


@dataclass(frozen=True, slots=True)
class Completions:
    """What code could go on with at the cursor.

    Attributes:
        matches: texts to put in the place of `code[start:end]`, best first.
        start: index of the first character that a match replaces.
        end: index after the last one.
    """

    matches: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the kernel knows of the object at the cursor.

    Attributes:
        found: whether there is one.
        text: signature, documentation and the like, without ANSI codes; "" when nothing was found.
        data: the same as a MIME bundle, as the kernel sent it.
    """

    found: bool
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a kernel and all its processes used at one moment of a cell.

    Attributes:
        time: when, in seconds since 1970.
        cpu_seconds: CPU time since the cell began, of all of them, also of those that have ended.
        memory: bytes that they hold; what they have in common, as forked processes do, counts once.
        processes: how many they are.
    """

    time: float
    cpu_seconds: float
    memory: int
    processes: int


@dataclass(frozen=True, slots=True)
class ExecutionMetrics:
    """What one execution took.

    Attributes:
        number: of the call in its executor, from 1.
        cell_id: id of the cell in the recording; "" when it never ran.
        filename: as its caller named it.
        status: that of its result.
        queued: when it was called, in seconds since 1970.
        started: when its first attempt began, after the calls before it, a kernel's start, and whoever was asked about
            it; `ended` when none did.
        ended: when its result was recorded.
        duration: seconds that the cell ran, as `ExecutionResult.duration`; of several attempts their sum.
        cpu_seconds: CPU time of the kernel and its processes; None when unknown.
        peak_memory: the most bytes that they were seen to hold; None when unknown.
        output_length: characters of `ExecutionResult.text`, before it was cut.
        error: why it did not end well, a line; "" when it did.
        attempts: how many times the code was run; 0 when it never was.
        samples: what was used while it ran, where `monitoring_interval` was given and it ran that long.
        runs: what each attempt took, where `retry` was given.
    """

    number: int
    cell_id: str
    filename: str | None
    status: Status
    queued: float
    started: float
    ended: float
    duration: float
    cpu_seconds: float | None
    peak_memory: int | None
    output_length: int
    error: str
    attempts: int
    samples: tuple[Sample, ...] = field(default=(), repr=False)
    runs: tuple[ExecutionMetrics, ...] = field(default=(), repr=False)

    @property
    def queue_time(self) -> float:
        """Seconds that it waited before it began."""
        return max(0.0, self.started - self.queued)


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """All that one call produced.

    Attributes:
        status: "ok"; "error" (the code raised); "timeout" (its deadline came); "interrupted" (somebody
            interrupted it); "died" (the kernel died); "aborted" (it never ran); "denied" (the policy did not let it).
        stdout: text that it wrote to standard output, with carriage returns and backspaces folded as a
            terminal shows them.
        stderr: the same for standard error.
        text: what a model should read: the error first and short, then text and results in the order they came. One
            sentence stands for matplotlib's warnings of characters that it could not draw.
        outputs: the output cells as nbformat 4.5 dictionaries, with every mime type as the kernel sent it.
        images: every picture, in order, as bytes and as a file.
        artifacts: the files in the work directory that the cell created, changed or deleted, by path.
        error: why it did not end well, or None.
        execution_count: the kernel's number of the cell, or None when it never ran.
        duration: seconds from the moment it was sent until it had ended; waiting in the queue does not count.
        cpu_seconds: CPU time of the kernel and its ended children during the cell, or None when unknown; where
            `monitoring_interval` was given, of all its processes.
        peak_memory: the most resident memory of the kernel during the cell, in bytes, or None when unknown; the same.
        state_preserved: False on exactly one result: that of the call in which the kernel's state was lost or
            the loss was found.
        steps: what it took to end the cell: () when it ended by itself, else "interrupt", "kill", "restart".
        notes: what else the caller should know, a sentence each (a recording that cannot be written, output
            beyond a bound, ...).
        truncated: True when output was left out.
        attempts: how many times the code was run; 0 when it never was.
        earlier: the results of the attempts before the last one, when `retry` was given.
        mode: name of the mode that the kernel was set up in.
        cell_id: id of the cell in the recording.
        metrics: what it took; None of what is no call of a cell, such as `restart`.
    """

    status: Status
    stdout: str = ""
    stderr: str = ""
    text: str = ""
    outputs: list[Output] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    error: ErrorInfo | None = None
    execution_count: int | None = None
    duration: float = 0.0
    cpu_seconds: float | None = None
    peak_memory: int | None = None
    state_preserved: bool = True
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    truncated: bool = False
    attempts: int = 1
    earlier: tuple[ExecutionResult, ...] = ()
    mode: str = "standard"
    cell_id: str = ""
    metrics: ExecutionMetrics | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """True when the cell ran to its end without an error."""
        return self.status == "ok"

    def raise_for_error(self) -> ExecutionResult:
        """Return the result itself when it is ok.

        Raises:
            ExecutionFailed: the code raised (`error.traceback` is in the message).
            ExecutionTimeout: its deadline came.
            ExecutionInterrupted: it was interrupted, cancelled, or never ran.
            KernelDiedError: the kernel died.
            PolicyDenied: the policy did not let it run.
        """
        if self.ok:
            return self
        message = str(self.error) if self.error else f"the cell ended with status {self.status!r}"
        if self.status == "error" and self.error and self.error.traceback:
            message = "\n".join((message, *self.error.traceback))
        if self.status == "died":
            raise KernelDiedError(message, self, oom=self.error is not None and self.error.name == OUT_OF_MEMORY)
        raise _EXCEPTIONS.get(self.status, ExecutionFailed)(message, self)

    def __repr__(self) -> str:
        parts = [f"status={self.status!r}"]
        parts += [f"text={self.text[:60]!r}"] if self.text else []
        parts += [f"images={len(self.images)}"] if self.images else []
        parts += [f"error={str(self.error)[:80]!r}"] if self.error else []
        parts += [] if self.state_preserved else ["state_preserved=False"]
        return f"ExecutionResult({', '.join(parts)}, duration={self.duration:.3f})"


@dataclass(frozen=True, slots=True)
class ReplayedCell:
    """What became of one cell of code when its notebook was run again.

    Attributes:
        index: of the cell in the notebook, from 0; None for one that sets parameters.
        cell_id: its id there; "" where it has none.
        status: that of its result; "skipped" when it did not run.
        result: what it produced; None when it did not run.
        reason: why it did not run.
        differences: how its outputs differ from those of the notebook, a sentence each; where that was looked at.
        expected: whether a failure was expected of it: by its tags, or as it failed when it was recorded.
    """

    index: int | None
    cell_id: str
    status: Status | Literal["skipped"]
    result: ExecutionResult | None = None
    reason: str = ""
    expected: bool = False
    differences: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong that was not expected."""
        return self.status in ("ok", "skipped") or self.expected


@dataclass(frozen=True, slots=True)
class Resumption:
    """How the state of a session was rebuilt from its recording.

    Attributes:
        cells: what became of each cell of code, in the order of the notebook.
        notes: what else is to be known, a sentence each.
    """

    cells: tuple[ReplayedCell, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether each cell that ran ended as it did then, with the same outputs."""
        return not (self.failed or self.changed)

    @property
    def replayed(self) -> list[ReplayedCell]:
        """The cells that ran."""
        return [cell for cell in self.cells if cell.result is not None]

    @property
    def failed(self) -> list[ReplayedCell]:
        """The cells that failed, and had not when they were recorded."""
        return [cell for cell in self.cells if not cell.ok]

    @property
    def skipped(self) -> list[ReplayedCell]:
        """The cells that did not run; each says why."""
        return [cell for cell in self.cells if cell.result is None]

    @property
    def changed(self) -> list[ReplayedCell]:
        """The cells that gave other results than then; each says which."""
        return [cell for cell in self.cells if cell.differences]

    def __str__(self) -> str:
        said = [f"{len(self.replayed)} cells were run again"]
        for what, cells in (("failed", self.failed), ("differ", self.changed), ("did not run", self.skipped)):
            if cells:
                said.append(f"{len(cells)} {what}")
        return "; ".join((", ".join(said), *self.notes))

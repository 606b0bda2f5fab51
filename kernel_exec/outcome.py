"""What a cell's end means for the caller: status and error. Decides, and does no I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kernel_exec.execution import Stop
from kernel_exec.kernels.death import Death, megabytes
from kernel_exec.results import OUT_OF_MEMORY, ErrorInfo, Output, Status
from kernel_exec.session import Ending
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.terminal import strip_ansi

_INTERRUPTS = frozenset({"KeyboardInterrupt", "CancelledError"})
_KEPT = "it was interrupted, and the kernel's state is kept"
_KILLED = (
    "it did not obey an interrupt, so its kernel was killed: all variables are lost, and the next call runs in a "
    "fresh kernel"
)
_LOST = "all variables are lost, and the next call runs in a fresh kernel"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a cell ended, in the words of the result.

    Attributes:
        status: as in `ExecutionResult`.
        error: why it did not end well.
        state_preserved: whether the kernel lives on with all that was in it.
        steps: what it took.
        extra: outputs that the kernel did not send and that say in the recording what happened.
    """

    status: Status
    error: ErrorInfo | None = None
    state_preserved: bool = True
    steps: tuple[str, ...] = ()
    extra: tuple[Output, ...] = ()


def verdict_of(cell: Cell, ending: Ending, stop: Stop, *, interrupted: bool) -> Verdict:
    """Judge a cell that was sent to the kernel."""
    if ending.death is not None and ending.death.oom and cell.started:
        return died(ending.death, (*ending.steps, "restart"))
    lost = ending.death is not None or "kill" in ending.steps
    steps = (*ending.steps, "restart") if lost else ending.steps
    if ending.steps and stop.reason is not None:
        return _stopped(cell, stop, steps, ending.death, lost=lost)
    if ending.death is not None:
        return died(_last_act(cell, ending.death), steps) if cell.started else found_dead(ending.death)
    if ending.steps and cell.reply_status != "ok":
        return _told("interrupted", ErrorInfo(OUT_OF_MEMORY, f"{_held(ending)}; {_KEPT}", _trace(cell)), steps=steps)
    return _answered(cell, steps, interrupted=interrupted)


def _answered(cell: Cell, steps: tuple[str, ...], *, interrupted: bool) -> Verdict:
    """Judge a cell that nobody but perhaps the caller has stopped, by what the kernel says of it."""
    error = _error_of(cell)
    if cell.reply_status == "ok":
        return Verdict("ok", steps=steps)
    if cell.reply_status == "aborted":
        return _told(
            "aborted",
            ErrorInfo("ExecutionAborted", "the kernel did not run the cell, because one before it failed"),
        )
    if interrupted and error.name in _INTERRUPTS:
        return Verdict("interrupted", error, steps=("interrupt",))
    return Verdict("error", error)


def died(death: Death, steps: tuple[str, ...]) -> Verdict:
    """The verdict on a cell whose kernel died under it."""
    error = ErrorInfo(_name_of(death), f"the kernel died: {death.reason}; {_LOST}")
    return _told("died", error, preserved=False, steps=steps)


def found_dead(death: Death) -> Verdict:
    """The verdict on a cell that was not run, because its kernel had died before."""
    message = f"the kernel had died since the last cell: {death.reason}; the code was not run; {_LOST}"
    return _told("died", ErrorInfo(_name_of(death), message), preserved=False, steps=("restart",))


def memory_note(verdict: Verdict, ending: Ending) -> str | None:
    """What to say of a cell that was refused memory, or was stopped for too much and yet ended well."""
    refused = verdict.error is not None and verdict.error.name == "MemoryError" and ending.memory is not None
    if refused or (verdict.status == "ok" and "interrupt" in verdict.steps):
        return f"{_held(ending)}; state is kept, and what is not needed any more can be deleted"
    return None


def never_ran(stop: Stop, why_not_yet: str = "waited in the queue") -> Verdict:
    """The verdict on a cell that was cancelled before it ran."""
    why = "the executor was closed" if stop.reason == "close" else "it was cancelled"
    return Verdict("aborted", ErrorInfo("ExecutionAborted", f"the cell never ran: {why} while it {why_not_yet}"))


def denied(reason: str) -> Verdict:
    """The verdict on a cell that the policy did not let run."""
    return _told("denied", ErrorInfo("PolicyDenied", f"the cell was not run: {reason}"))


def error_output(error: ErrorInfo) -> Output:
    """Return an error as an nbformat output, so that every reader of the notebook sees it."""
    return {"output_type": "error", "ename": error.name, "evalue": error.value, "traceback": [str(error)]}


def _stopped(cell: Cell, stop: Stop, steps: tuple[str, ...], death: Death | None, *, lost: bool) -> Verdict:
    how = _KILLED if lost else _KEPT
    if death is not None and death.hindered:
        how = f"{death.hindered}, so it could not obey an interrupt and was killed: {_LOST}"
    if stop.reason == "close":
        error = ErrorInfo("ExecutionInterrupted", "the executor was closed while the cell ran")
        return _told("interrupted", error, preserved=False, steps=steps)
    if stop.reason == "cancel":
        error = ErrorInfo("ExecutionInterrupted", f"the cell was cancelled; {how}", _trace(cell))
        return _told("interrupted", error, preserved=not lost, steps=steps)
    bound = "the session's lifetime ended while it ran"
    if stop.reason == "timeout":
        bound = f"the cell ran longer than its timeout of {stop.timeout:g} s"
    return _told(
        "timeout", ErrorInfo("ExecutionTimeout", f"{bound}; {how}", _trace(cell)), preserved=not lost, steps=steps
    )


def _told(status: Status, error: ErrorInfo, *, preserved: bool = True, steps: tuple[str, ...] = ()) -> Verdict:
    return Verdict(status, error, preserved, steps, (error_output(error),))


def _last_act(cell: Cell, death: Death) -> Death:
    return replace(death, reason="the code asked it to exit") if cell.asks_exit else death


def _name_of(death: Death) -> str:
    return OUT_OF_MEMORY if death.oom else "KernelDiedError"


def _held(ending: Ending) -> str:
    peak = ending.resources()[1] or 0
    return (
        f"the kernel and its processes held up to {megabytes(peak)} ({peak} bytes), and limits.memory is "
        f"{megabytes(ending.memory or 0)} ({ending.memory} bytes)"
    )


def _error_of(cell: Cell) -> ErrorInfo:
    reply = cell.reply or {}
    name, value = reply.get("ename"), reply.get("evalue")
    return ErrorInfo(
        name if isinstance(name, str) else "Error",
        strip_ansi(value) if isinstance(value, str) else "",
        _trace(cell),
    )


def _trace(cell: Cell) -> tuple[str, ...]:
    lines = (cell.reply or {}).get("traceback")
    return tuple(strip_ansi(line) for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()

"""What a cell's end means for the caller: status and error. Decides, and does no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from kernel_exec.execution import Stop
from kernel_exec.kernels.kernel import Death
from kernel_exec.results import ErrorInfo, Output, Status
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
    lost = ending.death is not None or "kill" in ending.steps
    steps = (*ending.steps, "restart") if lost else ending.steps
    if ending.steps and stop.reason is not None:
        return _stopped(cell, stop, steps, lost=lost)
    if ending.death is not None:
        return died(_last_act(cell, ending.death), steps) if cell.started else found_dead(ending.death)
    error = _error_of(cell)
    if cell.reply_status == "ok":
        return Verdict("ok")
    if cell.reply_status == "aborted":
        return _told(
            "aborted",
            ErrorInfo("ExecutionAborted", "the kernel did not run the cell, because one before it failed"),
        )
    if interrupted and error.name in _INTERRUPTS:
        return Verdict("interrupted", error, steps=("interrupt",))
    return Verdict("error", error)


def died(reason: str, steps: tuple[str, ...]) -> Verdict:
    """The verdict on a cell whose kernel died under it."""
    return _told(
        "died", ErrorInfo("KernelDiedError", f"the kernel died: {reason}; {_LOST}"), preserved=False, steps=steps
    )


def found_dead(death: Death) -> Verdict:
    """The verdict on a cell that was not run, because its kernel had died before."""
    message = f"the kernel had died since the last cell: {death.reason}; the code was not run; {_LOST}"
    return _told("died", ErrorInfo("KernelDiedError", message), preserved=False, steps=("restart",))


def never_ran(stop: Stop) -> Verdict:
    """The verdict on a cell that was taken out of the queue."""
    why = "the executor was closed" if stop.reason == "close" else "it was cancelled"
    return Verdict("aborted", ErrorInfo("ExecutionAborted", f"the cell never ran: {why} while it waited in the queue"))


def error_output(error: ErrorInfo) -> Output:
    """Return an error as an nbformat output, so that every reader of the notebook sees it."""
    return {"output_type": "error", "ename": error.name, "evalue": error.value, "traceback": [str(error)]}


def _stopped(cell: Cell, stop: Stop, steps: tuple[str, ...], *, lost: bool) -> Verdict:
    how = _KILLED if lost else _KEPT
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


def _last_act(cell: Cell, death: Death) -> str:
    return "the code asked it to exit" if cell.asks_exit else death.reason


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

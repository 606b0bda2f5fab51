"""What a magic raises: in a notebook each is one error output, short, and stops what runs the cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from IPython.core import error

from kernel_exec.errors import ExecutionFailed, KernelDiedError
from kernel_exec.results import OUT_OF_MEMORY, ErrorInfo, ExecutionResult

_RED, _RESET = "\x1b[31m", "\x1b[0m"


class UsageError(error.UsageError):
    """What was asked for cannot be done; one line says why.

    IPython's own is only printed: whoever reads the notebook's outputs for errors, as papermill does, misses it.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{_RED}UsageError{_RESET}: {self}"]


def failure(
    result: ExecutionResult, traceback: Sequence[str], *, pressed: bool = False
) -> ExecutionFailed | KeyboardInterrupt:
    """Return what stands in the notebook for a cell that did not end well.

    It has the name and the text of what was raised in the session, shows the traceback of that and no other, and is an
    instance of what `raise_for_error` raises, with the result; or of KeyboardInterrupt, which no `except Exception`
    keeps from stopping a loop, when the notebook was interrupted.

    Args:
        result: the cell's.
        traceback: the lines that its kernel sent; empty for none.
        pressed: the notebook was interrupted.
    """
    told = result.error or ErrorInfo("ExecutionFailed", f"the cell ended as {result.status}")
    if pressed:
        stopped: KeyboardInterrupt = _named("KeyboardInterrupt", KeyboardInterrupt, traceback, told)(told.value)
        return stopped
    try:
        result.raise_for_error()
    except KernelDiedError as died:
        kind: Any = _named(told.name, type(died), traceback, told)
        dead: ExecutionFailed = kind(told.value, result, oom=told.name == OUT_OF_MEMORY)
        return dead
    except ExecutionFailed as failed:
        kind = _named(told.name, type(failed), traceback, told)
    else:
        kind = _named(told.name, ExecutionFailed, traceback, told)
    raised: ExecutionFailed = kind(told.value, result)
    return raised


def interrupted(pressed: KeyboardInterrupt) -> KeyboardInterrupt:
    """Return what stands in the notebook for an interrupt: the traceback of the session's cell, or none of a wait."""
    if hasattr(pressed, "_render_traceback_"):
        return pressed
    told = ErrorInfo("KeyboardInterrupt", str(pressed))
    shown: KeyboardInterrupt = _named(told.name, KeyboardInterrupt, (), told)(told.value)
    return shown


def _named(name: str, base: type[BaseException], traceback: Sequence[str], told: ErrorInfo) -> Any:
    """Return a class of that name whose instances show themselves as that traceback."""
    lines = list(traceback)
    if not lines or told.name not in lines[-1]:  # what the executor has done, the kernel does not tell
        lines.append(f"{_RED}{told.name}{_RESET}: {told.value}")
    return type(name, (base,), {"_render_traceback_": lambda raised: lines, "__module__": base.__module__})

"""Every exception that kernel_exec raises, in one tree.

KernelExecError
 ├── InvalidArgument (ValueError)          a value that cannot work, refused before anything starts
 │    └── WrongType (TypeError)            a value of a type that cannot work
 ├── ExecutorClosed (RuntimeError)         the executor was closed, or belongs to another process
 ├── KernelStartError                      no kernel could be started
 │    ├── UnknownKernel                    no kernelspec of that name
 │    ├── EngineUnavailable                no container engine answers
 │    ├── EngineError                      the container engine refuses what it was asked
 │    └── ImageError                       no kernel can run in the image
 │         ├── ImageUnavailable            the engine has none of that name, and cannot get it
 │         └── ImageBuildFailed            it could not be made
 ├── ExecutionFailed                       what `raise_for_error` raises: the cell did not end well
 │    ├── ExecutionTimeout                 it ran into its deadline
 │    ├── ExecutionInterrupted             it was interrupted or cancelled
 │    └── KernelDiedError                  its kernel died under it
 ├── ResultNotReady (TimeoutError)         `Execution.result(timeout)` waited in vain; the cell goes on
 ├── RequestFailed                         the kernel did not answer what it was asked beside the cells
 │    ├── KernelBusy                       it runs a cell, and this kind of kernel cannot answer beside it
 │    ├── RequestTimeout (TimeoutError)    it did not answer in time
 │    ├── Unsupported                      this kind of kernel cannot answer it at all
 │    ├── UnknownVariable (LookupError)    it has no variable of that name
 │    └── ValueRefused (TypeError)         the value cannot be taken out, or put in, as it is
 ├── NotebookError (ValueError)            a notebook cannot be read
 └── RecordingError (OSError)              the notebook of the session cannot be written

`execute` raises none of the `ExecutionFailed` family for what the code did: that is in the result. Only
`ExecutionResult.raise_for_error` turns a result into an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel_exec.results import ExecutionResult


class KernelExecError(Exception):
    """Root of all errors of kernel_exec; its message says what happened, why, and what to do."""


class InvalidArgument(KernelExecError, ValueError):
    """An argument has a value that cannot work."""


class WrongType(InvalidArgument, TypeError):
    """An argument has a type that cannot work."""


class ExecutorClosed(KernelExecError, RuntimeError):
    """The executor is closed, or was made in another process and cannot be used in this one."""


class KernelStartError(KernelExecError):
    """The kernel could not be started, or never became ready."""


class UnknownKernel(KernelStartError):
    """No kernelspec of that name is installed."""


class EngineUnavailable(KernelStartError):
    """No container engine answers."""


class EngineError(KernelStartError):
    """The container engine refuses what it was asked.

    Args:
        message: what it says.
        status: of HTTP, such as 404 for what does not exist.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ImageError(KernelStartError):
    """No kernel can run in an image: it has no Python, or too old a one, or is for another kind of processor."""


class ImageUnavailable(ImageError):
    """The engine has no image of that name, and cannot get it."""


class ImageBuildFailed(ImageError):
    """An image could not be made.

    Args:
        message: what happened, why, what to do.
        log: the last lines of the program that failed; "" where none did.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class ExecutionFailed(KernelExecError):
    """A cell did not end well; the whole result is in `result`.

    Args:
        message: what happened, why, what to do.
        result: the result of the cell, with all its output; None where there is none.
    """

    def __init__(self, message: str, result: ExecutionResult | None = None) -> None:
        super().__init__(message)
        self.result = result


class ExecutionTimeout(ExecutionFailed):
    """A cell was stopped by its deadline."""


class ExecutionInterrupted(ExecutionFailed):
    """A cell was interrupted or cancelled, or never ran because it was cancelled in the queue."""


class PolicyDenied(ExecutionFailed):
    """The policy did not let a cell run; it did not."""


class KernelDiedError(ExecutionFailed):
    """The kernel died; `oom` says whether it ran out of memory."""

    def __init__(self, message: str, result: ExecutionResult | None = None, *, oom: bool = False) -> None:
        super().__init__(message, result)
        self.oom = oom


class ResultNotReady(KernelExecError, TimeoutError):
    """The cell did not end within the time that `Execution.result` was given; it goes on running."""


class RequestFailed(KernelExecError):
    """The kernel did not answer a question about its state, or answered what is no answer."""


class KernelBusy(RequestFailed):
    """The kernel runs a cell, and this kind of kernel cannot answer beside it."""


class RequestTimeout(RequestFailed, TimeoutError):
    """The kernel did not answer in time."""


class Unsupported(RequestFailed):
    """This kind of kernel cannot answer the question."""


class UnknownVariable(RequestFailed, LookupError):
    """The kernel has no variable of that name."""


class ValueRefused(RequestFailed, TypeError):
    """A value cannot be taken out of the kernel, or put into it, without becoming another one."""


class TransferError(KernelExecError, OSError):
    """A file cannot be brought into the work directory, or out of it."""


class NotebookError(KernelExecError, ValueError):
    """What is given as a notebook cannot be read as one."""


class RecordingError(KernelExecError, OSError):
    """The recording cannot be written, or is being written by another executor."""

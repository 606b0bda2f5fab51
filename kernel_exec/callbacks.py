"""Functions that the caller lends to a call: for output as it arrives, and for input that the code asks for."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

from kernel_exec.errors import WrongType
from kernel_exec.execution import Execution
from kernel_exec.wire.conversation import InputWanted

MANY_QUESTIONS = 10
"""Lines of input that a cell may wait for: an interrupted question leaves one behind, ten are no accident."""


def check_callbacks(on_output: object, on_input: object) -> None:
    """Raise WrongType for a callback that cannot be called."""
    for name, callback in (("on_output", on_output), ("on_input", on_input)):
        if callback is not None and not callable(callback):
            raise WrongType(f"{name} must be a function, not {type(callback).__name__}")


async def ask(execution: Execution, event: InputWanted, answer: Callable[[str], None]) -> None:
    """Get the line of input that a cell waits for. When the caller's function raises, the cell is interrupted."""
    try:
        # A kernel may ask although it was told that nobody answers.
        line = await called(execution.on_input, event.prompt, event.password) if execution.on_input else ""
        if not isinstance(line, str):
            raise WrongType(f"on_input must return a string, not {type(line).__name__}")
    except Exception as error:
        execution.trouble = error
        execution.stop.request("cancel")
    else:
        answer(line)
    finally:
        execution.questions -= 1


async def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the caller's, which may be asynchronous, or block, and return what it returns."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    value = await _in_thread(lambda: function(*arguments))
    return await value if inspect.isawaitable(value) else value


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Call a function that may block for ever, such as `input`, in a thread that nobody will wait for."""
    loop, answer = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if not answer.done():
            answer.set_result(value) if error is None else answer.set_exception(error)

    def call() -> None:
        value, raised = None, None
        try:
            value = function()
        except BaseException as error:
            raised = error if isinstance(error, Exception) else RuntimeError(f"it raised {error!r}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, raised)

    threading.Thread(target=call, name="kernel-exec-callback", daemon=True).start()
    return await answer

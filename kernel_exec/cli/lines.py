"""Lines of input that the code of a cell asks for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

from prompt_toolkit import PromptSession

from kernel_exec.cli.tame import tamed
from kernel_exec.wire.terminal import strip_ansi

END_OF_INPUT = "\x04"
"""What Jupyter's front ends answer for Ctrl-D; the kernel makes an EOFError of it."""


class Lines:
    """Asks for the lines of one cell. Its prompt runs in whatever thread asks, and ends with the cell."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._asking = threading.Lock()
        self._prompt: PromptSession[str] | None = None

    def read(self, prompt: str, password: bool) -> str:  # noqa: FBT001 - the signature of `on_input`
        """Ask for a line; what is typed for a password is not shown."""
        with self._asking:
            if self._over.is_set():
                return ""
            try:
                return self._ask(strip_ansi(tamed(prompt)), password=password)
            except EOFError:
                return END_OF_INPUT
            except KeyboardInterrupt:  # a key to the editor; to the cell it is the signal
                os.kill(os.getpid(), signal.SIGINT)
                self._over.wait()  # an answer now would let the cell go on before the interrupt reaches it
                return ""
            finally:
                self._prompt = None

    def close(self) -> None:
        """The cell has ended, and nobody waits for a line any more. Returns when the terminal is free again."""
        self._over.set()
        prompt = self._prompt
        if prompt is not None and prompt.app.loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has just been closed
                prompt.app.loop.call_soon_threadsafe(_leave, prompt)
        with self._asking:
            return

    def _ask(self, text: str, *, password: bool) -> str:
        prompt: PromptSession[str] = PromptSession()
        self._prompt = prompt

        def leave_if_over() -> None:
            if self._over.is_set():
                _leave(prompt)

        return prompt.prompt(text, is_password=password, pre_run=leave_if_over, handle_sigint=False)


def _leave(prompt: PromptSession[str]) -> None:
    if prompt.app.is_running and not prompt.app.is_done:
        prompt.app.exit(exception=EOFError)

"""The standard streams of the command, as whoever started it left them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

from kernel_exec.cli.values import BROKEN_PIPE, CANNOT


class OutputLost(Exception):
    """The output cannot be written; the cause says why."""


class Out:
    """A stream that is written to at once.

    Args:
        stream: standard output or standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()

    def write(self, text: str) -> None:
        """Write text.

        Raises:
            OutputLost: that is not possible, now or any more.
        """
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            raise OutputLost from error


def mend_streams() -> None:
    """Have streams that take every text: closed ones lead nowhere, and what an encoding lacks is escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def lose_streams(error: OutputLost) -> int:
    """Say why the output cannot be written, and write no more, not even at exit; return the exit status.

    A reader who went away wants to hear nothing.
    """
    gone = isinstance(error.__cause__, BrokenPipeError)
    if not gone:
        with contextlib.suppress(OSError):
            print(f"kernel-exec: the output cannot be written: {error.__cause__}", file=sys.stderr, flush=True)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return BROKEN_PIPE if gone else CANNOT

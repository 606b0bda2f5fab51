"""What the code of cells tells by logging, where its kernel is set up to show that."""

from __future__ import annotations

import logging
import sys

LOG_LEVEL_VARIABLE = "KERNEL_EXEC_LOG_LEVEL"
_CHATTY = (
    "asyncio",
    "fontTools",
    "ipykernel",
    "matplotlib",
    "numba",
    "parso",
    "PIL",
    "tornado",
    "traitlets",
    "urllib3",
)
"""Loggers that tell of each step of their inner work."""


class _ToStandardError(logging.Handler):
    """Writes to what is the standard error at that moment: the kernel's, or what the code has put in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # as every handler of logging has it: what is told must not break what is done
            self.handleError(record)


def show_logging(level: str) -> None:
    """Show what is logged from a level on; of libraries that tell of each step, what is worth to know."""
    handler = _ToStandardError()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))

"""Libraries that values may need, on whichever side of the wire; none of them has to be there."""

from __future__ import annotations

import importlib
import sys
from typing import Any


class Refused(Exception):
    """A question is not answered; `reason` is "refused" (the value), "unknown" (the name), "busy" or "failed"."""

    def __init__(self, message: str, reason: str = "refused") -> None:
        super().__init__(message)
        self.reason = reason


def library(name: str) -> Any:
    """Import a module of a library.

    Raises:
        Refused: it is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        if "_kernel_exec" in sys.modules:  # the name that the launcher gives to this package in a kernel
            remedy = f"it is missing in the kernel: `%pip install {package}` in a cell"
        else:
            remedy = "it is missing here: `pip install 'kernel-exec[data]'`"
        raise Refused(f"it takes {package}, which cannot be imported ({error}); {remedy}") from None

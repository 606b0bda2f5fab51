"""Starts ipykernel in the kernel's own interpreter, in the place of `python -m ipykernel_launcher`.

Run by its path, so that the interpreter needs nothing of ours installed. What of it is in force is for `app.py` to
find out; where that cannot work, the stock ipykernel starts.
"""

# This file must at least load in an interpreter that is too old for the rest: no annotation is evaluated.
from __future__ import annotations

import importlib.util
import os
import sys
import types
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "_kernel_exec"
"""The name under which the modules beside this file are loaded: no name that user code could mean."""


def main() -> None:
    """Start the kernel of this process."""
    # The interpreter put the directory of this file first; `-m` would have put the working directory there,
    # which ipykernel adds itself once its own imports are done.
    if sys.path and sys.path[0] == HERE:
        del sys.path[0]
    application = _ours()
    if application is None:
        _start_stock()
    else:
        application.launch_instance()


def _ours() -> Any | None:
    """Our application class; None when it cannot work with this interpreter and its ipykernel."""
    try:
        package = types.ModuleType(PACKAGE)
        package.__path__ = [HERE]
        sys.modules[PACKAGE] = package
        return importlib.import_module(PACKAGE + ".app").application()
    except (ImportError, AttributeError, SyntaxError, TypeError, OSError) as error:
        sys.stderr.write(f"kernel_exec: starting the stock ipykernel: {error!r}\n")
        return None


def _start_stock() -> None:
    # It echoes what it captures to the descriptors it was started with, and nobody reads those.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()

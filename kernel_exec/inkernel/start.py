"""Starts a process that is no kernel: `python -I -S start.py MODULE ARGUMENT...`.

It sees nothing of the environment's packages, and needs none; the modules beside this file are loaded under a name
of their own.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "_kernel_exec"


def main(module: str, arguments: list[str]) -> None:
    """Run `main` of a module beside this file."""
    package = type(sys)(PACKAGE)
    package.__path__ = [HERE]
    sys.modules[PACKAGE] = package
    __import__(f"{PACKAGE}.{module}")
    sys.modules[f"{PACKAGE}.{module}"].main(arguments)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

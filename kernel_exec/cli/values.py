"""Exit statuses, and what texts on the command line mean."""

from __future__ import annotations

import argparse
import keyword
import math
from typing import Any

from kernel_exec.cli.cells import parameter_value

OK = 0
ERROR = 1
USAGE = 2
CANNOT = 3
TIMEOUT = 124
DEAD = 125
INTERRUPTED = 130
BROKEN_PIPE = 141


def parameter(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise argparse.ArgumentTypeError(f"{name!r} cannot be the name of a variable")
    return name, parameter_value(value)


def seconds(text: str) -> float:
    """Return a number of seconds above zero.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None
    if not value > 0 or math.isinf(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not above zero; leave it out for no bound")
    return value

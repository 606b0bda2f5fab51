"""The command line: arguments in, results out; all that is done in between is the executor's."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from kernel_exec.cli.arguments import (
    INTERRUPTED,
    Arguments,
    ConsoleArguments,
    DoctorArguments,
    GcArguments,
    RunArguments,
    parse,
)
from kernel_exec.cli.streams import OutputLost, lose_streams, mend_streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `kernel-exec`; return its exit status.

    Args:
        arguments: what follows the command's name; None for what this process was started with.
    """
    try:
        mend_streams()
        # Whoever ends this process politely gets what Ctrl-C gives: the cell interrupted, the recording finished.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _perform(parse(arguments))
    except OutputLost as error:
        return lose_streams(error)
    except KeyboardInterrupt:
        return INTERRUPTED


def _perform(options: Arguments) -> int:
    """Do what was asked for. What that needs is imported here, since it takes a while and --help does not need it."""
    match options:
        case DoctorArguments():
            from kernel_exec.cli.doctor import doctor

            return doctor(options)
        case GcArguments():
            from kernel_exec.cli.gc import gc

            return gc(options)
        case ConsoleArguments():
            from kernel_exec.cli.console import console

            return console(options)
        case RunArguments():
            from kernel_exec.cli.run import run

            return run(options)
        case _:
            from kernel_exec.cli.image import image

            return image(options)

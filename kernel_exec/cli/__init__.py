"""The command line: arguments in, results out; all that is done in between is the executor's."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from importlib import import_module

from kernel_exec.cli.arguments import (
    Arguments,
    ConsoleArguments,
    DoctorArguments,
    GcArguments,
    RunArguments,
    parse,
)
from kernel_exec.cli.kernelspec_arguments import InstallArguments, ListArguments, RemoveArguments
from kernel_exec.cli.notebook_arguments import ReplayArguments, ResumeArguments, VerifyArguments
from kernel_exec.cli.streams import OutputLost, lose_streams, mend_streams
from kernel_exec.cli.values import INTERRUPTED
from kernel_exec.cli.view_arguments import ViewArguments

_COMMANDS: Mapping[type, tuple[str, str]] = {
    ConsoleArguments: ("console", "console"),
    DoctorArguments: ("doctor", "doctor"),
    GcArguments: ("gc", "gc"),
    InstallArguments: ("kernelspec", "command"),
    ListArguments: ("kernelspec", "command"),
    RemoveArguments: ("kernelspec", "command"),
    ReplayArguments: ("replay", "replay"),
    ResumeArguments: ("console", "resume"),
    RunArguments: ("run", "run"),
    VerifyArguments: ("verify", "verify"),
    ViewArguments: ("view", "view"),
}
"""Module and function for what was asked for; the rest is about images."""


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
    module, name = _COMMANDS.get(type(options), ("image", "image"))
    status: int = getattr(import_module(f"{__name__}.{module}"), name)(options)
    return status

"""What can be said on a line of `%kx` and `%%kx`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from functools import cache
from typing import Any, NoReturn

from kernel_exec.kernels.docker import DockerKernel
from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.magics.errors import UsageError
from kernel_exec.settings import Limits

HELP = """\
Run cells in sessions: executors of their own, beside this notebook's kernel.

%%kx [NAME] [options]     run this cell in a session (made when first named)
    -i VAR, -o VAR        copy variables in before it, and out after it
    --timeout SECONDS     stop it after so long
    --bg                  return at once; several queue up
%kx start NAME [options]  make a session
    --docker [IMAGE]      in a container, closed but for its work directory
    --kernel NAME         another kernelspec
    --memory 1g, --cpus N, --timeout SECONDS (of each cell)
    --workdir DIR, --notebook PATH   (temporary ones otherwise)
    --network NAME        with --docker: bridge, ..., or hosts with commas
%kx use NAME              the session that is meant where none is named
%kx list                  the sessions and what they do
%kx result [NAME]         wait for the oldest --bg cell, show what came
%kx interrupt [NAME]      its running cell   %kx restart [NAME]  its kernel
%kx stop [NAME] | --all   end it, and remove what is temporary
%kx save PATH [NAME]      copy its recording, a notebook
%kx replay NOTEBOOK [NAME]   run that notebook's cells in it
The stop button interrupts the session's cell; twice: ends its kernel.
"""

NAMES_ONE = ("use", "result", "interrupt", "restart", "stop", "save", "replay")
"""Commands that take the name of a session that there is."""
COMMANDS = ("start", "list", *NAMES_ONE, "help")


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message} (`%kx help` shows what there is)")


def parsed_cell(line: str) -> argparse.Namespace:
    """Return what stands behind `%%kx`: `name`, `ins`, `outs`, `timeout`, `bg`.

    Raises:
        UsageError: it is nothing that can be said there.
    """
    options = _cell().parse_args(_words("%%kx", line))
    options.ins, options.outs = _names("-i", options.ins), _names("-o", options.outs)
    return options


def parsed_line(line: str) -> argparse.Namespace:
    """Return what stands behind `%kx`: `command`, and what it takes.

    Raises:
        UsageError: it is nothing that can be said there.
    """
    words = _words("%kx", line) or ["help"]
    try:
        return _line().parse_args(words)
    except UsageError as error:
        if "--docker" in words and "required: NAME" in str(error):
            raise UsageError(f"{error}; NAME stands before --docker, which takes the word behind it as IMAGE") from None
        raise


def kernel_of(options: argparse.Namespace) -> KernelSettings:
    """Return the kernel that `start` was asked for.

    Raises:
        UsageError: the options do not go together.
        InvalidArgument: there can be no such kernel.
    """
    if options.docker is None:
        if options.network is not None:
            raise UsageError("--network needs --docker: a kernel on this machine has all of its network")
        return HostKernel(kernel_name=options.kernel or "python3")
    if options.kernel is not None:
        raise UsageError("--kernel and --docker do not go together: in a container there is one kernel")
    network = options.network or "none"
    hosts: str | Sequence[str] = [host for host in network.split(",") if host] if set(network) & set(",.") else network
    return DockerKernel(image=options.docker, network=hosts) if options.docker else DockerKernel(network=hosts)


def limits_of(options: argparse.Namespace) -> Limits | None:
    """Return the limits that `start` was asked for.

    Raises:
        InvalidArgument: they cannot be.
    """
    if options.memory is None and options.cpus is None:
        return None
    return Limits(memory=options.memory, cpus=options.cpus)


def options_of(words: Sequence[str], *, cell: bool) -> list[str]:
    """Return the options that may follow these words of a line, for completion."""
    if cell:
        return ["-i", "-o", "--timeout", "--bg"]
    command = words[0] if words else ""
    return {"start": list(_START), "stop": ["--all"]}.get(command, [])


_START: dict[str, dict[str, Any]] = {
    "--docker": {"nargs": "?", "const": "", "metavar": "IMAGE"},
    "--kernel": {"metavar": "NAME"},
    "--memory": {"metavar": "SIZE"},
    "--cpus": {"type": float, "metavar": "N"},
    "--timeout": {"type": float, "metavar": "SECONDS"},
    "--workdir": {"metavar": "DIR"},
    "--notebook": {"metavar": "PATH"},
    "--network": {"metavar": "NAME"},
}


@cache
def _cell() -> argparse.ArgumentParser:
    parser = _Parser(prog="%%kx", add_help=False, allow_abbrev=False)
    parser.add_argument("name", nargs="?")
    parser.add_argument("-i", dest="ins", metavar="VAR", action="append", default=[])
    parser.add_argument("-o", dest="outs", metavar="VAR", action="append", default=[])
    parser.add_argument("--timeout", metavar="SECONDS", type=float)
    parser.add_argument("--bg", action="store_true")
    return parser


@cache
def _line() -> argparse.ArgumentParser:
    parser = _Parser(prog="%kx", add_help=False, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = {name: commands.add_parser(name, add_help=False, allow_abbrev=False) for name in COMMANDS}
    for option, settings in _START.items():
        made["start"].add_argument(option, **settings)
    made["stop"].add_argument("--all", action="store_true")
    made["save"].add_argument("path")
    made["replay"].add_argument("notebook")
    for name in ("start", *NAMES_ONE):
        made[name].add_argument("name", metavar="NAME", nargs=None if name in ("start", "use") else "?")
    return parser


def _words(magic: str, line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{magic}: {str(error)[:1].lower()}{str(error)[1:]} in {line.strip()!r}") from None


def _names(option: str, given: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name for text in given for name in text.split(",") if name)
    for name in names:
        if not name.isidentifier():
            raise UsageError(f"%%kx: {option} takes names of variables, and {name!r} is none")
    return names

"""What can be said on the command line about looking at a session."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel_exec.cli.values import CANNOT, OK, USAGE

_VIEW = f"""\
Make a page of a notebook that needs nothing but itself: no network, and no script of an output runs. With --live, serve
a running session on this machine: cells appear as they run, until Ctrl-C. The exit status is {OK}; {USAGE} when the
notebook cannot be used; {CANNOT} when the page cannot be written, or the port is taken.
"""


@dataclass(frozen=True, slots=True)
class ViewArguments:
    """What `kernel-exec view` was asked for.

    Attributes:
        notebook: the notebook.
        output: the page; None for its name with `.html`, in the current directory.
        scripts: show HTML with scripts in frames, where they run.
        live: serve it, and follow it.
        port: where; 0 for any port that is free.
    """

    notebook: Path
    output: Path | None
    scripts: bool
    live: bool
    port: int


def add_view(commands: Any) -> None:
    """Add `view`."""
    command = commands.add_parser("view", help="look at a session", description=_VIEW, allow_abbrev=False)
    command.add_argument("notebook", metavar="NOTEBOOK", type=Path, help="an .ipynb file")
    command.add_argument(
        *("-o", "--output"),
        metavar="PAGE.html",
        type=Path,
        help="the page (default: the notebook's name with .html, in the current directory)",
    )
    command.add_argument(
        "--scripts", action="store_true", help="run the scripts of outputs, each in a frame that reaches nothing"
    )
    command.add_argument("--live", action="store_true", help="follow the session in a browser, while it runs")
    command.add_argument("--port", metavar="N", type=_port, help="where to serve it (default: any port that is free)")
    command.set_defaults(make=lambda options: _arguments(command, options))


def _arguments(command: argparse.ArgumentParser, options: argparse.Namespace) -> ViewArguments:
    if options.live and (options.scripts or options.output):
        command.error("--live serves a page: it writes none, and runs no scripts of outputs")
    if options.port is not None and not options.live:
        command.error("--port is for --live")
    return ViewArguments(options.notebook, options.output, options.scripts, options.live, options.port or 0)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: name one between 1 and 65535")
    return int(text)

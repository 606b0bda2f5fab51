"""What can be said on the command line."""

from __future__ import annotations

import argparse
import keyword
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
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

_EXIT_STATUS = f"""\
exit status:
  {OK:>3}  all cells ended well
  {ERROR:>3}  a cell raised an error
  {USAGE:>3}  the command or its input cannot be used
  {CANNOT:>3}  no kernel could be started, or the recording or the output not be written
  {TIMEOUT:>3}  a cell ran into its timeout
  {DEAD:>3}  the kernel died
  {INTERRUPTED:>3}  interrupted, by Ctrl-C or SIGTERM
  {BROKEN_PIPE:>3}  whoever read the output went away
With --keep-going it is that of the first cell that failed.
"""

_RUN = """\
Run the cells of FILE in one live kernel and record them as a notebook. Output is shown as it comes; the run stops at
the first cell that fails, unless the cell is tagged `raises-exception`. What an older notebook of that name held is
kept under another name.
"""

_PARAM = """\
set a variable, behind the cell tagged `parameters` or else first of all; VALUE is JSON, a Python literal, or else text
"""


@dataclass(frozen=True, slots=True)
class RunArguments:
    """What `kernel-exec run` was asked for.

    Attributes:
        file: the script or notebook; "-" for standard input.
        parameters: values by name.
        timeout: seconds that each cell may run; None for no bound.
        notebook: the recording; None for the default.
        workdir: where the kernel runs.
        kernel: name of the kernelspec; None for what the notebook asks for.
        json: print one JSON document instead of the output.
        keep_going: go on behind a cell that fails.
    """

    file: str
    parameters: dict[str, Any]
    timeout: float | None
    notebook: Path | None
    workdir: Path
    kernel: str | None
    json: bool
    keep_going: bool


def parse(arguments: Sequence[str] | None) -> RunArguments:
    """Return what the command line asks for; ends the process for --help, and with status 2 where it is wrong."""
    options = _parser().parse_args(arguments)
    return RunArguments(
        file=options.file,
        parameters=dict(options.param),
        timeout=options.timeout,
        notebook=options.notebook,
        workdir=options.workdir,
        kernel=options.kernel,
        json=options.json,
        keep_going=options.keep_going,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kernel-exec", description="Run code in live Jupyter kernels.")
    parser.add_argument("--version", action="version", version=f"kernel-exec {version('kernel-exec')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="run a script or a notebook, and record it",
        description=_RUN,
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument(
        "file", metavar="FILE", help="a .py file with `# %%%%` cells, an .ipynb file, or - for standard input"
    )
    run.add_argument("-p", "--param", metavar="NAME=VALUE", type=_parameter, action="append", default=[], help=_PARAM)
    run.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, help="how long each cell may run (default: as long as it takes)"
    )
    run.add_argument(
        "--notebook", metavar="PATH", type=Path, help="where to record (default: session.ipynb in the work directory)"
    )
    run.add_argument(
        "--workdir", metavar="DIR", type=Path, default=Path(), help="where the code runs (default: this directory)"
    )
    run.add_argument("--kernel", metavar="NAME", help="the kernelspec (default: the notebook's own, or python3)")
    run.add_argument("--json", action="store_true", help="print one JSON document with all results, and nothing else")
    run.add_argument("--keep-going", action="store_true", help="go on behind cells that fail")
    return parser


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise argparse.ArgumentTypeError(f"{name!r} cannot be the name of a variable")
    return name, parameter_value(value)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None
    if not seconds > 0 or math.isinf(seconds):
        raise argparse.ArgumentTypeError(f"{text!r} is not above zero; leave it out for no bound")
    return seconds

"""What can be said on the command line about notebooks that are run again."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel_exec.cli.values import CANNOT, DEAD, ERROR, INTERRUPTED, OK, TIMEOUT, USAGE, parameter, seconds
from kernel_exec.plan import Place

_EXIT_STATUS = f"""\
exit status:
  {OK:>3}  all notebooks ran as they should
  {ERROR:>3}  a cell failed that was not expected to
  {USAGE:>3}  the command or a notebook cannot be used
  {CANNOT:>3}  no kernel could be started, or the recording not be written
  {TIMEOUT:>3}  a cell ran into its timeout
  {DEAD:>3}  a kernel died
  {INTERRUPTED:>3}  interrupted, by Ctrl-C or SIGTERM
Of several notebooks it is that of the first one that failed.
"""

_REPLAY = """\
Run notebooks again, each in a fresh kernel, and record that beside them as NAME.replay.ipynb; the notebooks themselves
are not changed. Cells tagged `skip-execution` and `run-once` are left out, and one tagged `raises-exception` may fail.
"""

_VERIFY_EXIT = f"""\
exit status:
  {OK:>3}  all notebooks gave what they had recorded
  {ERROR:>3}  a cell differs
  {USAGE:>3}  the command or a notebook cannot be used
  {CANNOT:>3}  no kernel could be started, or a report not be written
  {INTERRUPTED:>3}  interrupted, by Ctrl-C or SIGTERM
Of several notebooks it is that of the first one that is not as it was.
"""

_VERIFY = """\
Run notebooks again, each in a fresh kernel and in a copy of its directory, and compare what each cell gives with what
is recorded. What counts as the same is told by `[tool.kernel_exec.verify]` in pyproject.toml and by tags of cells;
those of nbval are understood.
"""

_RESUME = """\
Rebuild the state of a recorded session by running its cells again, and go on at a prompt: new cells are written behind
those that are there.
"""


@dataclass(frozen=True, slots=True)
class KernelChoice:
    """Which kernel was asked for.

    Attributes:
        name: a kernelspec; None for none in particular.
        image: run in a container of this image, "" for the default one; None to leave that to the notebook.
    """

    name: str | None
    image: str | None


@dataclass(frozen=True, slots=True)
class ReplayArguments:
    """What `kernel-exec replay` was asked for.

    Attributes:
        notebooks: the notebooks.
        kernel: where to run them.
        output: the new recording, or a directory for those of several; None for beside the notebooks.
        parameters: values by name.
        since: the first cell to run.
        until: the last one.
        timeout: seconds that each cell may run; None for no bound.
        workdir: where the code runs; None for where it was recorded.
        keep_going: go on behind a cell that fails.
        jobs: how many notebooks at a time; None for one a processor.
        json: print one JSON document, and nothing else.
    """

    notebooks: tuple[Path, ...]
    kernel: KernelChoice
    output: Path | None
    parameters: dict[str, Any]
    since: Place | None
    until: Place | None
    timeout: float | None
    workdir: Path | None
    keep_going: bool
    jobs: int | None
    json: bool


@dataclass(frozen=True, slots=True)
class VerifyArguments:
    """What `kernel-exec verify` was asked for.

    Attributes:
        notebooks: the notebooks.
        kernel: where to run them.
        runs: how often each runs.
        timeout: seconds that each cell may run; None for no bound.
        workdir: where the code runs, instead of in a copy of the notebook's directory.
        html: a page to write, of several notebooks a directory for them; None for none.
        junit: a JUnit XML file to write; None for none.
        diff: print the structured difference as well.
        jobs: how many notebooks at a time; None for one a processor.
        json: print one JSON document, and nothing else.
    """

    notebooks: tuple[Path, ...]
    kernel: KernelChoice
    runs: int
    timeout: float | None
    workdir: Path | None
    html: Path | None
    junit: Path | None
    diff: bool
    jobs: int | None
    json: bool


@dataclass(frozen=True, slots=True)
class ResumeArguments:
    """What `kernel-exec resume` was asked for.

    Attributes:
        notebook: the recording.
        kernel: where to run.
        needed_for: variables; only cells that these depend on run again. Empty for all cells.
        timeout: seconds that each new cell may run; None for no bound.
        workdir: where the code runs; None for where it was recorded.
    """

    notebook: Path
    kernel: KernelChoice
    needed_for: tuple[str, ...]
    timeout: float | None
    workdir: Path | None


NotebookArguments = ReplayArguments | VerifyArguments | ResumeArguments


def add_replay(commands: Any) -> None:
    """Add `replay`."""
    command = commands.add_parser(
        "replay",
        help="run notebooks again, and record that",
        description=_REPLAY,
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("notebooks", metavar="NOTEBOOK", type=Path, nargs="+", help="an .ipynb file")
    command.add_argument(
        *("-o", "--output"), metavar="PATH", type=Path, help="the new recording; of several notebooks their directory"
    )
    command.add_argument(
        *("-p", "--param"),
        metavar="NAME=VALUE",
        type=parameter,
        action="append",
        default=[],
        help="set a variable, behind the cell tagged `parameters` or else first of all",
    )
    command.add_argument("--since", metavar="CELL", type=_place, help="the first cell to run: its index (from 0) or id")
    command.add_argument("--until", metavar="CELL", type=_place, help="the last cell to run, likewise")
    _add_kernel(command)
    _add_bounds(command, "each cell may run (default: 600)", default=600.0)
    command.add_argument("--keep-going", action="store_true", help="go on behind cells that fail")
    add_jobs(command)
    command.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    command.set_defaults(
        make=lambda options: ReplayArguments(
            tuple(options.notebooks),
            _kernel(options),
            options.output,
            dict(options.param),
            options.since,
            options.until,
            options.timeout or None,
            options.workdir,
            options.keep_going,
            options.jobs,
            options.json,
        )
    )


def add_verify(commands: Any) -> None:
    """Add `verify`."""
    command = commands.add_parser(
        "verify",
        help="run notebooks again, and compare that with what they have recorded",
        description=_VERIFY,
        epilog=_VERIFY_EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("notebooks", metavar="NOTEBOOK", type=Path, nargs="+", help="an .ipynb file")
    command.add_argument(
        "--runs", metavar="N", type=int, default=1, help="run each N times, to find cells that never give the same"
    )
    _add_kernel(command)
    _add_bounds(command, "each cell may run (default: 600)", default=600.0)
    command.add_argument(
        "--html", metavar="PATH", type=Path, help="write a page with old and new; of several notebooks their directory"
    )
    command.add_argument("--junit", metavar="PATH", type=Path, help="write JUnit XML, for CI")
    command.add_argument("--diff", action="store_true", help="print the whole difference of the notebooks, by nbdime")
    add_jobs(command)
    command.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    command.set_defaults(
        make=lambda options: VerifyArguments(
            tuple(options.notebooks),
            _kernel(options),
            options.runs,
            options.timeout or None,
            options.workdir,
            options.html,
            options.junit,
            options.diff,
            options.jobs,
            options.json,
        )
    )


def add_resume(commands: Any) -> None:
    """Add `resume`."""
    command = commands.add_parser(
        "resume", help="go on with a recorded session", description=_RESUME, allow_abbrev=False
    )
    command.add_argument("notebook", metavar="NOTEBOOK", type=Path, help="the recording")
    command.add_argument(
        "--needed-for",
        metavar="NAME",
        action="append",
        default=[],
        help="run only the cells that this variable depends on; can be given more than once",
    )
    _add_kernel(command)
    _add_bounds(command, "each new cell may run (default: as long as it takes)")
    command.set_defaults(
        make=lambda options: ResumeArguments(
            options.notebook, _kernel(options), tuple(options.needed_for), options.timeout or None, options.workdir
        )
    )


def add_jobs(command: argparse.ArgumentParser) -> None:
    """Add the option that says how many notebooks run at a time."""
    command.add_argument(
        *("-j", "--jobs"), metavar="N", type=int, help="how many notebooks run at a time (default: one a processor)"
    )


def _add_kernel(command: argparse.ArgumentParser) -> None:
    kernel = command.add_mutually_exclusive_group()
    kernel.add_argument("--kernel", metavar="NAME", help="the kernelspec (default: the notebook's own)")
    kernel.add_argument(
        "--docker",
        metavar="IMAGE",
        nargs="?",
        const="",
        help="run in a container, of the default image if none is named",
    )


def _add_bounds(command: argparse.ArgumentParser, what: str, default: float | None = None) -> None:
    command.add_argument(
        "--timeout", metavar="SECONDS", type=_bound, default=default, help=f"how long {what}; 0 for no bound"
    )
    command.add_argument(
        "--workdir", metavar="DIR", type=Path, help="where the code runs (default: where the notebook was recorded)"
    )


def _kernel(options: argparse.Namespace) -> KernelChoice:
    return KernelChoice(options.kernel, options.docker)


def _bound(text: str) -> float:
    return 0.0 if text.strip() == "0" else seconds(text)


def _place(text: str) -> Place:
    try:
        return int(text)
    except ValueError:
        return text

"""What can be said on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kernel_exec.cli.kernelspec_arguments import KernelspecArguments, add_kernelspec
from kernel_exec.cli.notebook_arguments import NotebookArguments, add_replay, add_resume, add_verify
from kernel_exec.cli.values import (
    BROKEN_PIPE,
    CANNOT,
    DEAD,
    ERROR,
    INTERRUPTED,
    OK,
    TIMEOUT,
    USAGE,
    parameter,
    seconds,
)
from kernel_exec.cli.view_arguments import ViewArguments, add_view
from kernel_exec.errors import InvalidArgument

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

_CONSOLE = """\
A prompt to a live kernel: what is typed runs in it and is recorded as a notebook. Tab completes, `name?` explains,
Ctrl-C interrupts the running cell (twice: kills the kernel), Ctrl-D or `exit` leaves. For programs there is `run`.
"""

_DOCTOR = f"""\
Say what works on this machine, and what to do where something does not. The exit status is {OK} when kernels can be
started and used, and {CANNOT} when not.
"""

_GC = f"""\
Remove the containers of this user whose process is gone, which only an engine that had crashed leaves. The exit status
is {OK}, and {CANNOT} when no engine answers.
"""

_IMAGE = """\
Images for kernels in containers. Any image with Python 3.10 or later can be one's base; the default one is made without
any registry of images.
"""

_IMAGE_BUILD = """\
Make an image in which kernels can start on another one, with packages, and print its name. It is made once: the same
again costs nothing. Wheels come by this Python's pip, or from a folder.
"""

_IMAGE_PRUNE = """\
Remove the images that were made on others and of which there is no container. The default image and its base stay, and
so does every image that somebody has given another name.
"""

_IMAGE_BOOTSTRAP = """\
Make the default image out of Debian's packages and of wheels, where it is not there yet. Needs mmdebstrap, and takes
about a minute.
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
        scenario: name of the scenario that it runs in; None for none.
        json: print one JSON document instead of the output.
        keep_going: go on behind a cell that fails.
    """

    file: str
    parameters: dict[str, Any]
    timeout: float | None
    notebook: Path | None
    workdir: Path
    kernel: str | None
    scenario: str | None
    json: bool
    keep_going: bool


@dataclass(frozen=True, slots=True)
class ConsoleArguments:
    """What `kernel-exec console` was asked for.

    Attributes:
        timeout: seconds that each cell may run; None for no bound.
        notebook: the recording; None for the default.
        workdir: where the kernel runs.
        kernel: name of the kernelspec; None for python3.
    """

    timeout: float | None
    notebook: Path | None
    workdir: Path
    kernel: str | None


@dataclass(frozen=True, slots=True)
class DoctorArguments:
    """What `kernel-exec doctor` was asked for.

    Attributes:
        json: print one JSON document instead of lines.
    """

    json: bool


@dataclass(frozen=True, slots=True)
class GcArguments:
    """What `kernel-exec gc` was asked for.

    Attributes:
        json: print one JSON document instead of lines.
        dry_run: only tell.
        all: those as well that were asked to stay.
    """

    json: bool
    dry_run: bool
    all: bool


@dataclass(frozen=True, slots=True)
class ImageBuildArguments:
    """What `kernel-exec image build` was asked for.

    Attributes:
        image: the image to make it on.
        requirements: what it is to have.
        wheels: a folder with all of that; None to have pip get it.
        platform: what it must be for; None for whatever the engine can run.
    """

    image: str
    requirements: tuple[str, ...]
    wheels: Path | None
    platform: str | None


@dataclass(frozen=True, slots=True)
class ImageListArguments:
    """What `kernel-exec image list` was asked for.

    Attributes:
        json: print one JSON document instead of lines.
    """

    json: bool


@dataclass(frozen=True, slots=True)
class ImagePruneArguments:
    """What `kernel-exec image prune` was asked for.

    Attributes:
        dry_run: only tell.
    """

    dry_run: bool


@dataclass(frozen=True, slots=True)
class ImageBootstrapArguments:
    """What `kernel-exec image bootstrap` was asked for: nothing else."""


ImageArguments = ImageBuildArguments | ImageListArguments | ImagePruneArguments | ImageBootstrapArguments
Arguments = (
    RunArguments
    | ConsoleArguments
    | NotebookArguments
    | ViewArguments
    | KernelspecArguments
    | DoctorArguments
    | GcArguments
    | ImageArguments
)


def parse(arguments: Sequence[str] | None) -> Arguments:
    """Return what the command line asks for; ends the process for --help, and with status 2 where it is wrong."""
    options = _parser().parse_args(arguments)
    found: Arguments = options.make(options)
    return found


def _run_arguments(options: argparse.Namespace) -> RunArguments:
    return RunArguments(
        file=options.file,
        parameters=dict(options.param),
        timeout=options.timeout,
        notebook=options.notebook,
        workdir=options.workdir,
        kernel=options.kernel,
        scenario=options.scenario,
        json=options.json,
        keep_going=options.keep_going,
    )


class _ListScenarios(argparse.Action):
    """Prints the scenarios, a line each, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Do it."""
        from kernel_exec.scenarios import scenarios  # takes a while

        try:
            known = scenarios()
        except InvalidArgument as error:
            parser.error(str(error))
        for name, scenario in known.items():
            print(f"{name}: {scenario}")
        parser.exit()


def _console_arguments(options: argparse.Namespace) -> ConsoleArguments:
    return ConsoleArguments(
        timeout=options.timeout, notebook=options.notebook, workdir=options.workdir, kernel=options.kernel
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
    run.add_argument("-p", "--param", metavar="NAME=VALUE", type=parameter, action="append", default=[], help=_PARAM)
    _add_session(run, default_kernel="the notebook's own, or python3")
    run.add_argument(
        "--scenario", metavar="NAME", help="run it in a scenario: sandbox, production, ..., or one of pyproject.toml"
    )
    run.add_argument("--list-scenarios", action=_ListScenarios, nargs=0, help="tell which scenarios there are, and end")
    run.add_argument("--json", action="store_true", help="print one JSON document with all results, and nothing else")
    run.add_argument("--keep-going", action="store_true", help="go on behind cells that fail")
    run.set_defaults(make=_run_arguments)
    console = commands.add_parser(
        "console", help="a prompt to a live kernel, recorded", description=_CONSOLE, allow_abbrev=False
    )
    _add_session(console, default_kernel="python3")
    console.set_defaults(make=_console_arguments)
    add_replay(commands)
    add_verify(commands)
    add_resume(commands)
    add_view(commands)
    add_kernelspec(commands)
    doctor = commands.add_parser(
        "doctor", help="say what works on this machine", description=_DOCTOR, allow_abbrev=False
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    doctor.set_defaults(make=lambda options: DoctorArguments(options.json))
    gc = commands.add_parser("gc", help="remove containers whose owner is gone", description=_GC, allow_abbrev=False)
    gc.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    gc.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    gc.add_argument("--all", action="store_true", help="those as well that were asked to stay when they had ended")
    gc.set_defaults(make=lambda options: GcArguments(options.json, options.dry_run, options.all))
    _add_image(commands.add_parser("image", help="images for kernels in containers", description=_IMAGE))
    return parser


def _add_image(image: argparse.ArgumentParser) -> None:
    """Add the commands about images."""
    commands = image.add_subparsers(title="commands", metavar="COMMAND", required=True)
    build = commands.add_parser(
        "build", help="make an image on another one, with packages", description=_IMAGE_BUILD, allow_abbrev=False
    )
    build.add_argument("image", metavar="IMAGE", help="the image to make it on, pulled when it is not there")
    build.add_argument(
        *("-r", "--requirement"),
        metavar="REQUIREMENT",
        action="append",
        default=[],
        help="a package that it is to have, such as 'pandas>=2'; can be given more than once",
    )
    build.add_argument("--wheels", metavar="DIR", type=Path, help="a folder with all of those as wheels")
    build.add_argument("--platform", metavar="OS/ARCH", help="what it must be for, such as linux/arm64")
    build.set_defaults(
        make=lambda options: ImageBuildArguments(
            options.image, tuple(options.requirement), options.wheels, options.platform
        )
    )
    shown = commands.add_parser("list", help="show the images that were made", allow_abbrev=False)
    shown.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    shown.set_defaults(make=lambda options: ImageListArguments(options.json))
    prune = commands.add_parser(
        "prune", help="remove images that nobody uses", description=_IMAGE_PRUNE, allow_abbrev=False
    )
    prune.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    prune.set_defaults(make=lambda options: ImagePruneArguments(options.dry_run))
    bootstrap = commands.add_parser(
        "bootstrap", help="make the default image", description=_IMAGE_BOOTSTRAP, allow_abbrev=False
    )
    bootstrap.set_defaults(make=lambda options: ImageBootstrapArguments())


def _add_session(command: argparse.ArgumentParser, *, default_kernel: str) -> None:
    """Add the options of the session that a command makes."""
    command.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, help="how long each cell may run (default: as long as it takes)"
    )
    command.add_argument(
        "--notebook", metavar="PATH", type=Path, help="where to record (default: session.ipynb in the work directory)"
    )
    command.add_argument(
        "--workdir", metavar="DIR", type=Path, default=Path(), help="where the code runs (default: this directory)"
    )
    command.add_argument("--kernel", metavar="NAME", help=f"the kernelspec (default: {default_kernel})")

"""`kernel-exec view`: a session as a page, or live."""

from __future__ import annotations

import contextlib
import sys

from kernel_exec.cli import values as status
from kernel_exec.cli.streams import Out
from kernel_exec.cli.tame import tamed
from kernel_exec.cli.view_arguments import ViewArguments
from kernel_exec.errors import InvalidArgument, NotebookError


def view(arguments: ViewArguments) -> int:
    """Make the page, or serve it; return the exit status."""
    try:
        return _serve(arguments) if arguments.live else _write(arguments)
    except (InvalidArgument, NotebookError) as error:
        return _refused(str(error), status.USAGE)
    except OSError as error:
        return _refused(f"{error.strerror}{f': {error.filename}' if error.filename else ''}", status.CANNOT)


def _write(arguments: ViewArguments) -> int:
    from kernel_exec.viewing import write_page

    made = write_page(arguments.notebook, arguments.output, scripts=arguments.scripts)
    Out(sys.stdout).write(f"{tamed(str(made))}\n")
    return status.OK


def _serve(arguments: ViewArguments) -> int:
    from kernel_exec.viewing.server import Server

    with contextlib.suppress(KeyboardInterrupt), Server(arguments.notebook, arguments.port) as server:
        out = Out(sys.stdout)
        out.write(f"{server.url}\n")
        if not arguments.notebook.exists():
            print(f"kernel-exec view: {tamed(str(arguments.notebook))} is not there yet", file=sys.stderr)
        server.serve_forever(poll_interval=0.2)  # until Ctrl-C
    return status.OK


def _refused(reason: str, code: int) -> int:
    print(f"kernel-exec view: {tamed(reason)}", file=sys.stderr)
    return code

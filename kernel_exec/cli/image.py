"""`kernel-exec image`: images for kernels in containers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec

from kernel_exec.cli.arguments import (
    ImageArguments,
    ImageBootstrapArguments,
    ImageBuildArguments,
    ImageListArguments,
    ImagePruneArguments,
)
from kernel_exec.cli.streams import Out
from kernel_exec.cli.tame import tamed
from kernel_exec.cli.values import CANNOT, OK, USAGE
from kernel_exec.errors import InvalidArgument, KernelStartError
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.default import bootstrap
from kernel_exec.kernels.images.inventory import OwnImage, list_images, prune
from kernel_exec.kernels.images.prepared import PreparedImage, prepare


def image(arguments: ImageArguments) -> int:
    """Do what is asked for; return the exit status.

    Args:
        arguments: what the command line asks for.
    """
    out = Out(sys.stdout)
    try:
        return asyncio.run(_perform(arguments, out))
    except (KernelStartError, InvalidArgument) as error:
        print(f"kernel-exec: {tamed(str(error))}", file=sys.stderr)
        return USAGE if isinstance(error, InvalidArgument) else CANNOT


async def _perform(arguments: ImageArguments, out: Out) -> int:
    engine = Engine.find()
    match arguments:
        case ImageBuildArguments(image=name, requirements=requirements, wheels=wheels, platform=platform):
            with _progress():
                made = await prepare(engine, name, requirements, wheels=wheels, platform=platform)
            _tell_prepared(made, out)
        case ImageBootstrapArguments():
            with _progress():
                made = await bootstrap(engine)
            _tell_prepared(made, out)
        case ImageListArguments(json=as_document):
            images = await list_images(engine)
            if as_document:
                out.write(json.dumps({"images": [asdict(found) for found in images]}, indent=1) + "\n")
            else:
                out.write("".join(map(_line_of, images)) or "there is no image of this program's\n")
        case ImagePruneArguments(dry_run=dry_run):
            verb = "would remove" if dry_run else "removed"
            removed = [f"{verb} {_line_of(found)}" for found in await prune(engine, dry_run=dry_run)]
            out.write("".join(removed) or "nothing is left over\n")
    return OK


def _line_of(image: OwnImage) -> str:
    """Return an image as a line of text."""
    what = [f"{image.size / 1e6:.0f} MB", f"made {time.strftime('%Y-%m-%d', time.localtime(image.created))}"]
    if image.python:
        what.append(f"Python {image.python.version}")
    if image.base:
        what.append(f"on {image.base}")
    if image.requirements:
        what.append(f"with {', '.join(image.requirements)}")
    if image.containers:
        what.append(f"{image.containers} in use")
    return tamed(f"{image.name}  {'; '.join(what)}", for_pipe=True) + "\n"


def _tell_prepared(made: PreparedImage, out: Out) -> None:
    """Tell the name, on a line of its own for programs, and what it has to people."""
    out.write(f"{made.name}\n")
    print(f"It has Python {made.python.version} and ipykernel {made.python.ipykernel}.", file=sys.stderr)


class _Lines(logging.Handler):
    """Hands on the lines of a log.

    Args:
        show: called with each.
    """

    def __init__(self, show: Callable[[str], object]) -> None:
        super().__init__(logging.INFO)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one line."""
        self._show(tamed(record.getMessage(), for_pipe=True))


@contextlib.contextmanager
def _progress() -> Iterator[None]:
    """Show on standard error what is done: on a terminal in one line that changes, else line by line."""
    with contextlib.ExitStack() as stack:
        if sys.stderr.isatty() and find_spec("rich"):
            from rich.console import Console
            from rich.text import Text

            status = stack.enter_context(Console(stderr=True).status(""))
            lines = _Lines(lambda line: status.update(Text(line)))
        else:
            lines = _Lines(lambda line: print(line, file=sys.stderr, flush=True))
        log = logging.getLogger("kernel_exec")
        log.setLevel(logging.INFO)
        log.addHandler(lines)
        stack.callback(log.removeHandler, lines)
        yield

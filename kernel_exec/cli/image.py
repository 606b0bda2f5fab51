"""`kernel-exec image`: images for kernels in containers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec

from kernel_exec.cli.arguments import (
    CANNOT,
    OK,
    USAGE,
    ImageArguments,
    ImageBootstrapArguments,
    ImageBuildArguments,
    ImageListArguments,
    ImagePruneArguments,
)
from kernel_exec.cli.streams import Out
from kernel_exec.cli.tame import tamed
from kernel_exec.errors import InvalidArgument, KernelStartError
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import OwnImage, PreparedImage, Progress, bootstrap, list_images, prepare, prune

_DAY = 86400.0


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
        case ImageBuildArguments(image=name, requirements=requirements, wheels=wheels):
            with _progress() as tell:
                made = await prepare(engine, name, requirements, wheels=wheels, on_progress=tell)
            _tell_prepared(made, out)
        case ImageBootstrapArguments():
            with _progress() as tell:
                made = await bootstrap(engine, on_progress=tell)
            _tell_prepared(made, out)
        case ImageListArguments(json=as_document):
            images = await list_images(engine)
            if as_document:
                out.write(json.dumps({"images": [asdict(found) for found in images]}, indent=1) + "\n")
            else:
                out.write("".join(line_of(found) for found in images) or "there is no image of this program's\n")
        case ImagePruneArguments(json=as_document, dry_run=dry_run, older_than=days):
            images = await prune(engine, older_than=days * _DAY, dry_run=dry_run)
            if as_document:
                document = {"removed": not dry_run, "images": [asdict(found) for found in images]}
                out.write(json.dumps(document, indent=1) + "\n")
            else:
                _tell_pruned(images, out, dry_run=dry_run)
    return OK


def line_of(image: OwnImage) -> str:
    """Return an image as a line of text."""
    what = [f"{image.size / 1e6:.0f} MB", f"made {time.strftime('%Y-%m-%d', time.localtime(image.created))}"]
    if image.python:
        what.append(f"Python {image.python}")
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
    print(f"It has Python {made.python_version} and ipykernel {made.ipykernel_version}.", file=sys.stderr)


def _tell_pruned(images: Sequence[OwnImage], out: Out, *, dry_run: bool) -> None:
    for found in images:
        out.write(f"{'would remove' if dry_run else 'removed'} {line_of(found)}")
    if not images:
        out.write("nothing is left over\n")


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Show on standard error what is done: on a terminal in one line that changes, else line by line."""
    if not sys.stderr.isatty() or find_spec("rich") is None:
        yield lambda line: print(tamed(line, for_pipe=True), file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("") as status:
        yield lambda line: status.update(Text(tamed(line, for_pipe=True)))

"""`kernel-exec verify`: notebooks run again, and compared with what they have recorded."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kernel_exec.cli import values as status
from kernel_exec.cli.bars import Bars
from kernel_exec.cli.kernels import chosen
from kernel_exec.cli.notebook_arguments import VerifyArguments
from kernel_exec.cli.streams import Out
from kernel_exec.cli.tame import tamed
from kernel_exec.errors import InvalidArgument, KernelExecError, NotebookError
from kernel_exec.replays.junit import junit_of
from kernel_exec.replays.many import NotRun, side_by_side
from kernel_exec.replays.verify import Verification, averify


def verify(arguments: VerifyArguments) -> int:
    """Verify the notebooks; return the exit status."""
    try:
        _refuse_same_pages(arguments)
        done = asyncio.run(_verifications(arguments))
        _write(arguments, done)
    except InvalidArgument as error:
        return _refuse(str(error), status.USAGE)
    except OSError as error:
        return _refuse(f"the report cannot be written: {error}", status.CANNOT)
    out = Out(sys.stdout)
    try:
        _tell(arguments, done, out)
    except KernelExecError as error:
        return _refuse(str(error), status.CANNOT)
    return next((_exit(one) for one in done if not one.ok), status.OK)


def _tell(arguments: VerifyArguments, done: Sequence[Verification | NotRun], out: Out) -> None:
    if arguments.json:
        out.write(json.dumps([one.as_dict() for one in done]) + "\n")
    else:
        for one in done:
            out.write(tamed(str(one)) + "\n")
            if arguments.diff and isinstance(one, Verification):
                out.write(tamed(one.to_nbdiff()))
        if len(done) > 1:
            out.write(f"{sum(one.ok for one in done)} of {len(done)} notebooks gave what they had recorded\n")


async def _verifications(arguments: VerifyArguments) -> Sequence[Verification | NotRun]:
    kernel = chosen(arguments.kernel)
    with Bars() as bars:

        async def run(notebook: Path) -> Verification:
            return await averify(
                notebook,
                kernel=kernel,
                runs=arguments.runs,
                timeout=arguments.timeout,
                workdir=arguments.workdir,
                on_progress=bars.follow(notebook.name),
            )

        return await side_by_side(arguments.notebooks, run, jobs=arguments.jobs)


def _refuse_same_pages(arguments: VerifyArguments) -> None:
    if arguments.html:
        pages = Counter(_page(arguments, arguments.html, notebook) for notebook in arguments.notebooks)
        if twice := [str(page) for page, number in pages.items() if number > 1]:
            raise InvalidArgument(f"several pages would become {', '.join(twice)}: verify these one by one")


def _page(arguments: VerifyArguments, html: Path, notebook: Path) -> Path:
    single = len(arguments.notebooks) == 1 and html.suffix == ".html"
    return html if single else html / f"{notebook.stem}.html"


def _write(arguments: VerifyArguments, done: Sequence[Verification | NotRun]) -> None:
    if arguments.junit:
        arguments.junit.parent.mkdir(parents=True, exist_ok=True)
        arguments.junit.write_text(junit_of(done), encoding="utf-8")
    for one in done:
        if arguments.html and isinstance(one, Verification):
            one.to_html(_page(arguments, arguments.html, one.origin))


def _exit(one: Verification | NotRun) -> int:
    if isinstance(one, Verification):
        return status.ERROR
    return status.USAGE if isinstance(one.error, InvalidArgument | NotebookError) else status.CANNOT


def _refuse(message: str, code: int) -> int:
    print(f"kernel-exec verify: {tamed(message)}", file=sys.stderr)
    return code

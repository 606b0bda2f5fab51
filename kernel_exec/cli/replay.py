"""`kernel-exec replay`: notebooks run again, side by side, with one summary."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernel_exec.cli import values as status
from kernel_exec.cli.bars import Bars
from kernel_exec.cli.kernels import chosen
from kernel_exec.cli.notebook_arguments import ReplayArguments
from kernel_exec.cli.streams import Out
from kernel_exec.cli.tame import tamed
from kernel_exec.errors import InvalidArgument, NotebookError
from kernel_exec.replays.many import NotRun, side_by_side
from kernel_exec.replays.run import Replay, areplay
from kernel_exec.results import ReplayedCell

_EXIT = {"timeout": status.TIMEOUT, "died": status.DEAD, "interrupted": status.INTERRUPTED}


def replay(arguments: ReplayArguments) -> int:
    """Run the notebooks again; return the exit status."""
    try:
        done = asyncio.run(_replays(arguments))
    except InvalidArgument as error:
        print(f"kernel-exec replay: {tamed(str(error))}", file=sys.stderr)
        return status.USAGE
    out = Out(sys.stdout)
    if arguments.json:
        out.write(json.dumps([_document(one) for one in done]) + "\n")
    else:
        for one in done:
            out.write(tamed("\n".join(_lines(one))) + "\n")
        if len(done) > 1:
            out.write(f"{sum(one.ok for one in done)} of {len(done)} notebooks ran as they should\n")
    return next((_exit(one) for one in done if not one.ok), status.OK)


async def _replays(arguments: ReplayArguments) -> Sequence[Replay | NotRun]:
    kernel = chosen(arguments.kernel)
    places = Counter(_output(arguments, notebook) or notebook.resolve() for notebook in arguments.notebooks)
    if twice := [str(place) for place, number in places.items() if number > 1]:
        raise InvalidArgument(f"several recordings would become {', '.join(twice)}: replay these one by one")
    with Bars() as bars:

        async def run(notebook: Path) -> Replay:
            return await areplay(
                notebook,
                kernel=kernel,
                output=_output(arguments, notebook),
                parameters=arguments.parameters,
                since=arguments.since,
                until=arguments.until,
                timeout=arguments.timeout,
                allow_errors=arguments.keep_going,
                workdir=arguments.workdir,
                on_progress=bars.follow(notebook.name),
            )

        return await side_by_side(arguments.notebooks, run, jobs=arguments.jobs)


def _output(arguments: ReplayArguments, notebook: Path) -> Path | None:
    output = arguments.output
    if output is None or (len(arguments.notebooks) == 1 and not output.is_dir()):
        return output
    return output / notebook.name


def _exit(one: Replay | NotRun) -> int:
    if isinstance(one, NotRun):
        return status.USAGE if isinstance(one.error, InvalidArgument | NotebookError) else status.CANNOT
    failed = next(cell for cell in one.cells if not cell.ok)
    return _EXIT.get(failed.status, status.ERROR)


def _lines(one: Replay | NotRun) -> list[str]:
    """Return what a person is told."""
    if isinstance(one, NotRun):
        return [str(one)]
    notes = [f"  note: {note}" for note in one.notes]
    return [str(one), *notes, *(f"  {_told(cell)}" for cell in one.cells if not cell.ok)]


def _told(cell: ReplayedCell) -> str:
    place = "the parameters" if cell.index is None else f"cell {cell.index}"
    error = cell.result.error if cell.result is not None else None
    return f"{place}: {error or cell.status}"


def _document(one: Replay | NotRun) -> dict[str, Any]:
    if isinstance(one, NotRun):
        return one.as_dict()
    return {
        "notebook": str(one.origin),
        "ok": one.ok,
        "output": str(one.notebook_path),
        "notes": list(one.notes),
        "cells": [_cell(cell) for cell in one.cells],
    }


def _cell(cell: ReplayedCell) -> dict[str, Any]:
    result = cell.result
    return {
        "index": cell.index,
        "id": cell.cell_id,
        "status": cell.status,
        "ok": cell.ok,
        "reason": cell.reason,
        "error": None if result is None or result.error is None else str(result.error),
        "duration": None if result is None else result.duration,
    }

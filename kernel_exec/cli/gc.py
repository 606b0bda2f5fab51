"""`kernel-exec gc`: remove what no living process owns any more: containers, and the mounts of their keepers."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from kernel_exec.cli.arguments import GcArguments
from kernel_exec.cli.streams import Out
from kernel_exec.cli.values import CANNOT, OK
from kernel_exec.errors import EngineError, EngineUnavailable, InvalidArgument
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.leftovers import Leftover, leftovers, remove
from kernel_exec.kernels.mounts import strays, unmount


def gc(arguments: GcArguments) -> int:
    """Remove the containers of this user whose host is gone, and mounts without a keeper; return the exit status.

    Args:
        arguments: what the command line asks for.
    """
    out = Out(sys.stdout)
    mounts = strays()
    if not arguments.dry_run:
        for folder in mounts:
            unmount(folder)
    try:
        found = asyncio.run(_collect(arguments))
    except (EngineUnavailable, EngineError, InvalidArgument) as error:
        print(f"kernel-exec: {error}", file=sys.stderr)
        return CANNOT
    if arguments.json:
        containers = [asdict(one) for one in found]
        told = {
            "removed": not arguments.dry_run,
            "containers": containers,
            "mounts": [str(folder) for folder in mounts],
        }
        out.write(json.dumps(told) + "\n")
        return OK
    for one in found:
        out.write(f"{'would remove' if arguments.dry_run else 'removed'} {one.name} ({one.state})\n")
    for folder in mounts:
        out.write(f"{'would take' if arguments.dry_run else 'took'} the mounts in {folder} away\n")
    if not found and not mounts:
        out.write("nothing is left over\n")
    return OK


async def _collect(arguments: GcArguments) -> list[Leftover]:
    engine = Engine.find()
    found = [one for one in await leftovers(engine) if arguments.all or not one.kept]
    if not arguments.dry_run:
        for one in found:
            await remove(engine, one)
    return found

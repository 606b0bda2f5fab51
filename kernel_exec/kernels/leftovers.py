"""Containers whose host is gone and that are there all the same: the engine had crashed, or was not to be reached.

Everything else that a host leaves ends with its keeper. Each container carries labels by which its owner is known.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kernel_exec.errors import EngineError, EngineUnavailable
from kernel_exec.kernels.engine import Engine

OWNER = "kernel_exec.owner"
"""The label with the number of the user whose container it is."""
HOST = "kernel_exec.host"
"""The label with what tells the process that made it from every other one, on whatever machine."""
EXPIRES = "kernel_exec.expires"
"""The label with the second (since 1970) after which nobody wants it any more; missing where that is not known."""
SESSION = "kernel_exec.session"
"""The label with the name of the session's runtime directory."""
KEPT = "kernel_exec.kept"
"""The label of one that was asked to stay when it has ended."""

_swept: set[str] = set()
"""The engines that were looked at."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A container that nobody owns any more.

    Attributes:
        id: of the container.
        name: of the container.
        state: as the engine has it: "created", "running", "exited", ...
        kept: whether it was asked to stay when it has ended.
    """

    id: str
    name: str
    state: str
    kept: bool


def labels(session: str, *, kept: bool, expires: float | None = None) -> dict[str, str]:
    """Return the labels of a container that this process makes."""
    own = {OWNER: str(os.getuid()), HOST: _process(os.getpid()), SESSION: session}
    if expires is not None:
        own[EXPIRES] = str(int(expires))
    return {**own, KEPT: "yes"} if kept else own


async def sweep(engine: Engine) -> None:
    """Remove what is left over and was not to stay, once for each engine that this process uses.

    An engine that fails at that is not asked again: it is asked for a container next.
    """
    if engine.url in _swept:
        return
    _swept.add(engine.url)
    with contextlib.suppress(EngineError, EngineUnavailable):
        for one in await leftovers(engine):
            if not one.kept:
                await remove(engine, one)


async def leftovers(engine: Engine) -> list[Leftover]:
    """Return the containers of this user whose host is gone.

    Raises:
        EngineUnavailable, EngineError: the engine does not tell.
    """
    filters = quote(json.dumps({"label": [SESSION, f"{OWNER}={os.getuid()}"]}))
    found = await engine.ask("GET", f"/containers/json?all=1&filters={filters}")
    return [
        Leftover(about["Id"], about["Names"][0].lstrip("/"), about["State"], KEPT in about["Labels"])
        for about in found
        if not _lives(about["Labels"])
    ]


async def remove(engine: Engine, leftover: Leftover) -> None:
    """Remove a container, whatever its state.

    Raises:
        EngineUnavailable, EngineError: the engine does not do that.
    """
    try:
        await engine.ask("DELETE", f"/containers/{leftover.id}?force=1&v=1")
    except EngineError as error:
        if error.status not in (404, 409):  # it has gone, or is going
            raise


def _lives(labels: Mapping[str, str]) -> bool:
    """Whether the process that made a container runs; yes, where that cannot be seen from here, until it expires."""
    expires = labels.get(EXPIRES, "")
    if expires.isdigit() and int(expires) < time.time():
        return False
    host = labels.get(HOST, "")
    machine, _, rest = host.partition(":")
    boot, _, rest = rest.partition(":")
    space, _, rest = rest.partition(":")
    pid = rest.partition(":")[0]
    if not pid.isdigit():
        return False
    if machine != _machine() or (boot == _boot() and space != _space()):
        return True
    return boot == _boot() and _process(int(pid)) == host


def _process(pid: int) -> str:
    """Return what tells a process from all others: numbers are used again, the time of its start is not."""
    started = b""
    with contextlib.suppress(OSError, IndexError):
        started = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19]
    return f"{_machine()}:{_boot()}:{_space()}:{pid}:{started.decode()}"


def _machine() -> str:
    """The engine may be that of several machines, or of containers, each of which sees its own processes only."""
    with contextlib.suppress(OSError):
        if known := Path("/etc/machine-id").read_text("ascii").strip():
            return known
    return socket.gethostname().replace(":", "-")


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "unknown"


def _space() -> str:
    """The namespace that process ids belong to."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return "unknown"

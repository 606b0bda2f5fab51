"""How kernels reach a container: by mounts, where the engine sees this machine's files, or by its attach stream."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kernel_exec.errors import EngineError, KernelStartError
from kernel_exec.kernels.container import CODE, RUNTIME
from kernel_exec.kernels.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_exec.kernels.docker import DockerKernel

DISK = 2**30
"""Bytes of the work directory in a container that is far, where nothing else is said."""
RUNTIME_SIZE = 128 * 2**20
"""Bytes of its runtime directory: what it has put out lately, and what was cut out of that."""
CODE_SIZE = 8 * 2**20

BOOT = f"""
import json, os
def read(size):
    data = b""
    while len(data) < size:
        data += os.read(0, min(size - len(data), 1 << 20)) or exit(1)
    return data
for place, files in zip(({str(CODE)!r}, {str(RUNTIME)!r}), json.loads(read(int(read(16))))):
    for name, text in files.items():
        with open(place + "/" + name, "w", encoding="utf-8") as file:
            file.write(text)
start = {{"__file__": {str(CODE / "start.py")!r}, "__name__": "start"}}
exec(compile(open(start["__file__"], encoding="utf-8").read(), start["__file__"], "exec"), start)
start["main"]("farbox", [{str(RUNTIME)!r}])
"""
"""What runs first: it takes our code from its standard input (`inkernel/far.py`), and runs that."""

_near: dict[str, bool] = {}


async def sees_our_files(engine: Engine) -> bool:
    """Whether an engine works on this machine, with its files; no, where it does not tell. Each is asked once.

    Raises:
        EngineUnavailable: it does not answer.
    """
    if engine.address[0] != "unix":
        return False
    if engine.url not in _near:
        try:
            about = await engine.ask("GET", "/info")
        except EngineError:
            about = {}
        here = os.uname()
        same = (about.get("Name"), about.get("KernelVersion")) == (here.nodename, here.release)
        _near[engine.url] = same and about.get("OperatingSystem") != "Docker Desktop"
    return _near[engine.url]


def far_request(
    request: dict[str, Any], settings: DockerKernel, *, user: tuple[int, int], disk: int, podman: bool
) -> dict[str, Any]:
    """Return a request for a container without our mounts: directories in memory in their place.

    Args:
        request: made by `create_request`.
        settings: what kind of container.
        user: numbers of user and group inside.
        disk: bytes of the work directory.
        podman: whether it is Podman that is asked.
    """
    owner = f"uid={user[0]},gid={user[1]},mode=700,nosuid,nodev"
    sizes = {settings.workdir: disk, str(RUNTIME): RUNTIME_SIZE, str(CODE): CODE_SIZE}
    host = request["HostConfig"]
    memory = host["Memory"] + sum(sizes.values())  # what lies in these directories counts as the container's memory
    inodes = "" if podman else "nr_inodes=262144,"
    tmpfs = {path: f"size={size},{inodes}exec,{owner}" for path, size in sizes.items()}
    return {
        **request,
        "Entrypoint": [request["Entrypoint"][0], "-I", "-S", "-c", BOOT],
        # Without a network the engine makes no /etc/hosts, and ours cannot be mounted there.
        "NetworkDisabled": request["NetworkDisabled"] and bool(host["Mounts"]),
        "HostConfig": {**host, "Memory": memory, "MemorySwap": memory, "Tmpfs": {**host["Tmpfs"], **tmpfs}},
    }


def about_far(connection: Mapping[str, Any], workdir: str, *, own: list[str], disk: int, limit: int) -> dict[str, Any]:
    """Return what the keeper must know (`inkernel/far.py`).

    Args:
        connection: the connection info.
        workdir: the work directory on this machine.
        own: paths below it that stay here.
        disk: bytes that it may have inside.
        limit: bytes that are fetched of one cell.
    """
    ports = [connection[f"{name}_port"] for name in ("shell", "iopub", "stdin", "control", "hb")]
    return {
        "workdir": workdir,
        "sockets": {f"k-{port}": f"{connection['ip']}-{port}" for port in ports},
        "own": own,
        "disk": disk,
        "limit": limit,
    }


def refuse_ours(settings: DockerKernel, engine: Engine) -> None:
    """Refuse what needs something of this machine, where an engine on another one cannot mount it.

    Raises:
        KernelStartError: it is asked for.
    """
    if not isinstance(settings.network, str):
        raise KernelStartError(
            f"the engine at {engine.url} does not see the sockets of this machine, and the way to a list of hosts "
            f"leads through one: use an engine on this machine, network='none', or a network of the engine's"
        )
    if settings.mounts:
        raise KernelStartError(
            f"the engine at {engine.url} does not see the files of this machine, so nothing of it can be mounted: "
            f"leave mounts out, and put the files into the work directory"
        )


async def description(engine: Engine) -> str:
    """Return what an engine is and how kernels are reached in its containers, for people.

    Raises:
        EngineUnavailable, EngineError: it does not tell.
    """
    version = await engine.ask("GET", "/version")
    near = await sees_our_files(engine)
    name = (version.get("Platform") or {}).get("Name") or "Docker"
    way = "files and sockets by mount" if near else "files and sockets by its attach stream"
    return f"{name} {version.get('Version', '?')} at {engine.url}: {way}"

"""What the engine is asked for, and what it says when it refuses. Pure.

https://docs.docker.com/reference/api/engine/ (ContainerCreate)
"""

from __future__ import annotations

import getpass
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kernel_exec.errors import EngineError
from kernel_exec.kernels.allowed import engine_network, variables

if TYPE_CHECKING:
    from kernel_exec.kernels.docker import DockerKernel
    from kernel_exec.kernels.images.prepared import PreparedImage

RUNTIME = PurePosixPath("/run/kernel_exec")
"""Where the runtime directory is inside."""
CODE = PurePosixPath("/opt/kernel_exec")
"""Where the code is that runs there."""

MANY_PROCESSES = 32768
"""What Podman lets itself have."""

DEFAULT_IMAGE = "kernel-exec/python:latest"
"""The image of kernels whose caller names none."""
GET_IMAGE = "`docker pull` gets one from a registry, `kernel-exec image bootstrap` makes the default one"

_ADVICE = (
    ("port is already allocated", "name another port of the host, or None for any"),
    ("address already in use", "name another port of the host, or None for any"),
    ("bind source path does not exist", "make it, or take it out of mounts"),
    ("could not select device driver", "install NVIDIA's container toolkit for this engine, or leave gpus out"),
    ("Unknown runtime", "install it and name it in the engine's configuration, or leave runtime out"),
    ("unknown or invalid runtime name", "install it and name it in the engine's configuration, or leave runtime out"),
    ("is already in use by container", "leave '{uuid}' in the name, or remove that container"),
    ("network ", "`docker network ls` shows which there are"),
    ("Range of CPUs", "ask for fewer"),
    ("No such image", GET_IMAGE),
    ("no space left on device", "free some where the engine has its data: `docker system df` tells what takes it"),
)
"""What engines say, and what to do about it."""


def create_request(
    settings: DockerKernel,
    image: PreparedImage,
    *,
    user: str,
    memory: int,
    cpus: float,
    pids: int,
    mounts: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    podman: bool = False,
) -> dict[str, Any]:
    """Return the request for a container in which nothing is allowed that the settings do not say.

    Args:
        settings: what kind of container.
        image: of which it is made.
        user: "UID:GID" inside.
        memory: bytes, swap included.
        cpus: processors.
        pids: processes and threads.
        mounts: made by `bind`.
        labels: ours.
        podman: whether it is Podman that is asked: there nothing but the limit on memory bounds the inodes of /tmp.
    """
    env = {**_environment(), **variables(settings.network), **settings.env}
    network = engine_network(settings.network)
    inodes = "" if podman else "nr_inodes=65536,"
    return {
        "Image": image.id,
        "Entrypoint": [image.python.executable, "-I", "-S", str(CODE / "start.py"), "box", str(RUNTIME)],
        "Cmd": [],
        "User": user,
        "WorkingDir": settings.workdir,
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Labels": {**settings.labels, **labels},
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "NetworkDisabled": network == "none",
        "ExposedPorts": {f"{port}/tcp": {} for port in settings.ports},
        "HostConfig": {
            "NetworkMode": network,
            "PortBindings": {
                f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(published or "")}]
                for port, published in settings.ports.items()
            },
            "AutoRemove": settings.auto_remove,
            "ReadonlyRootfs": settings.read_only,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": pids,
            "Memory": memory,
            "MemorySwap": memory,
            "NanoCpus": int(cpus * 1e9),
            "Tmpfs": {"/tmp": f"size={settings.tmpfs},{inodes}mode=1777,nosuid,nodev"},  # noqa: S108
            "LogConfig": {"Type": "none"},
            "Ulimits": ulimits(podman=podman),
            "Mounts": list(mounts),
            "Runtime": settings.runtime or "",
            "DeviceRequests": gpu_requests(settings.gpus),
        },
    }


def bind(source: Path, target: str | PurePosixPath, *, read_only: bool) -> dict[str, Any]:
    """Return the request for a mount of a file or directory of the host."""
    options = {"Propagation": "rprivate"}
    return {
        "Type": "bind",
        "Source": str(source),
        "Target": str(target),
        "ReadOnly": read_only,
        "BindOptions": options,
    }


def gpu_requests(gpus: int | str | None) -> list[dict[str, Any]]:
    """Return the request for so many graphics processors."""
    if gpus is None:
        return []
    return [{"Count": gpus if isinstance(gpus, int) else -1, "Capabilities": [["gpu"]]}]


def ulimits(*, podman: bool) -> list[dict[str, Any]]:
    """Return what a process in a container may have."""
    limits = [{"Name": "nofile", "Soft": 1024, "Hard": 4096}, {"Name": "core", "Soft": 0, "Hard": 0}]
    if podman:  # it asks for the highest that there is, which not every root may grant; `pids` is the limit
        limits.append({"Name": "nproc", "Soft": MANY_PROCESSES, "Hard": MANY_PROCESSES})
    return limits


def container_name(template: str) -> str:
    """Return a name for a container, with `{user}` and `{uuid}` filled in."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    user = re.sub(r"[^a-zA-Z0-9_.-]", "-", user)
    return template.replace("{user}", user).replace("{uuid}", uuid.uuid4().hex[:12])


def explained(error: EngineError) -> EngineError:
    """Return the error of an engine that refuses to make or start a container, with what to do about it."""
    text = str(error)
    advice = next((f": {advice}" for part, advice in _ADVICE if part in text), "")
    return EngineError(f"the container could not be started: {text}{advice}", error.status)


def _environment() -> dict[str, str]:
    """Variables that Python and its libraries need where there is no home and no entry in /etc/passwd."""
    home = "/tmp"  # noqa: S108 - of the container, and in memory
    return {
        "HOME": home,
        "USER": "kernel",
        "LOGNAME": "kernel",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "IPYTHONDIR": f"{home}/.ipython",
        "MPLCONFIGDIR": f"{home}/.matplotlib",
    }

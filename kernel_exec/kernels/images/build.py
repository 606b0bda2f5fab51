"""Containers in which the Python of an image is looked at, or gets packages. They are gone when that is done."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import struct
import tarfile
import tempfile
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlencode

from kernel_exec.errors import EngineError, EngineUnavailable, ImageBuildFailed, ImageError
from kernel_exec.kernels.container import ulimits
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.inventory import ABOUT, BASE, KEY, REQUIREMENTS, TRIMMED, Image, label_changes
from kernel_exec.kernels.images.python import OLDEST_IPYKERNEL, OLDEST_PYTHON, Python, python_from
from kernel_exec.kernels.images.wheels import LAST_LINES, files
from kernel_exec.kernels.leftovers import HOST, OWNER, SESSION, labels

PROBING = 60.0
"""Seconds in which any image has told what its Python is."""
INSTALLING = 1800.0
"""Seconds in which pip has installed all wheels."""
WRITING = 600.0
"""Seconds in which an engine has taken in, or written down, an image of any size."""
WHEELS = "/.kernel-exec-wheels"
"""Where they are in the container."""

_PROGRAM = Path(__file__).with_name("inside.py")
_NO_PROGRAM = ("not found", "no such file", "permission denied", "is a directory")
_WRONG_MACHINE = "exec format error"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into an image that is made on another one.

    Attributes:
        base: the image below.
        python: what that has.
        requirements: normalized and sorted.
        wheels: a folder with all of them; None when pip gets them.
        trim: patterns of what lies below site-packages that the new image does without.
    """

    base: Image
    python: Python
    requirements: tuple[str, ...]
    wheels: Path | None = None
    trim: tuple[str, ...] = ()


async def look(engine: Engine, image: Image) -> Python:
    """Return what Python an image has, by running it: closed off, as nobody, with nothing to write to.

    Raises:
        ImageError: it has none, or one that does not run on this machine.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    box = {"ReadonlyRootfs": True, "Memory": 512 * 2**20, "PidsLimit": 64, "CapDrop": ["ALL"]}
    try:
        async with _container(engine, image, ["python3"], "65534:65534", box) as container:
            status, output, errors = await _run(engine, container, PROBING)
    except EngineError as error:
        status, output, errors = 1, "", str(error)
        if any(part in errors for part in _NO_PROGRAM):
            raise ImageError(
                f"the image {image.name!r} has no Python (python3 does not start): name one that has Python "
                f"{OLDEST_PYTHON} or later, such as 'python:3.12-slim'"
            ) from error
        if _WRONG_MACHINE not in errors:
            raise
    if _WRONG_MACHINE in errors:
        raise ImageError(
            f"the engine cannot run the programs of the image {image.name!r}: they are for another kind of processor "
            f"(the image says {image.platform}); get it for this one, with `docker pull --platform`"
        )
    python = python_from(_last_line(output))
    if status or python is None:
        raise ImageError(
            f"the Python of the image {image.name!r} does not work: it exited with status {status} "
            f"({_last_line(errors or output)[:300]}); name another image, with Python {OLDEST_PYTHON} or later"
        )
    return python


async def install(engine: Engine, recipe: Recipe, wheels: Path, name: str) -> tuple[str, Python]:
    """Make an image of this name, with packages installed from a folder of wheels; return its id, and its Python.

    No code of the packages runs as it is installed, and the container has no network. Everything else of the image
    is as it was: its command, entry point, user and environment.

    Raises:
        ImageBuildFailed: pip cannot install them.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    wanted = ", ".join(recipe.requirements)
    command = [recipe.python.executable, WHEELS, json.dumps(recipe.trim), *recipe.requirements]
    box = {"CapDrop": ["ALL"], "CapAdd": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]}
    async with _container(engine, recipe.base, command, "0:0", box) as container:
        await _put(engine, container, wheels)
        status, output, errors = await _run(engine, container, INSTALLING)
        made = python_from(_last_line(output))
        if status or made is None:
            log = "\n".join(errors.splitlines()[-LAST_LINES:])
            advice = ": put a wheel of pip there too" if "No module named pip" in errors else ""
            raise ImageBuildFailed(
                f"{wanted} could not be installed into {recipe.base.name!r} from the wheels{advice}. "
                f"The end of what pip said:\n{log}",
                log,
            )
        if not made.has_kernel:
            raise ImageBuildFailed(
                f"with {wanted} the image has ipykernel {made.ipykernel}, and {OLDEST_IPYKERNEL} or later is needed: "
                f"leave that requirement out"
            )
        repository, _, tag = name.rpartition(":")
        changes = _changes(recipe, {KEY: tag, ABOUT: json.dumps(asdict(made))})
        new = {"container": container, "repo": repository, "tag": tag, "changes": changes}
        commit = engine.ask("POST", f"/commit?{urlencode(new)}", {}, timeout=WRITING)
        return (await _to_its_end(commit))["Id"], made


@contextlib.asynccontextmanager
async def _container(
    engine: Engine, image: Image, command: Sequence[str], user: str, box: Mapping[str, Any]
) -> AsyncIterator[str]:
    """Hold a container whose Python is to run `inside.py`; it is removed at the end, however that comes."""
    name = f"kernel-exec-image-{secrets.token_hex(6)}"
    request = {
        "Image": image.id,
        "Entrypoint": [""],  # none: an image that has none takes that of the container it is made of
        "Cmd": [command[0], "-c", _PROGRAM.read_text("utf-8"), *command[1:]],
        "User": user,
        "Labels": labels("image", kept=False),
        "HostConfig": {
            "NetworkMode": "none",  # `NetworkDisabled` would become the new image's
            "SecurityOpt": ["no-new-privileges"],
            "Ulimits": ulimits(podman=engine.is_podman),
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "4m"}},
            **box,
        },
    }
    try:
        await _to_its_end(engine.ask("POST", f"/containers/create?name={name}", request, timeout=WRITING))
        yield name
    finally:
        await _to_its_end(_remove(engine, name))


async def _remove(engine: Engine, container: str) -> None:
    try:
        await engine.ask("DELETE", f"/containers/{container}?force=1&v=1", timeout=PROBING)
    except EngineUnavailable:
        return  # with it the container has gone; `kernel-exec gc` removes it when it comes back
    except EngineError as error:
        if error.status not in (404, 409):  # it has gone, or is going
            raise


async def _run(engine: Engine, container: str, seconds: float) -> tuple[int, str, str]:
    """Run a container to its end; return its status, and its two outputs, of which the last part is kept."""
    await engine.ask("POST", f"/containers/{container}/start", timeout=PROBING)
    try:
        status = (await engine.ask("POST", f"/containers/{container}/wait", timeout=seconds))["StatusCode"]
    except EngineUnavailable as error:
        if isinstance(error.__cause__, TimeoutError):
            raise ImageError(f"the Python of the image did not end within {seconds:g} s: name another image") from error
        raise
    frames = await engine.read("GET", f"/containers/{container}/logs?stdout=1&stderr=1&tail=200")
    outputs = {1: bytearray(), 2: bytearray()}
    while len(frames) >= 8:  # https://docs.docker.com/reference/api/engine/ (ContainerAttach, stream format)
        stream, size = struct.unpack(">BxxxL", frames[:8])
        outputs[stream] += frames[8 : 8 + size]
        frames = frames[8 + size :]
    return status, outputs[1].decode("utf-8", "replace"), outputs[2].decode("utf-8", "replace")


async def _put(engine: Engine, container: str, wheels: Path) -> None:
    """Copy wheels into a container. Nothing is mounted: engines elsewhere see no files of this machine."""
    with tempfile.TemporaryFile() as file:
        await asyncio.to_thread(_pack, wheels, file)
        await engine.read("PUT", f"/containers/{container}/archive?path=/", file, timeout=WRITING)


def _pack(wheels: Path, file: BinaryIO) -> None:
    with tarfile.open(fileobj=file, mode="w") as tar:
        for path in files(wheels):
            tar.add(path, f"{WHEELS[1:]}/{path.name}")


def _changes(recipe: Recipe, told: Mapping[str, str]) -> str:
    """Return what gives the new image the configuration of the old one; what stays empty comes from the container."""
    config = recipe.base.config
    entry, command = config.get("Entrypoint") or [], config.get("Cmd") or []
    nobodys = {OWNER: "", HOST: "", SESSION: ""}  # what runs in the new image is not a container of this process
    made_of = {
        BASE: recipe.base.name,
        REQUIREMENTS: "  ".join(recipe.requirements),
        TRIMMED: "  ".join(recipe.trim),
    }
    changes = [
        f"USER {config.get('User') or '0'}",
        *([f"ENTRYPOINT {json.dumps(entry)}"] if entry else []),
        f"CMD {json.dumps(command or ([] if entry else ['python3']))}",
        *label_changes({**nobodys, **made_of, **told}),
    ]
    return "\n".join(changes)


async def _to_its_end(work: Awaitable[T]) -> T:
    """Wait for what must not be left half done, whole, also when the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        task.cancelled() or task.exception()  # it has been seen
        raise


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]

"""Containers in which the Python of an image is looked at, or gets packages. They are gone when that is done."""

from __future__ import annotations

import contextlib
import json
import secrets
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kernel_exec.errors import EngineError, EngineUnavailable, ImageBuildFailed, ImageError
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import names
from kernel_exec.kernels.images.calls import Calls, to_its_end
from kernel_exec.kernels.images.python import OLDEST_IPYKERNEL, OLDEST_PYTHON, Python, python_from_output
from kernel_exec.kernels.images.recipe import Recipe
from kernel_exec.kernels.images.wheels import LAST_LINES, files
from kernel_exec.kernels.leftovers import HOST, OWNER, SESSION, labels

PROBING = 60.0
"""Seconds in which any image has told what its Python is."""
INSTALLING = 1800.0
"""Seconds in which pip has installed all wheels."""
WHEELS = "/.kernel-exec-wheels"
"""Where they are in the container."""

_INSIDE = Path(__file__).with_name("inside.py")
_HEAD = f"""\
import json, sys
if sys.version_info < {OLDEST_PYTHON.release}:
    print(json.dumps({{"executable": sys.executable, "version": ".".join(map(str, sys.version_info[:3]))}}))
else:
    exec(sys.argv.pop(1))
"""
"""What every Python understands."""
_INTERPRETERS = ("python3", "python")
_NOBODY = "65534:65534"


async def look(engine: Engine, calls: Calls, about: Mapping[str, Any], name: str) -> Python:
    """Return what Python an image has, by running it: closed off, as nobody, with nothing to write to.

    Args:
        engine: that has the image.
        calls: of it.
        about: the image, as the engine describes it.
        name: by which the user knows it.

    Raises:
        ImageError: it has none, or one that does not run on this machine.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    host = {"read_only": True, "mem_limit": "512m", "pids_limit": 64, "cap_drop": ["ALL"]}
    for interpreter in _INTERPRETERS:
        async with _container(calls, about, [interpreter, *_program()], user=_NOBODY, host=host) as container:
            if not await _started(calls, container):
                continue
            status, output, errors = await _ended(engine, calls, container, PROBING)
        if "exec format error" in errors:
            raise _wrong_machine(about, name)
        python = python_from_output(output)
        if status or python is None:
            raise ImageError(
                f"the Python of the image {name!r} does not work: it exited with status {status}"
                f"{_end(errors or output)}; name another image"
            )
        return python
    raise ImageError(
        f"the image {name!r} has no Python: name one that has Python {OLDEST_PYTHON} or later, such as "
        f"'python:3.12-slim'"
    )


async def install(
    engine: Engine, calls: Calls, recipe: Recipe, wheels: Path, name: str, told: Mapping[str, str]
) -> None:
    """Make an image on another one, with packages installed from a folder of wheels.

    No code of the packages runs as it is installed, and the container has no network. Everything else of the image
    is as it was: its command, entry point, user and environment.

    Args:
        engine: that has the image.
        calls: of it.
        recipe: what is to be made.
        wheels: the folder.
        name: of the new image.
        told: its labels.

    Raises:
        ImageBuildFailed: pip cannot install them.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    about, wanted = recipe.about, ", ".join(recipe.requirements)
    command = [recipe.python.executable, *_program(), WHEELS, json.dumps(recipe.trim), *recipe.requirements]
    host = {"cap_drop": ["ALL"], "cap_add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]}
    async with _container(calls, about, command, user="0:0", host=host) as container:
        await calls.do(lambda client: _put(client, container, wheels))
        await calls.do(lambda client: client.start(container))
        status, output, errors = await _ended(engine, calls, container, INSTALLING)
        made = python_from_output(output)
        if status or made is None:
            log = "\n".join(errors.splitlines()[-LAST_LINES:])
            advice = ": put a wheel of pip there too" if "No module named pip" in errors else ""
            raise ImageBuildFailed(
                f"{wanted} could not be installed into {recipe.base!r} from the wheels{advice}. "
                f"The end of what pip said:\n{log}",
                log,
            )
        if not made.has_kernel:
            raise ImageBuildFailed(
                f"with {wanted} the image has ipykernel {made.ipykernel}, and {OLDEST_IPYKERNEL} or later is needed: "
                f"leave that requirement out"
            )
        repository, _, tag = name.rpartition(":")
        changes = _changes(about, {**told, **_told(made)})
        await calls.do(lambda client: client.commit(container, repository, tag, changes=changes))


@contextlib.asynccontextmanager
async def _container(
    calls: Calls, about: Mapping[str, Any], command: Sequence[str], *, user: str, host: Mapping[str, Any]
) -> AsyncIterator[str]:
    """Hold a container of an image, not started; it is removed at the end, however that comes."""
    name = f"kernel-exec-image-{secrets.token_hex(6)}"
    # An entry point that is given where the image has none would become the new image's.
    entry = command[:1] if _config(about).get("Entrypoint") else None
    common = {"security_opt": ["no-new-privileges"], "network_mode": "none"}
    log = {"Type": "json-file", "Config": {"max-size": "4m"}}

    def create(client: Any) -> None:
        client.create_container(
            about["Id"],
            list(command[1:] if entry else command),
            entrypoint=entry,
            name=name,
            user=user,
            labels=labels("image", kept=False),
            host_config=client.create_host_config(**common, **host, log_config=log),
        )

    try:
        await calls.do(create)
        yield name
    finally:
        await to_its_end(_removed(calls, name))


async def _removed(calls: Calls, container: str) -> None:
    try:
        await calls.do(lambda client: client.remove_container(container, v=True, force=True))
    except EngineUnavailable:
        return  # with it the container has gone; `kernel-exec gc` removes it when it comes back
    except EngineError as error:
        if error.status not in (404, 409):  # it has gone, or is going
            raise


async def _started(calls: Calls, container: str) -> bool:
    """Start a container; return whether it has the program that it is to run."""
    try:
        await calls.do(lambda client: client.start(container))
    except EngineError as error:
        if any(part in str(error) for part in ("not found", "no such file", "permission denied", "is a directory")):
            return False
        if "exec format error" not in str(error):
            raise
    return True


async def _ended(engine: Engine, calls: Calls, container: str, seconds: float) -> tuple[int, str, str]:
    """Wait for the end of a container; return its status, and its two outputs, of which the last part is kept."""
    try:
        status = (await engine.ask("POST", f"/containers/{container}/wait", timeout=seconds))["StatusCode"]
    except EngineUnavailable as error:
        if isinstance(error.__cause__, TimeoutError):
            raise ImageError(f"the Python of the image did not end within {seconds:g} s: name another image") from error
        raise
    output = await calls.do(lambda client: client.logs(container, stdout=True, stderr=False, tail=200))
    errors = await calls.do(lambda client: client.logs(container, stdout=False, stderr=True, tail=200))
    return status, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


def _program() -> list[str]:
    return ["-c", _HEAD, _INSIDE.read_text("utf-8")]


def _put(client: Any, container: str, wheels: Path) -> None:
    """Copy wheels into a container. Nothing is mounted: engines elsewhere see no files of this machine."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path in files(wheels):
                tar.add(path, f"{WHEELS[1:]}/{path.name}", filter=_as_roots)
        file.seek(0)
        client.put_archive(container, "/", file)


def _as_roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member


def _changes(about: Mapping[str, Any], told: Mapping[str, str]) -> list[str]:
    """Return what sets the new image's configuration to that of the old one, with other labels.

    What the container was not started with comes from the image by itself; what stays empty here comes from the
    container, so that nothing may.
    """
    config = _config(about)
    entry, command = config.get("Entrypoint"), config.get("Cmd")
    changes = [f"USER {config.get('User') or '0'}"]
    if entry:
        changes.append(names.list_change("ENTRYPOINT", entry))
    if command or not entry:
        changes.append(names.list_change("CMD", command or ["python3"]))
    nobodys = {OWNER: "", HOST: "", SESSION: ""}  # what runs in the new image is not a container of this process
    return [*changes, names.label_change({**nobodys, **told})]


def _told(python: Python) -> dict[str, str]:
    return {
        names.CREATED: str(int(time.time())),
        names.PYTHON: python.version,
        names.IPYKERNEL: python.ipykernel,
        names.ABOUT: json.dumps(asdict(python)),
    }


def _config(about: Mapping[str, Any]) -> Mapping[str, Any]:
    return about.get("Config") or {}


def _wrong_machine(about: Mapping[str, Any], name: str) -> ImageError:
    return ImageError(
        f"the programs in the image {name!r} are for another kind of processor than the engine's (the image says "
        f"{about.get('Architecture') or 'nothing'}): get it for this one, with `docker pull --platform`"
    )


def _end(text: str) -> str:
    last = text.strip().splitlines()[-1:]
    return f" ({last[0][:300]})" if last else ""

"""An image in which a kernel can start, whatever image somebody names: as it is, or with what it lacks."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kernel_exec.errors import ImageError, ImageUnavailable
from kernel_exec.kernels.container import DEFAULT_IMAGE
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.inventory import DERIVED, OWN, Image, find
from kernel_exec.kernels.images.python import OLDEST_IPYKERNEL, OLDEST_PYTHON, Python, cache, known, remember
from kernel_exec.kernels.images.wheels import checked_folder, download, files, normalized
from kernel_exec.settings import PathLike

if TYPE_CHECKING:
    from kernel_exec.kernels.images.build import Recipe

VERSION = 2
"""Counted up when the same recipe gives another image."""
PULLING = 600.0
"""Seconds in which a registry that is well sends something."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image in which kernels can be started.

    Attributes:
        id: what the engine knows it by; it changes with the content.
        name: the name by which it was found or made.
        python: what it runs them with.
    """

    id: str
    name: str
    python: Python


async def prepare(
    engine: Engine,
    image: str = DEFAULT_IMAGE,
    requirements: Sequence[str] = (),
    *,
    wheels: PathLike | None = None,
    platform: str | None = None,
) -> PreparedImage:
    """Return an image in which kernels can be started, with these requirements.

    An image that has an ipykernel, and that nothing is required of, is taken as it is; that costs one question to the
    engine. Another one gets what it lacks in an image made on it: once, by what goes in. One that the engine does not
    have is pulled.

    Args:
        engine: that has the image, or gets it.
        image: its name.
        requirements: such as "pandas>=2"; what they require comes with them.
        wheels: a folder with all of those as wheels; None to have them got by pip, with this Python's settings.
        platform: what it must be for, such as "linux/arm64"; None for whatever the engine can run.

    Raises:
        InvalidArgument, WrongType: requirements that are none; a folder without wheels.
        ImageError: no kernel can run in the image, whatever it gets.
        ImageUnavailable: there is no such image.
        ImageBuildFailed: the packages are not to be had, or do not fit.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    wanted = normalized(requirements)
    folder = None if wheels is None else checked_folder(wheels)
    base = await find(engine, image) or await _pull(engine, image, platform)
    if platform is not None and not f"{base.platform}/".startswith(f"{platform}/"):
        get = (
            "leave platform out"
            if image.startswith(OWN)
            else f"`docker pull --platform {platform} {image}` may get that"
        )
        raise ImageError(f"the image {image!r} is for {base.platform}, and {platform} was asked for: {get}")
    python = await python_of(engine, base)
    if not python.has_kernel:
        wanted = normalized([*wanted, f"ipykernel>={OLDEST_IPYKERNEL}"])
    if not wanted:
        return PreparedImage(base.id, image, python)
    from kernel_exec.kernels.images.build import Recipe

    return await derive(engine, Recipe(base, python, wanted, folder))


async def python_of(engine: Engine, image: Image) -> Python:
    """Return what Python an image has: by the labels we gave it, or as is known of it, or else by running it.

    Raises:
        ImageError: no kernel can run in it.
        EngineError, EngineUnavailable: the engine does not tell.
    """
    python = image.python or known(image.id)
    if python is None:
        from kernel_exec.kernels.images.build import look

        _log.info("looking at the Python of %s", image.name)
        python = await look(engine, image)
        remember(image.id, python)
    if not python.is_new_enough:
        raise ImageError(
            f"the image {image.name!r} has Python {python.version}, and {OLDEST_PYTHON} or later is needed: "
            f"name a newer one"
        )
    return python


async def derive(engine: Engine, recipe: Recipe) -> PreparedImage:
    """Return the image of a recipe; it is made where it is not there.

    Raises:
        ImageBuildFailed: the packages are not to be had, or do not fit.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    key = _key(recipe)
    name = f"{DERIVED}:{key}"
    found = await find(engine, name)
    if found is None:
        async with only_one(key[:2]):  # two letters: the files of the locks stay, and these are few
            found = await find(engine, name)
            if found is None:
                return await _make(engine, recipe, name)
    return PreparedImage(found.id, name, await python_of(engine, found))


async def _make(engine: Engine, recipe: Recipe, name: str) -> PreparedImage:
    from kernel_exec.kernels.images.build import install

    wanted = ", ".join(recipe.requirements)
    with tempfile.TemporaryDirectory(prefix="kernel-exec-") as scratch:
        wheels = recipe.wheels or Path(scratch)
        if recipe.wheels is None:
            _log.info("getting wheels of %s for Python %s", wanted, recipe.python.version)
            await download(wheels, recipe.requirements, recipe.python)
        _log.info("installing %s into %s", wanted, recipe.base.name)
        number, python = await install(engine, recipe, wheels, name)
    return PreparedImage(number, name, python)


def _key(recipe: Recipe) -> str:
    """Return what is the same for all that is made of the same. A wheel that is written again is another one."""
    stats = [(wheel.name, wheel.stat()) for wheel in (files(recipe.wheels) if recipe.wheels else ())]
    given = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    said = json.dumps([VERSION, recipe.base.id, recipe.requirements, given, recipe.trim])
    return hashlib.sha256(said.encode()).hexdigest()[:24]


@contextlib.asynccontextmanager
async def only_one(what: str) -> AsyncIterator[None]:
    """Hold the right to make something; no other process of this user, and no other task, has it at the same time.

    Raises:
        ImageError: there is no place for the lock.
    """
    try:
        path = cache() / f"{what}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (OSError, RuntimeError) as error:
        raise ImageError(f"there is no place for a lock ({error}): name a directory in XDG_CACHE_HOME") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting for another one who makes an image")
            # Who is cancelled leaves the thread waiting; the kernel frees what it gets, as nobody has it open.
            await _in_thread(lambda: fcntl.flock(descriptor, fcntl.LOCK_EX))
        yield
    finally:
        os.close(descriptor)


async def _pull(engine: Engine, name: str, platform: str | None) -> Image:
    """Get an image from where its name says."""
    if name.startswith(OWN):
        which = "`kernel-exec image bootstrap` makes the default one, `kernel-exec image list` shows which there are"
        raise ImageUnavailable(f"the engine has no image {name!r}, and only this program makes those: {which}")
    _log.info("pulling %s", name)
    failure = await _in_thread(lambda: _pulled(engine.url, name, platform))
    found = await find(engine, name)
    if failure or found is None:
        raise ImageUnavailable(
            f"the engine has no image {name!r} and cannot pull it ({failure or 'it is not there afterwards'}): "
            f"`docker load` takes one from a file; `kernel-exec image bootstrap` makes our own without a registry"
        )
    return found


def _pulled(url: str, name: str, platform: str | None) -> str:
    """Pull an image, with what the docker command knows of registries; return why that failed."""
    import docker
    import requests.exceptions

    try:
        with contextlib.closing(docker.APIClient(base_url=url, version="auto", timeout=PULLING)) as client:
            for line in client.pull(name, stream=True, decode=True, platform=platform):
                if "error" in line:
                    return str(line["error"])
                if not line.get("progressDetail"):
                    _log.info("%s: %s %s", name, line.get("id", ""), line.get("status", ""))
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        return str(getattr(error, "explanation", None) or error)
    return ""


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run `work` in a daemon thread: unlike those of the loop's executor, nobody waits for it at the end."""
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="kernel_exec image", daemon=True).start()
    return asyncio.wrap_future(answer)

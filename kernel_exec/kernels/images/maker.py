"""Finds, pulls, looks at and makes images of one engine."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from kernel_exec.errors import EngineError, ImageError, ImageUnavailable
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import memory, names
from kernel_exec.kernels.images.calls import Calls, finished, in_thread
from kernel_exec.kernels.images.containers import install, look
from kernel_exec.kernels.images.names import PreparedImage
from kernel_exec.kernels.images.progress import Progress, silent
from kernel_exec.kernels.images.python import OLDEST_PYTHON, Python, python_from
from kernel_exec.kernels.images.recipe import Recipe
from kernel_exec.kernels.images.wheels import download


class Maker:
    """What is done with the images of an engine. A context manager: the connections end with it.

    Args:
        engine: that has them.
        on_progress: is called with a line of what is done, when it takes longer.
    """

    def __init__(self, engine: Engine, on_progress: Progress | None = None) -> None:
        self.engine = engine
        self.calls = Calls(engine)
        self.tell = on_progress or silent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calls.close()

    async def find(self, name: str) -> Mapping[str, Any] | None:
        """Return an image, as the engine describes it; None when it has none of that name."""
        try:
            found: Mapping[str, Any] = await self.engine.ask("GET", f"/images/{quote(name)}/json")
        except EngineError as error:
            if error.status in (400, 404):  # 400: it can be no image's name
                return None
            raise
        return found

    async def pull(self, name: str) -> Mapping[str, Any]:
        """Get an image from where its name says; return it, as the engine describes it.

        Raises:
            ImageUnavailable: it is not to be had.
            EngineUnavailable: the engine does not answer.
        """
        if name == names.DEFAULT_IMAGE:
            raise ImageUnavailable(f"the default image {name!r} is not there: `kernel-exec image bootstrap` makes it")
        if name.startswith(names.OWN):
            raise ImageUnavailable(
                f"the engine has no image {name!r}, and only this program makes those: "
                f"`kernel-exec image list` shows which there are"
            )
        self.tell(f"pulling {name}")
        loop = asyncio.get_running_loop()
        try:
            failure = await self.calls.do_or_leave(
                lambda client: _pull(client, name, lambda line: loop.call_soon_threadsafe(self.tell, line))
            )
        except EngineError as error:
            failure = str(error)
        found = await self.find(name)
        if failure or found is None:
            raise ImageUnavailable(
                f"the engine has no image {name!r} and cannot pull it ({failure or 'it is not there afterwards'}): "
                f"`docker load` takes one from a file; `kernel-exec image bootstrap` makes our own without a registry"
            )
        return found

    async def python_of(self, about: Mapping[str, Any], name: str) -> Python:
        """Return what Python an image has: as is known of it, or by the labels we gave it, or else by running it.

        Args:
            about: the image, as the engine describes it.
            name: by which the user knows it.

        Raises:
            ImageError: no kernel can run in it.
            EngineError, EngineUnavailable: the engine does not tell.
        """
        python = memory.known(about["Id"]) or _labelled(about)
        if python is None:
            self.tell(f"looking at the Python of {name}")
            python = await look(self.engine, self.calls, about, name)
            memory.remember(about["Id"], python)
        if not python.is_new_enough:
            raise ImageError(
                f"the image {name!r} has Python {python.version}, and {OLDEST_PYTHON} or later is needed: "
                f"name a newer one"
            )
        return python

    async def derive(self, recipe: Recipe) -> PreparedImage:
        """Return the image of a recipe; it is made where it is not there.

        Raises:
            ImageBuildFailed: the packages are not to be had, or do not fit.
            EngineError, EngineUnavailable: the engine does not do it.
        """
        key = await finished(in_thread(recipe.key))
        name = f"{names.DERIVED}:{key}"
        found = await self.find(name)
        if found is None:
            # Two letters: the files of the locks stay, and these are few.
            async with memory.only_one(key[:2], lambda: self.tell("waiting for another process that makes an image")):
                found = await self.find(name) or await self._make(recipe, key, name)
        return self.prepared(found, name, await self.python_of(found, name))

    async def _make(self, recipe: Recipe, key: str, name: str) -> Mapping[str, Any]:
        wanted = ", ".join(recipe.requirements)
        with tempfile.TemporaryDirectory(prefix="kernel-exec-") as scratch:
            wheels = recipe.wheels or Path(scratch)
            if recipe.wheels is None:
                self.tell(f"getting wheels of {wanted} for Python {recipe.python.version}")
                await download(wheels, recipe.requirements, recipe.python, self.tell)
            self.tell(f"installing {wanted} into {recipe.base}")
            await install(self.engine, self.calls, recipe, wheels, name, recipe.labels(key))
        found = await self.find(name)
        if found is None:
            raise ImageUnavailable(f"the image {name} was removed as soon as it had been made: try again")
        return found

    def prepared(self, about: Mapping[str, Any], name: str, python: Python) -> PreparedImage:
        """Return what is to be known of an image that is ready."""
        return PreparedImage(about["Id"], name, python.executable, python.version, python.ipykernel)


def _pull(client: Any, name: str, tell: Callable[[str], object]) -> str:
    """Pull an image; return why that failed, "" when it did not."""
    last: dict[str, str] = {}
    for line in client.pull(name, stream=True, decode=True):
        if "error" in line:
            return str(line["error"])
        layer, status = line.get("id", ""), line.get("status", "")
        if status and last.get(layer) != status:
            last[layer] = status
            tell(f"{name}: {layer} {status}")
    return ""


def _labelled(about: Mapping[str, Any]) -> Python | None:
    """Return what the labels say that we gave it; those of an image that others made on ours say nothing."""
    labels = names.labels_of(about)
    if not any(names.is_ours(name, labels) for name in about.get("RepoTags") or ()):
        return None
    try:
        return python_from(json.loads(labels.get(names.ABOUT, "")))
    except (ValueError, RecursionError):
        return None

"""The images that this program has made, and what of them is used by nobody."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from kernel_exec.errors import EngineError
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import names


@dataclass(frozen=True, slots=True)
class OwnImage:
    """An image that this program has made.

    Attributes:
        name: with its tag.
        id: what the engine knows it by.
        size: bytes, with those of the images below it.
        created: when it was made, in seconds since the epoch.
        base: the name of the image that it was made on; "" for none.
        requirements: what was installed.
        python: the version of its Python; "" where the image says nothing of it.
        ipykernel: the version of its ipykernel; "" where it has none.
        containers: how many there are of it, running or not.
    """

    name: str
    id: str
    size: int
    created: float
    base: str
    requirements: tuple[str, ...]
    python: str
    ipykernel: str
    containers: int


async def list_images(engine: Engine) -> list[OwnImage]:
    """Return the images that this program has made, by name.

    Raises:
        EngineError, EngineUnavailable: the engine does not tell.
    """
    filters = quote(json.dumps({"label": [names.KEY]}))
    images = await engine.ask("GET", f"/images/json?filters={filters}")
    containers = await engine.ask("GET", "/containers/json?all=1")
    used = Counter(str(container["ImageID"]) for container in containers)
    return sorted((found for about in images for found in _own(about, used)), key=lambda image: image.name)


async def prune(engine: Engine, *, older_than: float = 0.0, dry_run: bool = False) -> list[OwnImage]:
    """Remove images that were made on others and of which there is no container; return them.

    The default image and its base stay, and so does every image that somebody has given another name.

    Args:
        engine: that has them.
        older_than: seconds since they were made.
        dry_run: whether nothing is removed.

    Raises:
        EngineError, EngineUnavailable: the engine does not do it.
    """
    images = await list_images(engine)
    kept = {image.id for image in images if not image.name.startswith(f"{names.DERIVED}:")}
    due = time.time() - older_than
    found = [image for image in images if image.id not in kept and not image.containers and image.created <= due]
    return found if dry_run else [image for image in found if await _removed(engine, image)]


async def _removed(engine: Engine, image: OwnImage) -> bool:
    try:
        await engine.ask("DELETE", f"/images/{quote(image.name)}", timeout=60.0)
    except EngineError as error:
        if error.status not in (404, 409):  # somebody else has removed it, or uses it by now
            raise
        return False
    return True


def _own(about: Mapping[str, Any], used: Mapping[str, int]) -> Iterator[OwnImage]:
    labels = about.get("Labels") or {}
    for name in about.get("RepoTags") or ():
        if names.is_ours(name, labels):
            yield OwnImage(
                name=name,
                id=about["Id"],
                size=about["Size"],
                created=float(about["Created"]),
                base=labels.get(names.BASE, ""),
                requirements=tuple(filter(None, labels.get(names.REQUIREMENTS, "").split("  "))),
                python=labels.get(names.PYTHON, ""),
                ipykernel=labels.get(names.IPYKERNEL, ""),
                containers=used.get(about["Id"], 0),
            )

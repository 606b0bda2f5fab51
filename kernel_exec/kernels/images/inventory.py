"""Images that the engine has; those that this program has made are known by their names and labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from kernel_exec.errors import EngineError
from kernel_exec.kernels.container import DEFAULT_IMAGE
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.python import Python, python_from

OWN = "kernel-exec/"
"""With what the names begin that only this program gives: nobody's registry is asked for one."""
BASE_IMAGE = "kernel-exec/base:bookworm"
"""What the default image is made on, out of Debian's packages."""
DERIVED = "kernel-exec/derived"
"""The repository of images that are made on others; their tag is the key."""

KEY = "kernel_exec.key"
"""The label with what tells all that went into an image."""
BASE = "kernel_exec.base"
"""The label with the name of the image that it was made on."""
REQUIREMENTS = "kernel_exec.requirements"
"""The label with what was installed, sorted, with two spaces between."""
TRIMMED = "kernel_exec.trimmed"
"""The label with patterns of what was left out, with two spaces between."""
ABOUT = "kernel_exec.about"
"""The label with what its Python is, as JSON."""

_PLAIN = " !'()*,/:;<=>@[]{}~"
"""What needs no quoting in labels, beside letters and digits."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the engine has.

    Attributes:
        name: by which it was asked for.
        about: how the engine describes it.
    """

    name: str
    about: Mapping[str, Any]

    @property
    def id(self) -> str:
        """What the engine knows it by; it changes with the content."""
        return str(self.about["Id"])

    @property
    def config(self) -> Mapping[str, Any]:
        """What it says of its containers."""
        return self.about.get("Config") or {}

    @property
    def labels(self) -> Mapping[str, str]:
        """What it is labelled with, by us or by others."""
        return self.config.get("Labels") or {}

    @property
    def platform(self) -> str:
        """What it says that its programs are for, such as "linux/amd64" or "linux/arm/v7"."""
        return "/".join(filter(None, (self.about.get("Os"), self.about.get("Architecture"), self.about.get("Variant"))))

    @property
    def python(self) -> Python | None:
        """What Python its labels tell of, where we gave it those."""
        ours = any(_is_ours(tag, self.labels) for tag in _tags(self.about))
        return python_from(unquote(self.labels.get(ABOUT, ""))) if ours else None


async def find(engine: Engine, name: str) -> Image | None:
    """Return the image of a name; None when the engine has none."""
    try:
        about = await engine.ask("GET", f"/images/{quote(name)}/json")
    except EngineError as error:
        if error.status in (400, 404):  # 400: it can be no image's name
            return None
        raise
    return Image(name, about) if about else None  # nothing is said of what leads out of the images, such as ".."


@dataclass(frozen=True, slots=True)
class OwnImage:
    """An image that this program has made.

    Attributes:
        name: with its tag.
        size: bytes, with those of the images below it.
        created: when it was made, in seconds since the epoch.
        base: the name of the image that it was made on; "" for none.
        requirements: what was installed.
        python: what it has; None where the image says nothing of it.
        containers: how many there are of it, running or not.
        names: how many it has.
    """

    name: str
    size: int
    created: float
    base: str
    requirements: tuple[str, ...]
    python: Python | None
    containers: int
    names: int


async def list_images(engine: Engine) -> list[OwnImage]:
    """Return the images that this program has made, by name.

    Raises:
        EngineError, EngineUnavailable: the engine does not tell.
    """
    filters = quote(json.dumps({"label": [KEY]}))
    images = await engine.ask("GET", f"/images/json?filters={filters}")
    containers = await engine.ask("GET", "/containers/json?all=1")
    used = Counter(_digest(container["ImageID"]) for container in containers)
    return sorted((found for about in images for found in _own(about, used)), key=lambda image: image.name)


async def prune(engine: Engine, *, dry_run: bool = False) -> list[OwnImage]:
    """Remove images that were made on others and of which there is no container; return them. A dry run removes none.

    The default image and its base stay, and so does every image that somebody has given another name.

    Raises:
        EngineError, EngineUnavailable: the engine does not do it.
    """
    images = await list_images(engine)
    found = [
        image for image in images if image.name.startswith(f"{DERIVED}:") and image.names == 1 and not image.containers
    ]
    return found if dry_run else [image for image in found if await _removed(engine, image)]


def _is_ours(name: str, labels: Mapping[str, str]) -> bool:
    """Whether this program gave an image that name. Images that others make on ours have our labels too."""
    return name in (DEFAULT_IMAGE, BASE_IMAGE) or name == f"{DERIVED}:{labels.get(KEY)}"


def _tags(about: Mapping[str, Any]) -> list[str]:
    """Return the names of an image, without what Podman puts before those that name no registry."""
    return [tag.removeprefix("localhost/").removeprefix("docker.io/") for tag in about.get("RepoTags") or ()]


def label_changes(labels: Mapping[str, str]) -> list[str]:
    """Return the instructions of a Dockerfile that set labels: one for each, without escapes, as Podman needs it."""
    return [f'LABEL {name}="{quote(value, safe=_PLAIN)}"' for name, value in labels.items()]


async def _removed(engine: Engine, image: OwnImage) -> bool:
    try:
        await engine.ask("DELETE", f"/images/{quote(image.name)}", timeout=60.0)
    except EngineError as error:
        if error.status not in (404, 409):  # somebody else has removed it, or uses it by now
            raise
        return False
    return True


def _own(about: Mapping[str, Any], used: Counter[str]) -> Iterator[OwnImage]:
    labels, names = about.get("Labels") or {}, _tags(about)
    for name in names:
        if _is_ours(name, labels):
            yield OwnImage(
                name=name,
                size=about["Size"],
                created=float(about["Created"]),
                base=labels.get(BASE, ""),
                requirements=tuple(filter(None, unquote(labels.get(REQUIREMENTS, "")).split("  "))),
                python=python_from(unquote(labels.get(ABOUT, ""))),
                containers=used[_digest(about["Id"])],
                names=len(names),
            )


def _digest(image: str) -> str:
    return image.rpartition(":")[2]  # Podman says "sha256:" in one place, and not in another

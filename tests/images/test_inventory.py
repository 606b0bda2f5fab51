"""What images there are of this program's, and what of them goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import BASE_IMAGE, DEFAULT_IMAGE, bootstrap, list_images, names, prepare, prune
from kernel_exec.kernels.images.base import PACKAGES, make_base
from kernel_exec.kernels.images.maker import Maker
from tests.images.conftest import Layered


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> str:
    """Derived images are called otherwise, so that those of other tests and users are safe."""
    monkeypatch.setattr(names, "DERIVED", "kx-test/derived")
    return "kx-test/derived"


async def test_the_default_image_is_there(engine: Any, here: Engine) -> None:
    said: list[str] = []
    start = time.monotonic()
    image = await bootstrap(here, on_progress=said.append)
    assert time.monotonic() - start < 2
    assert (image.name, image.id) == (DEFAULT_IMAGE, engine.images.get(DEFAULT_IMAGE).id)
    assert not said
    found = {image.name: image for image in await list_images(here)}
    assert found[DEFAULT_IMAGE].base == BASE_IMAGE
    assert "pandas" in found[DEFAULT_IMAGE].requirements
    assert found[DEFAULT_IMAGE].python == image.python_version
    assert found[DEFAULT_IMAGE].size > found[BASE_IMAGE].size > 10**8


async def test_what_is_pruned(engine: Any, here: Engine, layered: Layered, wheels: Path, apart: str) -> None:
    base = layered()
    made = await prepare(here, base, wheels=wheels)
    copied = layered(base=made.name)  # has the labels, and is somebody else's
    assert made.name.startswith(apart)
    listed = {image.name: image for image in await list_images(here)}
    assert copied not in listed
    assert (listed[made.name].base, listed[made.name].requirements) == (base, ("ipykernel>=6.29",))
    assert await prune(here, older_than=3600) == []
    container = engine.containers.create(made.name, "true")
    assert made.name not in {image.name for image in await prune(here)}
    container.remove()
    assert [image.name for image in await prune(here, dry_run=True)] == [made.name]
    assert engine.images.get(made.name)
    assert [image.name for image in await prune(here)] == [made.name]
    assert made.name not in {image.name for image in await list_images(here)}
    assert engine.images.get(DEFAULT_IMAGE)
    assert engine.images.get(copied)
    assert (await prepare(here, base, wheels=wheels)).name == made.name


@pytest.mark.long
async def test_a_base_of_debians_packages(engine: Any, here: Engine) -> None:
    name = "kx-test/base:new"
    with Maker(here) as maker:
        await make_base(maker, name)
        try:
            about = await maker.find(name)
            assert about is not None
            assert (await maker.python_of(about, name)).version.startswith("3.11.")
            script = "dpkg-query -W; find / -xdev -perm /6000 -type f; id -u; ls /usr/share/doc /var/lib/apt/lists"
            told = engine.containers.run(name, ["sh", "-c", script], remove=True, network_mode="none").decode()
            assert all(package in told for package in PACKAGES)
            assert told.splitlines()[-1].startswith("/var/lib/apt/lists") or "/usr/share/doc" in told
            assert "/usr/bin/su" not in told
        finally:
            engine.images.remove(name, force=True)

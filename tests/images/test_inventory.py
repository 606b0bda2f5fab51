"""What images there are of this program's, and what of them goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from kernel_exec import AsyncExecutor, DockerKernel
from kernel_exec.kernels.container import DEFAULT_IMAGE
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import default, inventory, prepared
from kernel_exec.kernels.images.default import PACKAGES, TRIM, bootstrap, make_base
from kernel_exec.kernels.images.inventory import BASE_IMAGE, find, list_images, prune
from kernel_exec.kernels.images.prepared import prepare
from tests.images.conftest import Counting, Layered


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> str:
    """Derived images are called otherwise, so that those of other tests and users are safe."""
    for module in (inventory, prepared):
        monkeypatch.setattr(module, "DERIVED", "kx-test/derived")
    return "kx-test/derived"


async def test_the_default_image_is_there(engine: Any, here: Engine, said: list[str]) -> None:
    counting = Counting(here.url)
    image = await bootstrap(counting)
    assert counting.asked == 1  # nothing is made
    assert (image.name, image.id) == (DEFAULT_IMAGE, engine.images.get(DEFAULT_IMAGE).id)
    assert not said
    found = {image.name: image for image in await list_images(here)}
    assert found[DEFAULT_IMAGE].base == BASE_IMAGE
    assert "pandas" in found[DEFAULT_IMAGE].requirements
    assert found[DEFAULT_IMAGE].python == image.python
    assert found[DEFAULT_IMAGE].size > found[BASE_IMAGE].size > 10**8


async def test_what_the_default_image_has_can_be_used(engine: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2]})
    async with AsyncExecutor(kernel=DockerKernel(), workdir=tmp_path) as executor:
        await executor.put("table", table)
        result = await executor.execute("import matplotlib.pyplot as plt\nplt.plot(table.a); plt.show()")
        assert (result.status, len(result.images)) == ("ok", 1)
        assert_frame_equal(await executor.get("table"), table)


async def test_an_image_that_lacks_other_parts_is_not_the_default_one(
    here: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await find(here, DEFAULT_IMAGE)
    assert found is not None
    assert default.is_current(found)
    monkeypatch.setattr(default, "TRIM", (*TRIM, "pyarrow/*substrait*"))
    assert not default.is_current(found)


async def test_what_is_pruned(engine: Any, here: Engine, layered: Layered, wheels: Path, apart: str) -> None:
    base = layered()
    made = await prepare(here, base, wheels=wheels)
    copied = layered(base=made.name)  # has the labels, and is somebody else's
    assert made.name.startswith(apart)
    listed = {image.name: image for image in await list_images(here)}
    assert copied not in listed
    assert (listed[made.name].base, listed[made.name].requirements) == (base, ("ipykernel>=6.29",))
    container = engine.containers.create(made.name, "true")
    assert made.name not in {image.name for image in await prune(here)}
    container.remove()
    engine.images.get(made.name).tag("kx-test/kept")
    assert await prune(here) == []
    engine.images.remove("kx-test/kept")
    assert [image.name for image in await prune(here, dry_run=True)] == [made.name]
    assert engine.images.get(made.name)
    assert [image.name for image in await prune(here)] == [made.name]
    assert made.name not in {image.name for image in await list_images(here)}
    assert engine.images.get(DEFAULT_IMAGE)
    assert engine.images.get(copied)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_base_of_debians_packages(engine: Any, here: Engine) -> None:
    name = "kx-test/base:new"
    assert (await make_base(here, name)).labels["kernel_exec.key"]
    try:
        script = "dpkg-query -W; python3 --version; find / -xdev -perm /6000 -type f; find /var/cache/apt -type f"
        told = engine.containers.run(name, ["sh", "-c", script], remove=True, network_mode="none").decode()
        assert all(package in told for package in PACKAGES)
        assert "Python 3.11." in told.splitlines()[-1]  # nothing has come after it
    finally:
        engine.images.remove(name, force=True)

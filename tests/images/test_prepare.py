"""Any image can be one for kernels: as it is, or with what it lacks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor, ImageBuildFailed, InvalidArgument, WrongType
from kernel_exec.kernels.container import DEFAULT_IMAGE
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import python
from kernel_exec.kernels.images.inventory import BASE_IMAGE
from kernel_exec.kernels.images.prepared import prepare
from kernel_exec.kernels.images.wheels import normalized
from kernel_exec.kernels.leftovers import leftovers
from tests.images.conftest import Counting, Layered, dangling, own_containers
from tests.images.stubs import stub


async def test_one_that_has_all_is_taken_as_it_is(engine: Any, here: Engine, said: list[str]) -> None:
    counting = Counting(here.url)
    image = await prepare(counting)
    assert (image.name, image.id) == (DEFAULT_IMAGE, engine.images.get(DEFAULT_IMAGE).id)
    assert image.python.executable == "/usr/bin/python3"
    assert image.python.version.startswith("3.11.")
    assert int(image.python.ipykernel.split(".")[0]) >= 7
    assert (counting.asked, said) == (1, [])


async def test_what_is_known_outlives_the_process(
    here: Engine, cache: Path, monkeypatch: pytest.MonkeyPatch, layered: Layered, said: list[str]
) -> None:
    name = layered(base=DEFAULT_IMAGE)
    first = await prepare(here, name)
    assert said == [f"looking at the Python of {name}"]
    monkeypatch.setattr(python, "_known", {})
    assert await prepare(here, name) == first
    assert len(said) == 1
    [file] = (cache / "images").iterdir()
    file.write_bytes(b"{}")
    monkeypatch.setattr(python, "_known", {})
    assert await prepare(here, name) == first
    assert len(said) == 2


CHANGES = (
    *('ENTRYPOINT ["/bin/echo", "hello"]', 'CMD ["world"]', "USER 1234:1234", "WORKDIR /srv", "EXPOSE 8080"),
    *("ENV A=b PIP_INDEX_URL=http://127.0.0.1:1/", 'LABEL of="the user"'),
)


@pytest.fixture(scope="module")
def base(layered: Layered) -> str:
    """An image without an ipykernel, but with all else."""
    return layered(changes=CHANGES)


async def test_one_is_made_once(
    engine: Any, here: Engine, base: str, wheels: Path, cache: Path, said: list[str], tmp_path: Path
) -> None:
    made = await prepare(here, base, wheels=wheels)
    assert said[-1].startswith("installing ipykernel>=6.29")
    labels = engine.images.get(made.name).labels
    assert labels["kernel_exec.base"] == base
    assert labels["kernel_exec.requirements"] == "ipykernel>=6.29"
    said.clear()
    counting = Counting(here.url)
    assert await prepare(counting, base, wheels=wheels) == made
    assert await prepare(here, base, ["IPyKernel >= 6.29", "ipykernel>=6.29"], wheels=wheels) == made
    shutil.copytree(wheels, tmp_path, dirs_exist_ok=True)
    assert await prepare(here, base, wheels=tmp_path) == made
    assert (counting.asked, said) == (2, [])


@pytest.mark.long
async def test_other_wheels_make_another_one(here: Engine, base: str, wheels: Path, tmp_path: Path) -> None:
    shutil.copytree(wheels, tmp_path, dirs_exist_ok=True)
    stub(tmp_path, "6.31.0")
    one, other = await prepare(here, base, wheels=wheels), await prepare(here, base, wheels=tmp_path)
    assert one.name != other.name
    assert other.python.ipykernel == "6.31.0"


async def test_all_else_of_the_image_is_as_it_was(engine: Any, here: Engine, base: str, wheels: Path) -> None:
    made = await prepare(here, base, wheels=wheels)
    _same_configuration(engine, base, made.name)
    assert engine.images.get(made.name).labels["of"] == "the user"
    script = "ls -A / /root /tmp; find / -xdev -name '*.whl'; find /srv /usr/local -uid +0"
    listed = engine.containers.run(
        made.name, [script], entrypoint=["sh", "-c"], user="0", remove=True, network_mode="none"
    ).decode()
    assert "kernel-exec" not in listed
    assert ".whl" not in listed


@pytest.mark.parametrize(
    "changes",
    [
        ['CMD ["python3", "-q"]'],
        pytest.param(['ENTRYPOINT ["python3"]', "CMD []"], marks=pytest.mark.long),
    ],
    ids=["no entry point", "no command"],
)
async def test_an_image_that_says_little(
    engine: Any, here: Engine, layered: Layered, wheels: Path, changes: list[str]
) -> None:
    base = layered(changes=changes)
    _same_configuration(engine, base, (await prepare(here, base, wheels=wheels)).name)


def _same_configuration(engine: Any, base: str, made: str) -> None:
    old, new = engine.images.get(base).attrs["Config"], engine.images.get(made).attrs["Config"]
    for field in ("Entrypoint", "Cmd", "User", "WorkingDir", "Env", "ExposedPorts", "Volumes", "OnBuild"):
        assert (new.get(field) or None) == (old.get(field) or None), field
    assert not new.get("NetworkDisabled")


async def test_what_runs_in_it_is_not_taken_for_ours(engine: Any, here: Engine, base: str, wheels: Path) -> None:
    made = await prepare(here, base, wheels=wheels)
    container = engine.containers.create(made.name, "true")
    try:
        assert container.id not in {one.id for one in await leftovers(here)}
    finally:
        container.remove()


@pytest.mark.long
def test_an_image_without_an_ipykernel(engine: Any, tmp_path: Path) -> None:
    with Executor(kernel=DockerKernel(image=BASE_IMAGE), workdir=tmp_path, timeout=30) as executor:
        assert executor.execute("1 + 1").text == "2"


@pytest.mark.parametrize(
    ("requirements", "error"),
    [
        (["-r file"], InvalidArgument),
        (["--index-url=http://127.0.0.1/"], InvalidArgument),
        (["x @ http://127.0.0.1/x.whl"], InvalidArgument),
        (["../x"], InvalidArgument),
        ([""], InvalidArgument),
        ([3], WrongType),
        ("pandas", WrongType),
        (3, WrongType),
    ],
)
def test_what_is_no_requirement(requirements: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        normalized(requirements)


async def test_packages_that_are_not_to_be_had(engine: Any, here: Engine) -> None:
    before = own_containers(engine), dangling(engine)
    with pytest.raises(ImageBuildFailed, match="kx-no-such-package") as caught:
        await prepare(here, BASE_IMAGE, ["kx-no-such-package==1"])
    assert "No matching distribution" in caught.value.log
    assert "folder in wheels" in str(caught.value)
    assert (own_containers(engine), dangling(engine)) == before


async def test_folders_of_wheels_that_cannot_be_used(engine: Any, here: Engine, wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not exist"):
        await prepare(here, BASE_IMAGE, wheels=tmp_path / "none")
    with pytest.raises(InvalidArgument, match="no wheel"):
        await prepare(here, BASE_IMAGE, wheels=tmp_path)
    before = own_containers(engine), dangling(engine)
    stub(tmp_path, "6.30.0")
    with pytest.raises(ImageBuildFailed, match="wheel of pip"):
        await prepare(here, BASE_IMAGE, wheels=tmp_path)
    with pytest.raises(ImageBuildFailed, match="No matching distribution found for tabulate"):
        await prepare(here, BASE_IMAGE, ["tabulate"], wheels=wheels)
    assert (own_containers(engine), dangling(engine)) == before


@pytest.mark.long
async def test_an_ipykernel_that_is_too_old(here: Engine, base: str, wheels: Path, tmp_path: Path) -> None:
    made = await prepare(here, base, wheels=wheels)
    shutil.copytree(wheels, tmp_path, dirs_exist_ok=True)
    stub(tmp_path, "6.28.0")
    with pytest.raises(ImageBuildFailed, match=r"6\.28\.0.* 6\.29 or later"):
        await prepare(here, made.name, ["ipykernel<6.29"], wheels=tmp_path)

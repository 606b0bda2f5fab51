"""Any image can be one for kernels: as it is, or with what it lacks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor, ImageBuildFailed, InvalidArgument, WrongType
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import BASE_IMAGE, DEFAULT_IMAGE, prepare
from kernel_exec.kernels.images.wheels import normalized
from tests.images.conftest import Layered, dangling, own_containers, stub


class Counting(Engine):
    """Counts what the engine is asked."""

    asked = 0

    async def ask(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return await super().ask(*args, **kwargs)


async def test_one_that_has_all_is_taken_as_it_is(engine: Any, here: Engine, cache: Path) -> None:
    said: list[str] = []
    first = await prepare(here, on_progress=said.append)
    assert first.name == DEFAULT_IMAGE
    assert first.id == engine.images.get(DEFAULT_IMAGE).id
    assert first.python == "/usr/bin/python3"
    assert first.python_version.startswith("3.11.")
    assert int(first.ipykernel_version.split(".")[0]) >= 7
    said.clear()
    counting = Counting(here.url)
    assert await prepare(counting, on_progress=said.append) == first
    assert counting.asked == 1
    assert not said


async def test_what_is_known_outlives_the_process(
    here: Engine, cache: Path, monkeypatch: pytest.MonkeyPatch, layered: Layered
) -> None:
    from kernel_exec.kernels.images import memory

    name = layered(base=DEFAULT_IMAGE)
    said: list[str] = []
    first = await prepare(here, name, on_progress=said.append)
    assert said == [f"looking at the Python of {name}"]
    monkeypatch.setattr(memory, "_known", {})
    assert await prepare(here, name, on_progress=said.append) == first
    assert len(said) == 1
    for nonsense in (b"\xff", b"[]", b"[" * 9999, b'{"%s": {"version": "x"}}' % first.id.encode()):
        (cache / "images.json").write_bytes(nonsense)
        monkeypatch.setattr(memory, "_known", {})
        assert await prepare(here, name, on_progress=said.append) == first
    assert len(said) == 5


async def test_the_oldest_ipykernel_works(ipykernel6: str, tmp_path: Path) -> None:
    with Executor(kernel=DockerKernel(image=ipykernel6), workdir=tmp_path, timeout=30) as executor:
        assert executor.execute("import ipykernel; ipykernel.__version__").text == "'6.29.5'"
        assert executor.execute("x = '数值'; print(x)").stdout == "数值\n"
        assert executor.execute("1 / 0").error.name == "ZeroDivisionError"  # type: ignore[union-attr]
        result = executor.execute("while True: pass", timeout=1)
        assert (result.status, result.state_preserved) == ("timeout", True)
        assert executor.execute("x").text == "'数值'"


async def test_one_is_made_once(engine: Any, here: Engine, layered: Layered, wheels: Path, cache: Path) -> None:
    base = layered()
    said: list[str] = []
    made = await prepare(here, base, wheels=wheels, on_progress=said.append)
    assert said[-1].startswith("installing ipykernel>=6.29")
    labels = engine.images.get(made.name).labels
    assert labels["kernel_exec.base"] == base
    assert labels["kernel_exec.requirements"] == "ipykernel>=6.29"
    assert labels["kernel_exec.ipykernel"] == made.ipykernel_version
    said.clear()
    counting = Counting(here.url)
    assert await prepare(counting, base, wheels=wheels, on_progress=said.append) == made
    assert counting.asked == 2
    again = await prepare(here, base, ["IPyKernel >= 6.29", "ipykernel>=6.29"], wheels=wheels, on_progress=said.append)
    assert again == made
    assert not said
    other = wheels.parent / "others"
    shutil.copytree(wheels, other, dirs_exist_ok=True)
    assert await prepare(here, base, wheels=other, on_progress=said.append) == made  # what counts is the content
    (other / "more-1-py3-none-any.whl").write_bytes(b"")
    assert (await prepare(here, base, wheels=other)).name != made.name


async def test_all_else_of_the_image_is_as_it_was(engine: Any, here: Engine, layered: Layered, wheels: Path) -> None:
    changes = [
        'ENTRYPOINT ["/bin/echo", "hello"]',
        'CMD ["world"]',
        "USER 1234:1234",
        "WORKDIR /srv",
        "ENV A=b PIP_INDEX_URL=http://127.0.0.1:1/",
        "EXPOSE 8080",
        'LABEL of="the user"',
    ]
    base = layered(changes=changes)
    made = await prepare(here, base, wheels=wheels)
    old, new = engine.images.get(base).attrs["Config"], engine.images.get(made.name).attrs["Config"]
    for field in ("Entrypoint", "Cmd", "User", "WorkingDir", "Env", "ExposedPorts", "Volumes", "OnBuild"):
        assert new[field] == old[field], field
    assert not new.get("NetworkDisabled")
    assert new["Labels"]["of"] == "the user"
    assert engine.containers.run(made.name, remove=True, network_mode="none") == b"hello world\n"
    script = "ls -A / /root /tmp; find / -xdev -name '*.whl'; find /srv /usr/local -uid +0"
    listed = engine.containers.run(made.name, [script], entrypoint=["sh", "-c"], user="0", remove=True).decode()
    assert "kernel-exec" not in listed
    assert ".whl" not in listed


async def test_the_command_of_an_image_without_any(engine: Any, here: Engine, layered: Layered, wheels: Path) -> None:
    made = await prepare(here, layered(changes=['ENTRYPOINT ["python3"]', "CMD []"]), wheels=wheels)
    config = engine.images.get(made.name).attrs["Config"]
    assert (config["Entrypoint"], config["Cmd"] or []) == (["python3"], [])


async def test_what_runs_in_it_is_not_taken_for_ours(engine: Any, here: Engine, ipykernel6: str) -> None:
    from kernel_exec.kernels.leftovers import leftovers

    container = engine.containers.create(ipykernel6, "true")
    try:
        assert container.id not in {one.id for one in await leftovers(here)}
    finally:
        container.remove()


async def test_requirements(here: Engine, layered: Layered, tmp_path: Path) -> None:
    made = await prepare(here, layered(base=DEFAULT_IMAGE), ["tabulate"])
    with Executor(kernel=DockerKernel(image=made.name), workdir=tmp_path, timeout=30) as executor:
        assert executor.execute("import tabulate, pandas; print(pandas.DataFrame({'a': [1]}).to_markdown())").ok


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
    ],
)
def test_what_is_no_requirement(requirements: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        normalized(requirements)


async def test_packages_that_are_not_to_be_had(engine: Any, here: Engine) -> None:
    before = own_containers(engine), dangling(engine), len(engine.images.list())
    with pytest.raises(ImageBuildFailed, match="kx-no-such-package") as caught:
        await prepare(here, BASE_IMAGE, ["kx-no-such-package==1"])
    assert "No matching distribution" in caught.value.log
    assert "folder in wheels" in str(caught.value)
    assert (own_containers(engine), dangling(engine), len(engine.images.list())) == before


async def test_folders_of_wheels_that_cannot_be_used(engine: Any, here: Engine, wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not exist"):
        await prepare(here, BASE_IMAGE, wheels=tmp_path / "none")
    with pytest.raises(InvalidArgument, match="no wheel"):
        await prepare(here, BASE_IMAGE, wheels=tmp_path)
    before = own_containers(engine), dangling(engine)
    shutil.copy(next(wheels.glob("ipykernel-*")), tmp_path)
    with pytest.raises(ImageBuildFailed, match="wheel of pip"):
        await prepare(here, BASE_IMAGE, wheels=tmp_path)
    with pytest.raises(ImageBuildFailed, match="No matching distribution found for tabulate"):
        await prepare(here, BASE_IMAGE, ["tabulate"], wheels=wheels)
    assert (own_containers(engine), dangling(engine)) == before


async def test_an_ipykernel_that_is_too_old(here: Engine, layered: Layered, wheels: Path) -> None:
    base = layered()
    stub(wheels, "6.28.0")
    with pytest.raises(ImageBuildFailed, match=r"6\.28\.0.* 6\.29 or later"):
        await prepare(here, base, ["ipykernel<6.29"], wheels=wheels)
    made = await prepare(here, base, wheels=wheels)
    assert made.ipykernel_version == "6.30.0"
    assert (await prepare(here, made.name, ["ipykernel"], wheels=wheels)).ipykernel_version == "6.30.0"

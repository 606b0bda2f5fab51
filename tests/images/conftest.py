"""Images of every kind, made for a test and gone after it."""

from __future__ import annotations

import asyncio
import io
import secrets
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import BASE_IMAGE
from kernel_exec.kernels.images.python import Python
from kernel_exec.kernels.images.wheels import download

Layered = Callable[..., str]


@pytest.fixture
def here(engine: Any) -> Engine:
    return Engine.find()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where nothing is known of images, not even in this process."""
    from kernel_exec.kernels.images import memory

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(memory, "_known", {})
    return tmp_path / "cache" / "kernel-exec"


@pytest.fixture
def layered(engine: Any) -> Iterator[Layered]:
    """Makes an image that nobody else has: files over another one, or alone; with instructions of a Dockerfile."""
    made: list[str] = []

    def make(
        files: Mapping[str, bytes] | None = None, *, base: str | None = BASE_IMAGE, changes: Sequence[str] = ()
    ) -> str:
        name, tag = "kx-test/image", secrets.token_hex(6)
        content = tar_of({**(files or {}), "etc/kx-test": tag.encode()})
        if base is None:
            engine.api.import_image_from_data(content, name, tag, changes=list(changes))
        else:
            container = engine.api.create_container(base, ["true"])["Id"]
            try:
                engine.api.put_archive(container, "/", content)
                engine.api.commit(container, name, tag, changes=["USER 0", 'CMD ["python3"]', *changes])
            finally:
                engine.api.remove_container(container, force=True)
        made.append(f"{name}:{tag}")
        return made[-1]

    yield make
    for name in made:
        remove(engine, engine.images.get(name))


def remove(engine: Any, image: Any) -> None:
    """Remove an image and all that were made on it. Their containers may still be on their way out."""
    for other in engine.images.list():
        if other.attrs["Parent"] == image.id:
            remove(engine, other)
    for tag in image.tags:
        engine.images.remove(tag, force=True)


@pytest.fixture(scope="session")
def pip_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of pip."""
    folder = tmp_path_factory.mktemp("pip")
    asyncio.run(download(folder, [], Python("python3", "3.11.2", "cpython", "x86_64", "2.36"), lambda _: None))
    [path] = folder.iterdir()
    return path


@pytest.fixture
def wheels(tmp_path: Path, pip_wheel: Path) -> Path:
    """A folder with pip, and what is called ipykernel and is installed in a moment: making an image is the same."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    shutil.copy(pip_wheel, folder)
    stub(folder, "6.30.0")
    return folder


def stub(folder: Path, version: str) -> None:
    """Write the wheel of an ipykernel that has nothing in it."""
    about = f"ipykernel-{version}.dist-info"
    files = {
        "ipykernel/__init__.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: ipykernel\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / f"ipykernel-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{about}/RECORD": record}.items():
            wheel.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), text)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def own_containers(engine: Any) -> set[str]:
    """Names of the containers in which images are looked at and made."""
    found = engine.api.containers(all=True, filters={"name": "kernel-exec-image-"})
    return {container["Names"][0].lstrip("/") for container in found}


def dangling(engine: Any) -> set[str]:
    """Ids of images without a name."""
    return {image.id for image in engine.images.list(filters={"dangling": True})}

"""Images of every kind, made for a test and gone after it."""

from __future__ import annotations

import io
import logging
import secrets
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.inventory import BASE_IMAGE

Layered = Callable[..., str]


class Counting(Engine):
    """Counts what the engine is asked."""

    asked = 0

    async def ask(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return await super().ask(*args, **kwargs)


@pytest.fixture
def here(engine: Any) -> Engine:
    return Engine.find()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where nothing is known of images, not even in this process."""
    from kernel_exec.kernels.images import python

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(python, "_known", {})
    return tmp_path / "cache" / "kernel-exec"


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What is told of the making of images."""
    lines: list[str] = []
    log, handler = logging.getLogger("kernel_exec"), logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield lines
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
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

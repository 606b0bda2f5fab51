"""Images that are not there, or in which no kernel can run: a typed error that says what to do."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import EngineUnavailable, ImageError, ImageUnavailable
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import build
from kernel_exec.kernels.images.prepared import prepare
from tests.executor.looks import wait_until
from tests.images.conftest import Layered, own_containers, tar_of

OLD = b"""#!/bin/sh
echo '{"executable": "/usr/bin/python3", "version": "3.9.2", "glibc": "2.31"}'
"""
OTHER_PROCESSOR = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00" + bytes(200)


@pytest.fixture(autouse=True)
def _nothing_is_left(engine: Any, cache: Path) -> Iterator[None]:
    before = own_containers(engine)
    yield
    assert wait_until(lambda: own_containers(engine) <= before)  # of others there may be fewer by now


@pytest.mark.parametrize("name", ["kernel-exec/no-such:image", "kernel-exec/derived:123", "kernel-exec/python:no"])
async def test_a_name_of_ours_is_asked_of_nobody(here: Engine, said: list[str], name: str) -> None:
    with pytest.raises(ImageUnavailable, match=r"image bootstrap.*image list"):
        await prepare(here, name)
    assert not said


async def test_a_registry_that_does_not_answer(here: Engine) -> None:
    with pytest.raises(ImageUnavailable, match=r"cannot pull it.*refused.*docker load"):
        await prepare(here, "127.0.0.1:1/kx/none:latest")


@pytest.mark.parametrize("name", ["Not A Name", "UPPER/case", "../../x"])
async def test_what_can_be_no_name(here: Engine, name: str) -> None:
    with pytest.raises(ImageUnavailable):
        await prepare(here, name)


async def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        await prepare(Engine(f"unix://{tmp_path}/none.sock"))


async def test_no_python(here: Engine, layered: Layered) -> None:
    with pytest.raises(ImageError, match=r"has no Python.*3\.10"):
        await prepare(here, layered({"bin/nothing": b"x"}, base=None))


async def test_a_python_that_is_too_old(here: Engine, layered: Layered) -> None:
    name = layered({"usr/bin/python3": OLD})
    for _ in range(2):
        with pytest.raises(ImageError, match=r"3\.9\.2, and 3\.10 or later"):
            await prepare(here, name)


async def test_another_processor(here: Engine, layered: Layered) -> None:
    with pytest.raises(ImageError, match=r"processor.*says linux/amd64.*--platform"):
        await prepare(here, layered({"usr/bin/python3": OTHER_PROCESSOR}))


async def test_another_platform_than_asked_for(here: Engine, layered: Layered, said: list[str]) -> None:
    with pytest.raises(ImageError, match=r"is for linux/amd64, and linux/arm64 was asked for: leave platform out"):
        await prepare(here, platform="linux/arm64")
    with pytest.raises(ImageError, match=r"linux/arm64 was asked for: `docker pull --platform linux/arm64"):
        await prepare(here, layered(), platform="linux/arm64")
    assert (await prepare(here, platform="linux/amd64")).python.machine == "x86_64"
    assert not said


@pytest.mark.parametrize(
    "script",
    [
        "echo hello",
        'echo \'{"version": "3.12", "glibc": "x"}\'',
        "echo oops >&2; exit 3",
        pytest.param("yes | head -c 300k", marks=pytest.mark.long),
    ],
)
async def test_a_python_that_is_none(here: Engine, layered: Layered, script: str) -> None:
    with pytest.raises(ImageError, match="does not work"):
        await prepare(here, layered({"usr/bin/python3": f"#!/bin/sh\n{script}\n".encode()}))


async def test_a_python_that_does_not_end(here: Engine, layered: Layered, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build._run
    monkeypatch.setattr(
        build, "_run", lambda engine, container, _: run(engine, container, 1.0)
    )  # starting may take longer
    with pytest.raises(ImageError, match="within 1 s"):
        await prepare(here, layered({"usr/bin/python3": b"#!/bin/sh\nsleep 100\n"}))


async def test_nobody_waits_for_a_registry_that_hangs(here: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        pulling = asyncio.ensure_future(prepare(here, f"127.0.0.1:{server.getsockname()[1]}/kx/none:latest"))
        connection, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(server), 20)
        with connection:
            pulling.cancel()
            done, _ = await asyncio.wait([pulling], timeout=2)
            assert done
            assert pulling.cancelled()


async def test_one_is_pulled(engine: Any, here: Engine, said: list[str], registry: str) -> None:
    try:
        with pytest.raises(ImageError, match="has no Python"):
            await prepare(here, registry)
        assert engine.images.get(registry)
    finally:
        engine.images.remove(registry)
    assert said[0] == f"pulling {registry}"
    assert any("Pull complete" in line for line in said)


@pytest.fixture
def registry(engine: Any) -> Iterator[str]:
    """A registry on this machine that has one image; yields its name. https://distribution.github.io/distribution/spec/api/"""
    layer = tar_of({"etc/nothing": b"x"})
    packed = gzip.compress(layer)
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]}}
    ).encode()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": _part("application/vnd.docker.container.image.v1+json", config),
            "layers": [_part("application/vnd.docker.image.rootfs.diff.tar.gzip", packed)],
        }
    ).encode()
    served = {_digest(part): part for part in (config, packed, manifest)} | {"latest": manifest}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = b"{}" if self.path == "/v2/" else served.get(self.path.rpartition("/")[2])
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", kind if "/manifests/" in self.path else "application/octet-stream")
            self.send_header("Content-Length", str(len(found or b"")))
            if found:
                self.send_header("Docker-Content-Digest", _digest(found))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(found or b"")

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/kx/tiny:latest"
        server.shutdown()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _part(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": _digest(content)}

"""Every setting of a container has its effect, and what cannot work is refused with what to do."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import (
    DockerKernel,
    EngineUnavailable,
    Executor,
    ImageError,
    InvalidArgument,
    KernelStartError,
    Limits,
    TransferError,
    WrongType,
)
from kernel_exec.kernels import docker
from tests.containers.conftest import containers, name_of
from tests.executor.looks import wait_until
from tests.images.stubs import stub


def test_what_the_engine_was_asked_for(fresh: Callable[..., Executor], engine: Any) -> None:
    executor = fresh(
        name="kx-{user}-{uuid}", labels={"team": "data"}, memory="512m", cpus=1.5, pids=77, tmpfs="32m", env={"A": "ü"}
    )
    about = engine.containers.get(name_of(executor)).attrs
    host = about["HostConfig"]
    assert about["Name"].startswith("/kx-")
    assert about["Config"]["Labels"]["team"] == "data"
    assert about["Config"]["Labels"]["kernel_exec.owner"] == str(os.getuid())
    assert (host["Memory"], host["MemorySwap"]) == (512 << 20, 512 << 20)
    assert host["NanoCpus"] == 1_500_000_000
    assert host["PidsLimit"] == 77
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert executor.execute("import os; os.environ['A']").text == "'ü'"
    assert executor.execute("s = os.statvfs('/tmp'); s.f_blocks * s.f_frsize").text == str(32 << 20)


def test_limits_win(fresh: Callable[..., Executor], engine: Any) -> None:
    executor = fresh(memory="512m", pids=77, limits=Limits(memory="300m", pids=50, cpus=1))
    host = engine.containers.get(name_of(executor)).attrs["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["NanoCpus"]) == (300 << 20, 50, 10**9)


def test_another_workdir(fresh: Callable[..., Executor]) -> None:
    executor = fresh(workdir="/data/here")
    result = executor.execute("import os; open('x', 'w').close(); os.getcwd()")
    assert "/data/here" in result.text
    assert [artifact.path.name for artifact in result.artifacts] == ["x"]
    assert (executor.workdir / "x").exists()


def test_mounts(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    read, written = tmp_path / "read", tmp_path / "written"
    for folder in (read, written):
        folder.mkdir(0o700)
        (folder / "file").write_text("of the host")
        (folder / "file").chmod(0o600)
    executor = fresh(mounts={read: "/mnt/read", str(written): "/mnt/written:rw"})
    assert executor.execute("open('/mnt/read/file').read()").text == "'of the host'"
    assert executor.execute("open('/mnt/read/file', 'w')").error.name == "OSError"  # type: ignore[union-attr]
    assert executor.execute("open('/mnt/written/new', 'w').write('x')").ok
    assert (written / "new").stat().st_uid == os.getuid()


def test_mounts_of_files(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    for name in ("read", "written"):
        (tmp_path / name).write_text("of the host")
        (tmp_path / name).chmod(0o600)
    executor = fresh(mounts={tmp_path / "read": "/mnt/read", tmp_path / "written": "/mnt/written:rw"})
    assert executor.execute("open('/mnt/read').read()").text == "'of the host'"
    assert executor.execute("open('/mnt/read', 'w')").error.name == "OSError"  # type: ignore[union-attr]
    assert executor.execute("open('/mnt/written', 'w').write('of the kernel')").ok
    executor.close()
    assert (tmp_path / "read").read_text() == "of the host"
    assert (tmp_path / "written").read_text() == "of the kernel"


def test_mounts_below_the_work_directory(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    """What they are mounted on is the caller's, and no artifact."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("of the host")
    (tmp_path / "work0").mkdir()
    (tmp_path / "work0" / "there").mkdir()
    mounts = {
        tmp_path / "data": "/workspace/sub/data",
        tmp_path / "data/file": "/workspace/one",
        tmp_path: "/workspace/there",
    }
    executor = fresh(mounts=mounts)
    result = executor.execute("[open(name).read() for name in ('sub/data/file', 'one', 'there/data/file')]")
    assert result.text == str(["of the host"] * 3)
    assert list(result.artifacts) == []
    assert (executor.workdir / "sub" / "data").stat().st_uid == os.getuid()
    assert list((executor.workdir / "sub" / "data").iterdir()) == []


def test_a_mount_below_the_work_directory_follows_no_link(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for folder in (outside, tmp_path / "data", tmp_path / "work0"):
        folder.mkdir()
    (tmp_path / "work0" / "link").symlink_to(outside)
    with pytest.raises(KernelStartError, match="name another place"):
        fresh(mounts={tmp_path / "data": "/workspace/link/data"})
    assert list(outside.iterdir()) == []


def test_no_mount_is_below_a_work_directory_that_is_a_copy(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    """What is mounted there would be brought home with the rest, every time."""
    with pytest.raises(KernelStartError, match="name another place"):
        fresh(mounts={tmp_path: "/workspace/data"}, disk="10m")


def test_code_of_ours_that_nobody_else_may_read(
    fresh: Callable[..., Executor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is installed with a umask of 077."""
    code = tmp_path / "code"
    shutil.copytree(docker.LAUNCHER.parent, code)
    for path in (code, *code.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    monkeypatch.setattr(docker, "LAUNCHER", code / docker.LAUNCHER.name)
    assert fresh().execute("import socket; socket.getaddrinfo('localhost', 80) and 1").text == "1"


def test_a_network_and_its_ports(fresh: Callable[..., Executor], engine: Any) -> None:
    executor = fresh(network="bridge", ports={8080: None})
    serve = (
        "import http.server, threading\nopen('page', 'w').write('from inside')\n"
        "server = http.server.HTTPServer(('', 8080), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()"
    )
    assert executor.execute(serve).ok
    [published] = engine.containers.get(name_of(executor)).attrs["NetworkSettings"]["Ports"]["8080/tcp"]
    assert published["HostIp"] == "127.0.0.1"
    with urllib.request.urlopen(f"http://127.0.0.1:{published['HostPort']}/page", timeout=10) as page:
        assert page.read() == b"from inside"


def test_a_user(fresh: Callable[..., Executor]) -> None:
    executor = fresh(user="12345:54321")
    assert executor.execute("import os; (os.getuid(), os.getgid())").text == "(12345, 54321)"
    executor.execute("open('x', 'w').close()")
    assert (executor.workdir / "x").stat().st_uid == os.getuid()


def test_requirements(fresh: Callable[..., Executor], engine: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kernel_exec")
    first = fresh(requirements=["tabulate"])
    assert first.execute("import pandas; print(pandas.DataFrame({'a': [1]}).to_markdown())").ok
    caplog.clear()
    second = fresh(requirements=("Tabulate",))
    assert second.execute("import tabulate").ok
    assert not caplog.messages
    images = {engine.containers.get(name_of(executor)).attrs["Image"] for executor in (first, second)}
    assert images == {next(image.id for image in engine.images.list() if _has(image, "tabulate"))}


def _has(image: Any, requirement: str) -> bool:
    return image.labels.get("kernel_exec.requirements") == requirement


def test_wheels(
    fresh: Callable[..., Executor], engine: Any, wheels: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(wheels, tmp_path, dirs_exist_ok=True)
    stub(tmp_path, "1.0", "kx_stub")
    caplog.set_level(logging.INFO, "kernel_exec")
    executor = fresh(requirements=["kx-stub"], wheels=tmp_path)
    assert executor.execute("import kx_stub; kx_stub.__file__").ok
    assert caplog.messages == ["installing kx-stub into kernel-exec/python:latest"]  # nothing was asked of an index
    executor.close()
    for image in engine.images.list():
        if _has(image, "kx-stub"):
            engine.images.remove(image.tags[0], force=True)  # its container may be on its way out


def test_a_platform(fresh: Callable[..., Executor], engine: Any) -> None:
    ours, other = ("amd64", "arm64") if os.uname().machine == "x86_64" else ("arm64", "amd64")
    assert fresh(platform=f"linux/{ours}").execute("1 + 1").text == "2"
    with pytest.raises(ImageError, match=f"is for linux/{ours}, and linux/{other} was asked for"):
        fresh(platform=f"linux/{other}")


def test_a_writable_root(fresh: Callable[..., Executor]) -> None:
    assert fresh(read_only=False).execute("import os; os.statvfs('/').f_flag & os.ST_RDONLY").text == "0"


def test_one_that_stays(fresh: Callable[..., Executor], engine: Any) -> None:
    executor = fresh(auto_remove=False)
    name = name_of(executor)
    result = executor.execute("import os; os._exit(3)")
    assert f"its container {name} stays, stopped" in result.text
    [container] = containers(engine, name)
    try:
        assert wait_until(lambda: (container.reload(), container.status)[1] == "exited")
        assert container.attrs["State"]["ExitCode"] == 3
    finally:
        container.remove(force=True)
    assert executor.execute("1 + 1").text == "2"
    name = name_of(executor)
    executor.close()
    [container] = containers(engine, name)
    container.remove(force=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image": "kernel-exec/no-such:image"}, "kernel-exec image bootstrap"),
        ({"image": "127.0.0.1:1/no-such:image"}, "docker load"),
        ({"runtime": "nonesuch"}, "leave runtime out"),
        ({"gpus": "all"}, "leave gpus out"),
        ({"gpus": 1}, "leave gpus out"),
        ({"mounts": {"/no/such/place": "/mnt/x"}}, "make it"),
        ({"mounts": {"/no/such/place": "/mnt/x:rw"}}, "make it"),
        ({"network": "no-such-network"}, "docker network ls"),
        ({"cpus": 4000.0}, "fewer"),
    ],
    ids=["image", "foreign", "runtime", "gpus", "one gpu", "mount", "writable mount", "network", "cpus"],
)
def test_what_the_engine_refuses(engine: Any, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    executor = Executor(kernel=DockerKernel(labels={"refused": message}, **settings), workdir=tmp_path)
    with pytest.raises(KernelStartError, match=message):
        executor.start()
    executor.close()
    found = {"label": f"refused={message}"}
    assert wait_until(lambda: not engine.containers.list(all=True, filters=found, ignore_removed=True))


def test_a_name_that_is_taken(fresh: Callable[..., Executor], engine: Any, tmp_path: Path) -> None:
    fresh(name="kx-taken")
    executor = Executor(kernel=DockerKernel(name="kx-taken"), workdir=tmp_path / "other")
    with pytest.raises(KernelStartError, match="remove that container"):
        executor.start()
    executor.close()
    assert containers(engine, "kx-taken")


def test_a_port_that_is_taken(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        executor = Executor(kernel=DockerKernel(network="bridge", ports={80: port}), workdir=tmp_path / "w")
        with pytest.raises(KernelStartError, match="another port"):
            executor.start()
        executor.close()


def test_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnavailable, match="doctor"):
        Executor(kernel=DockerKernel(), workdir=tmp_path).start()


@pytest.mark.parametrize("config", ["{}", '{"currentContext": "gone"}'])
def test_a_context_of_docker_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str) -> None:
    """The code must not run in another engine than the one that was chosen."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(config)
    if config == "{}":
        monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(InvalidArgument, match=r"'gone'.*docker context ls"):
        Executor(kernel=DockerKernel(), workdir=tmp_path / "work").start()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"image": ""}, InvalidArgument),
        ({"image": 3}, WrongType),
        ({"requirements": "pandas"}, WrongType),
        ({"requirements": ["-r file"]}, InvalidArgument),
        ({"wheels": "/no/such/place"}, InvalidArgument),
        ({"wheels": 3}, WrongType),
        ({"platform": "arm64"}, InvalidArgument),
        ({"platform": 3}, WrongType),
        ({"workdir": "relative"}, InvalidArgument),
        ({"workdir": "/"}, InvalidArgument),
        ({"workdir": "/opt/kernel_exec/x"}, InvalidArgument),
        ({"workdir": "/a/../etc"}, InvalidArgument),
        ({"name": "a b"}, InvalidArgument),
        ({"ports": {8080: 8080}}, InvalidArgument),
        ({"ports": {"80": 80}, "network": "bridge"}, WrongType),
        ({"ports": {0: 80}, "network": "bridge"}, InvalidArgument),
        ({"user": "root"}, InvalidArgument),
        ({"memory": "lots"}, InvalidArgument),
        ({"memory": "1k"}, InvalidArgument),
        ({"cpus": 0}, InvalidArgument),
        ({"gpus": 0}, InvalidArgument),
        ({"gpus": "some"}, WrongType),
        ({"pids": 0}, InvalidArgument),
        ({"env": {"A=B": "x"}}, InvalidArgument),
        ({"env": ["A"]}, WrongType),
        ({"read_only": "yes"}, WrongType),
        ({"mounts": {"/x": "relative"}}, InvalidArgument),
        ({"mounts": {"/x": 3}}, WrongType),
        ({"mounts": {3: "/x"}}, WrongType),
        ({"labels": {"a": 1}}, WrongType),
        ({"labels": {"kernel_exec.owner": "7"}}, InvalidArgument),
        ({"ports": {80: 80}, "network": "host"}, InvalidArgument),
        ({"workdir": "/proc/x"}, InvalidArgument),
        ({"mounts": {"/x": "/workspace"}}, InvalidArgument),
        ({"mounts": {"/x": "/mnt/x", "/y": "/mnt/x:rw"}}, InvalidArgument),
        ({"mounts": {"/x": "/run/kernel_exec"}}, InvalidArgument),
    ],
    ids=str,
)
def test_what_cannot_work(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        DockerKernel(**settings)


def test_an_upload_that_the_disk_has_no_room_for_is_taken_back(engine: Any, tmp_path: Path) -> None:
    with Executor(kernel=DockerKernel(disk="20m"), workdir=tmp_path, timeout=30) as executor:
        with pytest.raises(TransferError, match="taken out of the work directory again"):
            executor.upload(bytes(30 << 20), "x")
        assert not (tmp_path / "x").exists()
        result = executor.execute("import os; os.path.exists('x')")
        assert (result.text, result.notes) == ("False", ())
        assert executor.execute("import os; os._exit(1)").status == "died"
        assert executor.execute("1").text == "1"

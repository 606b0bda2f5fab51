"""Kernels in the containers of Podman: the same results, and nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor, KernelStartError, Limits
from tests.containers.podman import podman

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def address(engine: Any) -> Iterator[str]:
    with podman(engine) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        yield address


@pytest.fixture
def executor(address: str, tmp_path: Path) -> Iterator[Executor]:
    limits = Limits(memory="300m", pids=60)
    with Executor(kernel=DockerKernel(), workdir=tmp_path, timeout=30, limits=limits) as made:
        yield made


@pytest.mark.usefixtures("patient")
def test_a_session(executor: Executor) -> None:
    assert executor.execute("x = 1\nx + 1").text == "2"
    result = executor.execute("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.savefig('销售.png'); plt.show()")
    assert [image.mime for image in result.images] == ["image/png"]
    assert [artifact.path.name for artifact in result.artifacts] == ["销售.png"]
    result = executor.execute("while True: pass", timeout=1)
    assert (result.status, result.state_preserved) == ("timeout", True)
    executor.put("given", [1])
    assert executor.get("given") == [1]
    result = executor.execute("print('before', flush=True); import os; os._exit(3)")
    assert (result.status, result.stdout) == ("died", "before\n")
    assert "status 3" in result.text
    assert executor.execute("1 + 1").text == "2"


def test_the_box(executor: Executor) -> None:
    status = executor.execute("print(open('/proc/self/status').read())").stdout
    fields = {name: value for name, _, value in (line.partition(":\t") for line in status.splitlines())}
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert "0\t0\t0" not in fields["Uid"]
    assert executor.execute("import os; os.listdir('/sys/class/net')").text == "['lo']"
    assert executor.execute("open('/usr/x', 'w')").error.name == "OSError"  # type: ignore[union-attr]
    assert executor.execute("import os; set(os.environ) & {'CONTAINERS_CONF', 'SHELL'}").text == "set()"
    forks = "import os, time\nfor n in range(200):\n    if not os.fork(): time.sleep(30); os._exit(0)"
    assert executor.execute(forks).error.name == "BlockingIOError"  # type: ignore[union-attr]


def test_lack_of_memory(executor: Executor) -> None:
    code = (
        "import mmap, resource\nresource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)\n"
        "held = []\nfor _ in range(500):\n    held.append(mmap.mmap(-1, 1 << 20)); held[-1].write(bytes(1 << 20))"
    )
    result = executor.execute(code)
    assert result.status == "died"
    assert "300 MiB" in result.text
    assert executor.execute("1 + 1").text == "2"


def test_a_killed_container(executor: Executor, address: str) -> None:
    import docker

    provisioner = executor._core._conductor.kernels.session.kernel._provisioner  # type: ignore[union-attr]
    running = executor.submit("while True: pass")
    client = docker.DockerClient(address)
    client.containers.get(provisioner.container).kill()  # type: ignore[attr-defined]
    client.close()
    result = running.result(15)
    assert result.status == "died"
    assert "signal 9" in result.text
    assert executor.execute("1 + 1").text == "2"


def test_an_image_that_is_not_there(address: str, tmp_path: Path) -> None:
    with pytest.raises(KernelStartError, match="kernel-exec image bootstrap"):
        Executor(kernel=DockerKernel(image="kernel-exec/none:such"), workdir=tmp_path).start()

"""Podman with images and containers of a test's own, which answers as Docker's engine does."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker

from kernel_exec.kernels.container import DEFAULT_IMAGE
from tests.executor.looks import wait_until

CONFIGURATION = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
"""


@contextlib.contextmanager
def podman(first: Any) -> Iterator[str]:
    """Start it, with the image of kernels that another engine has; the value is its address, as DOCKER_HOST has it."""
    folder = Path(tempfile.mkdtemp(prefix="kx-podman-"))
    address = f"unix://{folder}/podman.sock"
    (folder / "containers.conf").write_text(CONFIGURATION)
    environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    command = ["podman", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
    service = subprocess.Popen([*command, "system", "service", "--time=0", address], env=environment)
    try:
        assert wait_until((folder / "podman.sock").exists)
        with contextlib.closing(docker.DockerClient(address, timeout=300)) as client:
            client.images.load(first.images.get(DEFAULT_IMAGE).save(named=DEFAULT_IMAGE))
            yield address
            assert wait_until(lambda: not client.api.containers(all=True))
    finally:
        service.terminate()
        service.wait()
        subprocess.run([*command, "system", "reset", "--force"], env=environment, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)

"""An engine of a test's own, which it may stop, kill and fill: nobody else's containers are in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker

IMAGE = "kernel-exec/python:latest"
SIZE = "1500m"


class SecondEngine:
    """A container engine without networks.

    Args:
        folder: all that it has is there. Its path is short, as it has sockets there.

    Attributes:
        disk: a directory that is a file system of its own, for its images and containers.
        url: its address.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.disk = folder / "disk"
        self.url = f"unix://{folder}/engine.sock"

    def client(self) -> Any:
        """A client of it; to be closed."""
        return contextlib.closing(docker.DockerClient(self.url))

    def start(self) -> None:
        """Start it; return when it serves."""
        folder = self._folder
        containerd = ["containerd", "--config", folder / "containerd.toml", "--root", self.disk / "containerd"]
        containerd += ["--state", folder / "state", "--address", folder / "containerd.sock"]
        # In a network of its own: an engine without a bridge removes the one of that name, which is the first engine's.
        dockerd = [
            "unshare",
            "--net",
            "dockerd",
            "--containerd",
            folder / "containerd.sock",
            "--data-root",
            self.disk / "data",
        ]
        dockerd += ["--exec-root", folder / "exec", "--pidfile", folder / "pid", "--host", self.url]
        dockerd += ["--bridge=none", "--iptables=false"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as news, (folder / "log").open("ab") as log:
            address = folder / "news.sock"
            address.unlink(missing_ok=True)
            news.bind(str(address))
            for command in (containerd, dockerd):
                environment = {**os.environ, "NOTIFY_SOCKET": str(address)}
                self._processes.append(
                    subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
                )
                news.settimeout(30)
                while b"READY=1" not in news.recv(4096):
                    pass

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, as its service manager would, or with another signal; return when it has ended."""
        while self._processes:
            process = self._processes.pop()
            process.send_signal(number)
            process.wait(60)

    def load(self) -> None:
        """Give it the image of kernels in containers, as the first engine has it."""
        with contextlib.closing(docker.from_env()) as first, self.client() as second:
            second.images.load(first.images.get(IMAGE).save(named=IMAGE))


@contextmanager
def second_engine() -> Iterator[SecondEngine]:
    """A second engine that runs, with the image of kernels."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="kx-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder)
        engine = SecondEngine(folder)
        engine.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", engine.disk], check=True)
        stack.callback(unmount_below, folder)
        (folder / "containerd.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        stack.callback(engine.stop)
        try:
            engine.start()
            engine.load()
            yield engine
        except BaseException:
            print((folder / "log").read_text()[-10_000:])
            raise


def unmount_below(folder: Path) -> None:
    """Take away all that is mounted somewhere below a directory, the last first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in reversed(points):
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", point], check=True)

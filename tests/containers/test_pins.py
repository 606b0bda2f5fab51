"""A kernel that puts a link in the place of its sockets, and hangs up, so that its host connects again."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path

import pytest

from kernel_exec import DockerKernel, Executor, HostKernel

SWAP = """
import json, os
from ipykernel.connect import get_connection_file
about = json.load(open(get_connection_file()))
for name in ('shell', 'control', 'iopub', 'stdin', 'hb'):
    path = about['ip'] + '-' + str(about[name + '_port'])
    os.unlink(path)
    os.symlink(VICTIM, path)
kernel = get_ipython().kernel
for stream in (kernel.shell_stream, kernel.control_stream):
    stream.socket.close(0)
kernel.iopub_thread.socket.close(0)
"""


@pytest.mark.parametrize("kind", ["host", "container"])
def test_nobody_else_is_connected_to(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    if kind == "container":
        request.getfixturevalue("engine")
    with socket.socket(socket.AF_UNIX) as victim:
        victim.bind(str(tmp_path / "victim"))
        victim.listen()
        kernel = HostKernel() if kind == "host" else DockerKernel()
        with Executor(kernel=kernel, workdir=tmp_path / "work", timeout=20) as executor:
            result = executor.execute(f"VICTIM = {str(tmp_path / 'victim')!r}\n{SWAP}")
            assert result.status == "died"
            assert executor.execute("1 + 1").text == "2"
        assert os.getpid() not in peers(victim)


def peers(listener: socket.socket) -> list[int]:
    """The processes that have connected: on the host, a kernel may do so itself."""
    listener.setblocking(False)
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            client, _ = listener.accept()
            with client:
                found.append(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    return found

"""JupyterLab's server ends while its kernels compute, on this machine and in a container: nothing of them is left."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.cli.leftovers import nothing_is_left
from tests.lab.server import boxes, serving

LOOP = "import subprocess\nsubprocess.Popen(['sleep', '1000'])\nprint('begun', flush=True)\nwhile True: pass"
SOON = 20.0
"""Seconds in which all is gone. A server that was asked to end first asks its kernels, for five seconds."""


@pytest.mark.parametrize("signum", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_nothing_is_left(engine: Any, signum: signal.Signals) -> None:
    with serving() as server:
        for kind in ("host", "docker"):
            server.ask("POST", "kernels", {"name": f"kx-{kind}"})
        sessions = server.sessions()
        assert len(sessions) == 2
        assert len(boxes(sessions)) == 1
        files = server.connection_files()
        assert len(files) == 2
        for file in files:
            compute(file)
        began = time.monotonic()
        server.end(signum)
        nothing_is_left(server.temporary, SOON)
        while boxes(sessions) or server.connection_files():
            assert time.monotonic() < began + SOON
            time.sleep(0.05)


def compute(connection_file: Path) -> None:
    """Have a kernel begin what never ends."""
    client = BlockingKernelClient(connection_file=str(connection_file))
    client.load_connection_file()
    client.start_channels()
    try:
        until = time.monotonic() + 60
        while True:
            try:
                client.wait_for_ready(timeout=30)
                break
            except RuntimeError:  # a kernel that stands still for a second is dead for its heartbeat
                assert time.monotonic() < until
        client.execute(LOOP)
        while "begun" not in client.get_iopub_msg(timeout=30)["content"].get("text", ""):
            pass
    finally:
        client.stop_channels()

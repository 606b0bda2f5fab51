"""When the notebook's kernel ends, however it does, nothing of its sessions is left."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.cli.leftovers import leftovers, nothing_is_left
from tests.executor.looks import runs, wait_until
from tests.magics.conftest import Notebook


def two_sessions(nb: Notebook) -> list[int]:
    """Make two, one of which works; return the processes of their kernels."""
    pids = [int(nb.ok(f"%%kx {name}\nimport os; os.getpid()").value) for name in ("one", "two")]
    nb.ok("%%kx two --bg\nwhile True: pass")
    assert all(map(runs, pids))
    assert len(leftovers(nb.temporary)) > 2
    return pids


def test_shut_down(fresh: Notebook) -> None:
    pids = two_sessions(fresh)
    fresh.manager.shutdown_kernel()
    nothing_is_left(fresh.temporary)
    assert not any(map(runs, pids))


def test_restarted(fresh: Notebook) -> None:
    pids = two_sessions(fresh)
    fresh.client.stop_channels()
    fresh.manager.restart_kernel()
    assert wait_until(lambda: not any(map(runs, pids)))
    assert wait_until(lambda: not list(fresh.temporary.glob("kernel-exec-*")))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed(fresh: Notebook, how: signal.Signals) -> None:
    pids = two_sessions(fresh)
    os.kill(fresh.manager.provisioner.pid, how)
    nothing_is_left(fresh.temporary)
    assert not any(map(runs, pids))


@pytest.mark.parametrize("how", ["shut down", "killed"])
def test_a_container(fresh: Notebook, engine: Any, how: str) -> None:
    fresh.ok("%kx start box --docker --memory 600m --timeout 30")
    name = fresh.ok("%%kx box\nimport os, socket; print(os.getcwd()); socket.gethostname()")
    assert name.text == "/workspace\n"
    container = name.value.strip("'")
    assert [one for one in engine.containers.list(sparse=True) if one.id.startswith(container)]
    fresh.ok("frame = [1, 2]")
    fresh.ok("%%kx box -i frame -o total\ntotal = sum(frame)")
    assert fresh.ok("total").value == "3"
    if how == "killed":
        os.kill(fresh.manager.provisioner.pid, signal.SIGKILL)
    else:
        fresh.manager.shutdown_kernel()
    assert wait_until(
        lambda: not [one for one in engine.containers.list(all=True, sparse=True) if one.id.startswith(container)]
    )
    nothing_is_left(fresh.temporary)

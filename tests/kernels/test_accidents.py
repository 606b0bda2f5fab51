"""What the suites of others brought to light: kernels of jupyter_client's managers, and deaths on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from kernel_exec import Executor
from kernel_exec.kernels.host import HostProvisioner
from tests.executor.looks import wait_until

OURS = "kernel-exec-host"


def test_the_directory_of_a_killed_host_is_kept(tmp_path: Path) -> None:
    """A manager without a connection file has the empty name for it, which as a path is the working directory."""
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    work.mkdir()
    scratch.mkdir()
    (work / "precious.txt").write_text("x")
    script = """
        import os, signal
        from jupyter_client.manager import KernelManager
        manager = KernelManager()
        manager.start_kernel()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    env = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": OURS, "TMPDIR": str(scratch)}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=work, env=env, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert wait_until(lambda: not list(scratch.iterdir()))
    assert (work / "precious.txt").read_text() == "x"


@pytest.mark.usefixtures("ours_by_default")
def test_a_manager_restarts_a_kernel_whose_supervisor_was_killed() -> None:
    manager = KernelManager()
    manager.start_kernel()
    assert isinstance(manager.provisioner, HostProvisioner), "or the kernel's parent is this process"
    try:
        client = ready(manager)
        client.execute("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
        client.stop_channels()
        assert wait_until(lambda: not manager.is_alive())
        first = Path(manager.connection_file).parent
        manager.restart_kernel(now=True)
        client = ready(manager)
        assert client.execute("1", reply=True, timeout=60)["content"]["status"] == "ok"
        client.stop_channels()
        assert not first.exists()
    finally:
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def ready(manager: KernelManager):  # type: ignore[no-untyped-def] - jupyter_client has no public name for the class
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    return client


def test_a_cell_that_terminates_its_kernel_is_the_one_that_died(start: Callable[..., Executor]) -> None:
    ex = start()
    died = ex.execute("import os, signal; print('before'); os.kill(os.getpid(), signal.SIGTERM)")
    assert (died.status, died.stdout, died.state_preserved) == ("died", "before\n", False)
    assert "SIGTERM" in died.text
    assert ex.execute("1 + 1").text == "2"


@pytest.mark.usefixtures("patient")
def test_an_interrupted_cell_shows_only_its_own_code(start: Callable[..., Executor]) -> None:
    ex = start()
    for code in ("while True: pass", "import asyncio\nawait asyncio.sleep(0)\nwhile True: pass"):
        stopped = ex.execute(code, timeout=1)
        assert stopped.state_preserved
        (error, _) = (output for output in stopped.outputs if output["output_type"] == "error")
        assert (error["ename"], "interrupts.py" in str(error)) == ("KeyboardInterrupt", False)


def test_the_users_history_is_left_alone(start: Callable[..., Executor]) -> None:
    ex = start()
    assert ex.execute("get_ipython().history_manager.hist_file").text == "':memory:'"
    assert ex.execute("_ih[1]").text == "'get_ipython().history_manager.hist_file'"

"""Kernels on the host: what they get to see, kernels of other kinds, and jupyter_client's own managers."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.manager import AsyncKernelManager, KernelManager

from kernel_exec import Executor, HostKernel
from kernel_exec.kernels.environment import kernel_environment
from tests.executor.looks import children, code_cells, runs, wait_until
from tests.kernels.conftest import Install

OURS = "kernel-exec-host"


# What a kernel gets to see


def test_the_environment_is_an_allow_list(start: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_TOKEN", "AWS_SECRET_ACCESS_KEY", "MPLBACKEND", "PYTHONSTARTUP", "PYTEST_CURRENT_TEST"):
        monkeypatch.setenv(name, "of the host")
    monkeypatch.setenv("LC_TIME", "C.UTF-8")
    ex = start(HostKernel(env={"GIVEN": "yes", "HOME": "/elsewhere"}))
    names = ex.execute("import os; ' '.join(os.environ)").raise_for_error().text
    assert "of the host" not in ex.execute("print(*os.environ.values())").stdout.replace("MPLBACKEND", "")
    assert not {"SECRET_TOKEN", "AWS_SECRET_ACCESS_KEY", "PYTHONSTARTUP", "PYTEST_CURRENT_TEST"} & set(names.split())
    assert ex.execute("os.environ['GIVEN'], os.environ['HOME'], os.environ['LC_TIME']").text == (
        "('yes', '/elsewhere', 'C.UTF-8')"
    )
    chart = ex.execute("import matplotlib.pyplot as plt; plt.plot([1, 2])")
    assert [image.mime for image in chart.images] == ["image/png"]


def test_more_can_be_passed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "1")
    monkeypatch.setenv("MY_OTHER", "2")
    monkeypatch.setenv("SECRET", "3")
    env = kernel_environment(["/x/python"], given=None, spec={"A": "${SECRET}-${NONE}"}, extra={}, passed=["MY_*"])
    assert (env["MY_TOKEN"], env["MY_OTHER"], env["A"]) == ("1", "2", "3-${NONE}")
    assert "SECRET" not in env
    assert env["PATH"].startswith("/x:")
    given = {**os.environ, "ADDED": "by the client"}
    assert kernel_environment(["python"], given=given, spec={}, extra={})["ADDED"] == "by the client"


def test_pip_and_python_are_the_kernels_own(start: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    ex = start()
    ours = os.path.dirname(sys.executable)
    assert ex.execute("!command -v python").stdout.strip() == os.path.join(ours, "python")
    assert ex.execute("!command -v pip").stdout.strip() == os.path.join(ours, "pip")


def test_nothing_of_the_host_is_inherited(tmp_path: Path) -> None:
    """Neither its streams, which may carry a protocol, nor its open files."""
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    script = f"""
        import os, sys
        from kernel_exec import Executor
        file = os.open({str(secret)!r}, os.O_RDONLY)
        os.set_inheritable(file, True)
        with Executor(workdir={str(tmp_path / "work")!r}) as ex:
            ex.execute("import os, sys; os.write(1, b'leak'); os.write(2, b'leak'); os.system('echo leak')")
            ex.execute("sys.__stdout__.write('leak'); sys.__stdout__.flush(); print('leak')")
            print(ex.execute("!ls -l /proc/$PPID/fd").text)
            print(ex.execute("sys.stdin.read() == ''").text, ex.execute("os.read(0, 10)").text)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "leak" not in done.stdout + done.stderr
    assert "secret.txt" not in done.stdout
    assert "/dev/null" in done.stdout
    assert done.stdout.endswith("b''\n")


def test_nobody_else_can_reach_the_kernel(start: Callable[..., Executor]) -> None:
    ex = start()
    connection = ex.execute("import ipykernel; print(open(ipykernel.get_connection_file()).read())").stdout
    assert '"transport": "ipc"' in connection
    folder = Path(ex.execute("import os; os.path.dirname(ipykernel.get_connection_file())").text.strip("'"))
    assert folder.stat().st_mode & 0o077 == 0
    assert any(stat.S_ISSOCK(path.stat().st_mode) for path in folder.iterdir())
    ex.close()
    assert not folder.exists()


# Kernels of other kinds


@pytest.mark.usefixtures("patient")
def test_a_kernel_of_another_language(start: Callable[..., Executor], echo: HostKernel) -> None:
    ex = start(echo)
    result = ex.execute("hello")
    assert (result.status, result.stdout, result.text) == ("ok", "hello", "hello")
    assert ex.execute("descriptor").ok
    stopped = ex.execute("sleep", timeout=0.5)
    assert (stopped.status, stopped.steps, stopped.state_preserved) == ("timeout", ("interrupt",), True)
    pid = int(ex.execute("child").stdout.split()[1])
    died = ex.execute("die")
    # What it had sent may be lost with it (it keeps no spool); what descriptors had in earlier cells is not told.
    assert (died.status, died.state_preserved) == ("died", False)
    assert died.stdout in ("", "die")
    assert "SIGKILL" in died.text
    assert ex.execute("again").stdout == "again"
    ex.close()
    assert not runs(pid)
    (first, *_) = code_cells(ex.notebook_path)
    assert first.source == "hello"


def test_the_notebook_names_the_language(start: Callable[..., Executor], echo: HostKernel) -> None:
    ex = start(echo)
    text = Path(ex.notebook_path or "").read_text()
    assert '"name": "echo"' in text
    assert '"file_extension": ".echo"' in text
    assert '"display_name": "The echo kernel"' in text


@pytest.mark.usefixtures("patient")
def test_a_kernel_that_is_interrupted_by_message(start: Callable[..., Executor], install: Install) -> None:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    ex = start(install("polite", argv, interrupt_mode="message"))
    ex.execute("kept = 1")
    result = ex.execute("import time; time.sleep(60)", timeout=0.5)
    assert (result.status, result.steps, result.state_preserved) == ("timeout", ("interrupt",), True)
    assert ex.execute("kept").text == "1"


@pytest.mark.usefixtures("patient")
def test_where_our_launcher_cannot_work_the_stock_kernel_starts(start: Callable[..., Executor], tmp_path: Path) -> None:
    """What our part of the kernel needs is missing: less is kept at a sudden death, everything else works."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys\nsys.modules['_kernel_exec.spool'] = None\n")
    ex = start(HostKernel(env={"PYTHONPATH": str(tmp_path / "site")}))
    assert ex.execute("get_ipython().kernel.__class__.__module__").text == "'ipykernel.ipkernel'"
    assert ex.execute("print('text')\n41 + 1").text == "text\n42"
    for code in ("while True: pass", "import asyncio; await asyncio.sleep(600)"):
        result = ex.execute("kept = 2\n" + code, timeout=0.5)
        assert (result.status, result.state_preserved) == ("timeout", True), code
    assert ex.execute("kept").text == "2"
    died = ex.execute("import os; os._exit(3)")
    assert (died.status, "status 3" in died.text) == ("died", True)
    assert ex.execute("1").ok


def test_flags_of_the_interpreter_are_kept(start: Callable[..., Executor], install: Install) -> None:
    argv = [sys.executable, "-X", "dev", "-W", "ignore", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    ex = start(install("flags", argv, env={"FROM_SPEC": "${HOME}/x"}))
    assert ex.execute("import os, sys; sys.flags.dev_mode, sys.warnoptions").text == "(True, ['default', 'ignore'])"
    assert ex.execute("os.environ['FROM_SPEC'] == os.environ['HOME'] + '/x'").text == "True"


# jupyter_client's managers


@pytest.mark.usefixtures("ours_by_default")
async def test_a_stock_asynchronous_manager() -> None:
    before = children()
    manager = AsyncKernelManager()
    await manager.start_kernel()
    assert type(manager.provisioner).__name__ == "HostProvisioner"
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        reply = await client.execute_interactive("x = 1; x", output_hook=lambda _: None)
        assert reply["content"]["status"] == "ok"
        waiting = client.execute("import time; time.sleep(600)")
        busy = await client.get_iopub_msg(timeout=60)
        assert busy["parent_header"]["msg_id"] == waiting
        await manager.interrupt_kernel()
        assert (await client.get_shell_msg(timeout=60))["content"]["ename"] == "KeyboardInterrupt"
        await manager.restart_kernel(now=True)
        await client.wait_for_ready(timeout=60)
        reply = await client.execute_interactive("x", output_hook=lambda _: None)
        assert reply["content"]["ename"] == "NameError"
        assert await manager.is_alive()
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
    assert not await manager.is_alive()
    assert not os.path.exists(manager.connection_file)
    assert children() == before


@pytest.mark.usefixtures("ours_by_default")
def test_a_stock_synchronous_manager() -> None:
    before = children()
    manager = KernelManager()
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        assert client.execute("1", reply=True, timeout=60)["content"]["status"] == "ok"
        manager.restart_kernel()
        client.wait_for_ready(timeout=60)
        assert client.execute("1", reply=True, timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.cleanup_resources()
    assert not manager.is_alive()
    assert children() == before


def test_a_killed_manager_leaves_nothing(tmp_path: Path) -> None:
    script = """
        import os
        from jupyter_client.manager import KernelManager
        manager = KernelManager()
        manager.start_kernel()
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute_interactive("import os, subprocess; child = subprocess.Popen(['sleep', '60'])")
        client.execute_interactive("print(os.getpid(), child.pid, flush=True)")
        print(manager.connection_file, flush=True)
        client.execute_interactive("while True: pass")
    """
    env = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": OURS, "TMPDIR": str(tmp_path)}
    host = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True, env=env)
    assert host.stdout is not None
    with host.stdout:
        pids = [int(pid) for pid in host.stdout.readline().split()]
        file = Path(host.stdout.readline().strip())
        assert file.exists()
        host.send_signal(signal.SIGKILL)
        host.wait()
    assert wait_until(lambda: not any(runs(pid) for pid in pids))
    assert wait_until(lambda: not file.exists())
    assert wait_until(lambda: list(tmp_path.iterdir()) == [])

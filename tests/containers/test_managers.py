"""Boxed kernels below the managers of jupyter_client, by a kernelspec: JupyterLab and nbclient start them so."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from kernel_exec import InvalidArgument, KernelStartError
from kernel_exec.kernels.docker import DockerProvisioner


@pytest.fixture(params=["here", "elsewhere"])
def boxed(request: pytest.FixtureRequest, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an installed kernelspec of a kernel in a container."""
    if request.param == "elsewhere":
        request.getfixturevalue("far")
    folder = tmp_path / "jupyter" / "kernels" / "boxed"
    folder.mkdir(parents=True)
    spec = {
        "argv": ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Boxed",
        "language": "python",
        "metadata": {
            "kernel_provisioner": {"provisioner_name": "kernel-exec-docker", "config": {"env": {"WHERE": "inside"}}}
        },
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return "boxed"


async def test_what_a_manager_adds_to_the_command(boxed: str, tmp_path: Path) -> None:
    manager = AsyncKernelManager(kernel_name=boxed)
    await manager.start_kernel(cwd=str(tmp_path), extra_arguments=["--HistoryManager.hist_file=/tmp/mine"])
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        code = "assert get_ipython().history_manager.hist_file == '/tmp/mine'"
        reply = await client.execute_interactive(code, timeout=30)
        assert reply["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def test_a_manager(boxed: str, tmp_path: Path) -> None:
    manager = AsyncKernelManager(kernel_name=boxed)
    await manager.start_kernel(cwd=str(tmp_path))
    try:
        assert isinstance(manager.provisioner, DockerProvisioner)
        for _ in range(2):
            client = manager.client()
            client.start_channels()
            await client.wait_for_ready(timeout=30)
            reply = await client.execute_interactive("import os; assert os.environ['WHERE'] == 'inside'", timeout=30)
            assert reply["content"]["status"] == "ok"
            client.stop_channels()
            await manager.restart_kernel(now=True)
        assert await manager.is_alive()
    finally:
        await manager.shutdown_kernel(now=True)
    assert not await manager.is_alive()


def test_nbclient(boxed: str, tmp_path: Path) -> None:
    cells = [
        nbformat.v4.new_code_cell("import os; file = open('made', 'w'); file.write('made'); file.close(); os.getcwd()")
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": boxed, "display_name": "Boxed"}})
    NotebookClient(notebook, kernel_name=boxed, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert notebook.cells[0].outputs[0]["data"]["text/plain"] == "'/workspace'"
    assert (tmp_path / "made").read_text() == "made"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Installs a kernelspec with such a `config`, and returns its name."""

    def install(config: dict[str, Any], **more: Any) -> str:
        folder = tmp_path / "jupyter" / "kernels" / "own"
        folder.mkdir(parents=True)
        spec = {
            "argv": ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Own",
            "language": "python",
            "metadata": {"kernel_provisioner": {"provisioner_name": "kernel-exec-docker", "config": config}},
        }
        (folder / "kernel.json").write_text(json.dumps({**spec, **more}))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
        return "own"

    return install


async def checked(name: str, folder: Path, code: str, **more: Any) -> None:
    """Run code that asserts something in a kernel of a manager."""
    manager = AsyncKernelManager(kernel_name=name)
    await manager.start_kernel(cwd=str(folder), **more)
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        reply = await client.execute_interactive(code, timeout=30)
        assert reply["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def test_what_a_kernelspec_says(
    engine: Any, installed: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variables and arguments, and a setting whose names JSON turns into strings."""
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    argv = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}", "--HistoryManager.hist_file=/tmp/mine"]
    name = installed(
        {"env": {"WHERE": "settings"}, "network": "bridge", "ports": {"8000": None}},
        env={"WHERE": "spec", "OF_SPEC": "for ${NOBODY}"},
        argv=argv,
    )
    code = (
        "import os\nassert os.environ['WHERE'] == 'settings'\nassert os.environ['OF_SPEC'] == 'for ${NOBODY}'\n"
        "assert os.environ['GIVEN'] == 'yes'\nassert 'SECRET_TOKEN' not in os.environ\n"
        "assert os.environ['HOME'] == '/tmp'\n"
        "assert get_ipython().history_manager.hist_file == '/tmp/mine'"
    )
    await checked(name, tmp_path, code, env={**os.environ, "GIVEN": "yes"})


async def test_a_setting_that_there_is_not(installed: Callable[..., str], tmp_path: Path) -> None:
    manager = AsyncKernelManager(kernel_name=installed({"memroy": "1g"}))
    with pytest.raises(InvalidArgument, match=r"'memroy'.*memory"):
        await manager.start_kernel(cwd=str(tmp_path))


async def test_a_kernel_that_is_not_one_of_python(engine: Any, installed: Callable[..., str], tmp_path: Path) -> None:
    manager = AsyncKernelManager(kernel_name=installed({}, argv=["R", "--slave", "--args", "{connection_file}"]))
    with pytest.raises(KernelStartError, match="one of Python"):
        await manager.start_kernel(cwd=str(tmp_path))


@pytest.mark.parametrize("chosen", [{"shell_port": 45671}, {"ip": "0.0.0.0"}], ids=str)
async def test_an_address_that_somebody_chose(
    engine: Any, installed: Callable[..., str], tmp_path: Path, chosen: dict[str, Any]
) -> None:
    manager = AsyncKernelManager(kernel_name=installed({}), **chosen)
    with pytest.raises(KernelStartError, match="leave transport, ip and ports"):
        await manager.start_kernel(cwd=str(tmp_path))

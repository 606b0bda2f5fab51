"""Boxed kernels below the managers of jupyter_client, by a kernelspec: JupyterLab and nbclient start them so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

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

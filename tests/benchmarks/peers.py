"""The tools that are compared, behind one shape: enter it, get `run(code)`, leave it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.jupyter import JupyterCodeExecutor
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from kernel_exec import AsyncExecutor

Run = Callable[[str], Awaitable[None]]
Contender = Callable[[], AbstractAsyncContextManager[Run]]

OURS = "kernel_exec"
RECORDED = "kernel_exec, recorded"


@asynccontextmanager
async def unrecorded() -> AsyncIterator[Run]:
    """Ours, without a notebook."""
    async with AsyncExecutor(notebook=False) as executor:
        yield _checked(executor)


@asynccontextmanager
async def recorded() -> AsyncIterator[Run]:
    """Ours as it comes: each finished cell is on disk before the call returns."""
    async with AsyncExecutor() as executor:
        yield _checked(executor)


@asynccontextmanager
async def nbclient() -> AsyncIterator[Run]:
    """What executes notebooks in nbconvert and papermill."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
    client = NotebookClient(notebook, kernel_name="python3")

    async def run(code: str) -> None:
        notebook.cells[0].source = code
        await client.async_execute_cell(notebook.cells[0], 0)

    async with client.async_setup_kernel():
        yield run


@asynccontextmanager
async def autogen() -> AsyncIterator[Run]:
    """AutoGen's Jupyter executor, which stands on nbclient."""
    with TemporaryDirectory() as folder:
        executor = JupyterCodeExecutor(output_dir=Path(folder))
        await executor.start()

        async def run(code: str) -> None:
            blocks = [CodeBlock(code=code, language="python")]
            result = await executor.execute_code_blocks(blocks, CancellationToken())
            if result.exit_code:
                raise RuntimeError(result.output)

        try:
            yield run
        finally:
            await executor.stop()


@asynccontextmanager
async def jupyter_client(**settings: Any) -> AsyncIterator[Run]:
    """The library below all of them, by the least that is correct: wait for the reply and for idle."""
    manager = AsyncKernelManager(kernel_name="python3", **settings)
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)

    async def run(code: str) -> None:
        request = client.execute(code)
        while (await client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != request:
            pass
        while not _is_idle(await client.get_iopub_msg(timeout=60), request):
            pass

    try:
        yield run
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


@asynccontextmanager
async def jupyter_client_ipc() -> AsyncIterator[Run]:
    """The same over Unix sockets, as ours: fifty kernels at once over tcp would fight for ports."""
    with TemporaryDirectory() as folder:
        async with jupyter_client(transport="ipc", ip=str(Path(folder) / "k")) as run:
            yield run


def _checked(executor: AsyncExecutor) -> Run:
    async def run(code: str) -> None:
        (await executor.execute(code)).raise_for_error()

    return run


def _is_idle(message: dict[str, Any], request: str) -> bool:
    return bool(
        message["parent_header"].get("msg_id") == request
        and message["msg_type"] == "status"
        and message["content"]["execution_state"] == "idle"
    )

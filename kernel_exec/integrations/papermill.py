"""An engine for papermill: `papermill --engine kernel_exec IN.ipynb OUT.ipynb`.

Parameters, progress, autosave and metadata are papermill's own. What differs is what its own engine gets wrong: when a
cell ran into its timeout, or its kernel died, the cell is recorded as failed, with the reason among its outputs, and no
cell that never ran as completed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import nbformat
from papermill import engines
from papermill.engines import Engine, NotebookExecutionManager
from papermill.iorw import write_ipynb
from papermill.log import logger

from kernel_exec.compare import marks_of
from kernel_exec.errors import KernelStartError
from kernel_exec.executor import AsyncExecutor
from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.portal import run_once
from kernel_exec.results import ExecutionResult, Output
from kernel_exec.scratch import scratch
from kernel_exec.settings import Limits

_USED = frozenset({"allow_errors", "log_output", "stdout_file", "stderr_file"})
OUTPUTS = frozenset({"stream", "display_data", "execute_result", "error"})
"""Kinds of outputs that a notebook has; a stream of ours has changes to them as well."""


class KernelExecEngine(Engine):  # type: ignore[misc]
    """Runs notebooks for papermill in our kernels."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str | None = None, **kwargs: Any) -> Any:
        """Run a notebook; called by papermill."""
        try:
            return super().execute_notebook(nb, kernel_name, output_path, **kwargs)
        except BaseException:
            # Where no kernel could be started papermill calls all cells completed.
            _call_pending(cell for cell in nb.cells if not cell.metadata.papermill["start_time"])
            if output_path:
                write_ipynb(nb, output_path)
            raise

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        start_timeout: int = 60,
        execution_timeout: float | None = None,
        kernel: KernelSettings | None = None,
        limits: Limits | None = None,
        **options: Any,
    ) -> None:
        """Run the cells of a notebook; called by papermill, whose documentation says more of the arguments.

        Args:
            nb_man: keeps the notebook, and saves it.
            kernel_name: the kernelspec.
            start_timeout: seconds that the kernel may take to start.
            execution_timeout: seconds that each cell may run; None for no bound.
            kernel: where to run instead, such as `DockerKernel()`.
            limits: how much a cell may put out and use.
            options: of nbclient, of which `allow_errors` and those about papermill's log have an effect; of others a
                warning says that they have none.
        """
        # By other names they are papermill's own arguments, which win.
        own = {name: options.pop(name, None) for name in ("input_path", "startup_timeout", "timeout")}
        timeout = execution_timeout or own["timeout"]
        if idle := sorted(options.keys() - _USED):
            logger.warning(f"the engine kernel_exec makes nothing of these options: {', '.join(idle)}")
        # It checks the options, and knows how outputs are logged.
        client = engines.PapermillNotebookClient(
            nb_man, timeout=timeout, startup_timeout=start_timeout, kernel_name=kernel_name, log=logger, **options
        )
        settings = kernel or HostKernel(kernel_name=kernel_name)
        logger.info(f"Executing notebook with kernel: {settings.kernel_name}")

        async def run() -> None:
            with scratch("kernel-exec-papermill-") as folder:
                recording = folder / "session.ipynb"
                executor = AsyncExecutor(
                    settings, workdir=os.curdir, notebook=recording, timeout=timeout, limits=limits
                )
                await _Run(nb_man, executor, client.log_output_message).all(
                    start_timeout, allow_errors=client.allow_errors is True
                )

        run_once(run)


class _Run:
    """One notebook on its way.

    Args:
        nb_man: keeps the notebook, and saves it.
        executor: runs its cells, and records them.
        say: writes outputs where papermill's user wants them.
    """

    def __init__(self, nb_man: NotebookExecutionManager, executor: AsyncExecutor, say: Callable[[Any], object]) -> None:
        self._nb_man, self._executor, self._say = nb_man, executor, say
        self._ran: dict[str, tuple[Any, ExecutionResult]] = {}

    async def all(self, start_timeout: float, *, allow_errors: bool) -> None:
        """Run all cells, to the first one that fails.

        Raises:
            KernelStartError: the kernel did not start, or not within `start_timeout` seconds.
        """
        try:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(self._executor.close)
                await self._start(start_timeout)
                for index, cell in enumerate(self._nb_man.nb.cells):
                    if not await self._one(index, cell) and not allow_errors:
                        break
        finally:
            self._take()

    async def _start(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._executor.start()
        except TimeoutError as error:
            raise KernelStartError(
                f"the kernel did not start within start_timeout, {seconds:g} s: allow it more"
            ) from error

    async def _one(self, index: int, cell: Any) -> bool:
        """Run a cell; return whether it ended as it may."""
        self._nb_man.cell_start(cell, index)
        good = True
        try:
            marks = marks_of(cell)
            if cell.cell_type == "code" and cell.source.strip() and not marks.skip:
                result = await self._execute(cell)
                self._ran[result.cell_id] = cell, result
                cell.outputs, cell.execution_count = _outputs(result.outputs, result), result.execution_count
                good = result.ok or (result.status == "error" and marks.raises)
                if not good:
                    self._nb_man.cell_exception(cell, cell_index=index)
        except BaseException:  # Ctrl-C, or nothing can be recorded any more
            self._nb_man.cell_exception(cell, cell_index=index)
            raise
        finally:
            self._nb_man.cell_complete(cell, cell_index=index)
        return good

    async def _execute(self, cell: Any) -> ExecutionResult:
        stream = self._executor.stream(cell.source)
        try:
            async with stream:
                async for item in stream:
                    if isinstance(item, ExecutionResult):
                        return item
                    if item["output_type"] in OUTPUTS:
                        self._say(nbformat.from_dict(item))
                    if self._is_due():
                        cell.outputs = _outputs(stream.outputs())
                        self._nb_man.autosave_cell()
        except BaseException:
            cell.outputs = _outputs(stream.outputs())
            raise
        raise AssertionError("the stream ended without a result")

    def _is_due(self) -> bool:
        every = self._nb_man.autosave_cell_every
        unsaved: float = (self._nb_man.now() - self._nb_man.last_save_time).total_seconds()
        return bool(every) and unsaved >= every

    def _take(self) -> None:
        """Take over what only the recording knows: output that came late, displays that later cells changed, stamps."""
        path = self._executor.notebook_path
        if path is None or not path.exists():
            return
        recorded = nbformat.read(path, as_version=4)
        for cell in recorded.cells:
            if cell.id in self._ran:
                ours, result = self._ran[cell.id]
                ours.outputs = _outputs(cell.outputs, result)
                ours.metadata["execution"] = cell.metadata.get("execution", {})
        told = {key: recorded.metadata[key] for key in ("language_info", "widgets") if key in recorded.metadata}
        self._nb_man.nb.metadata.update(told)


def _call_pending(cells: Iterable[Any]) -> None:
    for cell in cells:
        cell.metadata.papermill["status"] = NotebookExecutionManager.PENDING


def _outputs(outputs: Sequence[Output], result: ExecutionResult | None = None) -> list[Any]:
    """Return outputs for a notebook; the error of a cell that was ended is what ended it."""
    made = [nbformat.from_dict({key: output[key] for key in output if key != "transient"}) for output in outputs]
    if result is None or result.error is None or result.status == "error":
        return made
    error = result.error
    errors = [output for output in made if output.output_type == "error" and output.ename != error.name]
    lines = [line for output in errors for line in output.traceback]
    told = nbformat.v4.new_output("error", ename=error.name, evalue=error.value, traceback=[*lines, str(error)])
    return [*(output for output in made if output.output_type != "error"), told]

"""`kernel-exec run`: the cells of a file, one after the other, in one kernel."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kernel_exec.cli import values as status
from kernel_exec.cli.arguments import RunArguments
from kernel_exec.cli.cells import looks_like_notebook, read_script
from kernel_exec.cli.show import Place, Show, make_show
from kernel_exec.errors import InvalidArgument, KernelExecError, NotebookError, RecordingError, UnknownKernel
from kernel_exec.kernels.host import HostKernel
from kernel_exec.recording.source import Program, SourceCell, read_notebook, with_parameters
from kernel_exec.results import ExecutionResult
from kernel_exec.scenarios import Scenario, scenario_named
from kernel_exec.sync import Executor

_EXIT = {"ok": status.OK, "timeout": status.TIMEOUT, "died": status.DEAD, "interrupted": status.INTERRUPTED}


def run(arguments: RunArguments) -> int:
    """Do what the command line asks for; return the exit status."""
    try:
        program = with_parameters(read(arguments), arguments.parameters)
    except NotebookError as error:
        return refuse(f"{arguments.file}: {error}")
    return Runner(arguments, make_show(as_document=arguments.json)).run(program)


def refuse(message: str) -> int:
    """Say why nothing is run."""
    print(f"kernel-exec run: {message}", file=sys.stderr)
    return status.USAGE


def read(arguments: RunArguments) -> Program:
    """Return what is to be run.

    Raises:
        NotebookError: it cannot be, and the message says why.
    """
    program = _program(arguments.file, _text(arguments.file))
    if arguments.parameters and program.language != "python":
        raise NotebookError(f"--param sets variables in Python, and this is {program.language}")
    return program


class Runner:
    """One run.

    Args:
        arguments: what the command line asks for.
        show: follows it.
    """

    def __init__(self, arguments: RunArguments, show: Show) -> None:
        self._arguments = arguments
        self._show = show
        self._begun = time.monotonic()
        self._exit = status.OK
        self._status = "ok"
        self._message: str | None = None

    def run(self, program: Program) -> int:
        """Run it all; return the exit status."""
        notebook: Path | None = None
        try:
            with self._executor(program) as executor:
                notebook = executor.notebook_path
                self._run_cells(executor, program.cells)
        except KeyboardInterrupt:
            self._failed("interrupted", status.INTERRUPTED, "interrupted")
        except InvalidArgument as error:
            self._failed("usage", status.USAGE, str(error))
        except UnknownKernel as error:
            self._failed("failed", status.CANNOT, f"{error}; --kernel takes another")
        except KernelExecError as error:
            self._failed("failed", status.CANNOT, str(error))
        self._show.finished(self._summary(notebook))
        return self._exit

    def _executor(self, program: Program) -> Executor:
        arguments = self._arguments
        name = arguments.kernel or program.kernel_name
        if arguments.scenario is not None:
            return self._in_scenario(scenario_named(arguments.scenario), arguments, program)
        return Executor(
            HostKernel(kernel_name=name) if name else None,
            workdir=arguments.workdir,
            notebook=arguments.notebook,
            timeout=arguments.timeout,
            name=None if arguments.file == "-" else Path(arguments.file).name,
        )

    def _in_scenario(self, scenario: Scenario, arguments: RunArguments, program: Program) -> Executor:
        overrides: dict[str, Any] = {"workdir": arguments.workdir, "notebook": arguments.notebook}
        if arguments.timeout is not None:
            overrides["timeout"] = arguments.timeout
        if isinstance(scenario.kernel, HostKernel) and (name := arguments.kernel or program.kernel_name):
            overrides["kernel_name"] = name
        elif arguments.kernel:
            raise InvalidArgument(f"--kernel names a kernel of this machine, and {scenario.name!r} runs in a container")
        return Executor.for_scenario(scenario, **overrides)

    def _run_cells(self, executor: Executor, cells: Iterable[SourceCell]) -> None:
        cells = [cell for cell in cells if cell.cell_type != "code" or cell.source.strip()]
        count = sum(cell.cell_type == "code" for cell in cells)
        number = 0
        for cell in cells:
            if cell.cell_type != "code":
                self._carry(executor, cell)
                continue
            number += 1
            result = self._run_cell(executor, Place(number, count, cell.title), cell)
            failed = not (result.ok or (cell.may_fail and result.status == "error"))
            if failed:
                self._failed(result.status, _EXIT.get(result.status, status.ERROR))
            if failed and not self._arguments.keep_going:
                return

    def _carry(self, executor: Executor, cell: SourceCell) -> None:
        """Write a text of the file into the recording."""
        kind = cell.cell_type
        with contextlib.suppress(RecordingError):  # what keeps it from disk is told by the cells, and at the end
            try:
                executor.annotate(cell.source, cell_type=kind, metadata=cell.metadata, attachments=cell.attachments)
            except InvalidArgument:  # the file has more in it than the format allows: its text can be carried
                executor.annotate(cell.source, cell_type=kind)

    def _run_cell(self, executor: Executor, place: Place, cell: SourceCell) -> ExecutionResult:
        self._show.begins(place, cell)
        with executor.stream(cell.source) as stream:
            for item in stream:
                if isinstance(item, ExecutionResult):
                    self._show.ended(place, item)
                    return item
                self._show.shows(item)
        raise KernelExecError("the stream of outputs ended without a result")

    def _failed(self, what: str, code: int, message: str | None = None) -> None:
        """Take note of what went wrong; what went wrong first is what the exit status tells."""
        self._message = message
        if self._exit == status.OK:
            self._status, self._exit = what, code

    def _summary(self, notebook: Path | None) -> dict[str, Any]:
        return {
            "status": self._status,
            "exit_status": self._exit,
            "message": self._message,
            "notebook": str(notebook) if notebook else None,
            "duration": round(time.monotonic() - self._begun, 3),
        }


def _text(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise NotebookError(f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NotebookError(
            f"it is no text in UTF-8: byte {error.start} is {error.object[error.start]:#04x}"
        ) from error


def _program(file: str, text: str) -> Program:
    suffix = Path(file).suffix
    if suffix == ".ipynb" or (file == "-" and looks_like_notebook(text)):
        return read_notebook(text)
    if suffix == ".py" or file == "-":
        return read_script(text)
    raise NotebookError("what this is cannot be told from its name: .py and .ipynb files can be run, and - for stdin")

"""The state of a recorded session, made anew by running its cells again; nothing of that is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernel_exec.compare import Rules, cell_differences, nearest_rules
from kernel_exec.errors import InvalidArgument, NotebookError, WrongType
from kernel_exec.execution import Execution
from kernel_exec.kernels.docker import DockerKernel
from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.kinds import KernelSettings, checked_kernel, language_of
from kernel_exec.plan import Step, steps
from kernel_exec.player import OnProgress, ended, filename_of, play
from kernel_exec.recording.needs import needed
from kernel_exec.recording.source import Program, SourceCell, read_file
from kernel_exec.results import ExecutionResult, ReplayedCell, Resumption
from kernel_exec.settings import PathLike, checked_path, checked_text

INSIDE = "/workspace"
"""The work directory, as code in a container sees it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A notebook that is to be run again.

    Attributes:
        path: the notebook.
        program: what it holds.
        kernel: the kind of kernel for it.
        workdir: where its code runs.
    """

    path: Path
    program: Program
    kernel: KernelSettings
    workdir: Path

    @property
    def name(self) -> str | None:
        """The name for people that the session had."""
        name = self.program.facts.get("name")
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class Hands:
    """What an executor lets its rebuilding do.

    Attributes:
        submit: begin to run a cell, which has some seconds; nothing is recorded.
        interrupt: interrupt it.
        restart: take a fresh kernel, and record nothing.
        names: return the names of the variables that there are.
    """

    submit: Callable[[str, float | None, str | None], Execution]
    interrupt: Callable[[], Awaitable[None]]
    restart: Callable[[], Awaitable[object]]
    names: Callable[[], Awaitable[Collection[str]]]


def origin_of(notebook: PathLike, kernel: KernelSettings | None, workdir: PathLike | None) -> Origin:
    """Return a notebook, with the kernel and the directory for it.

    Args:
        notebook: the notebook.
        kernel: where to run it; None for a kernel as it names it.
        workdir: where the code runs; None for where it was recorded if that is below the notebook's directory, or
            else that directory.

    Raises:
        NotebookError: it is no notebook, in another language than the kernel, or a cell is no valid Unicode.
        UnknownKernel: its kernel is not installed.
        InvalidArgument, WrongType: an argument cannot work.
    """
    path = checked_path("notebook", notebook)
    program = read_file(path)
    _check_texts(path, program)
    settings = _kernel_of(program) if kernel is None else checked_kernel(kernel)
    runs = language_of(settings)
    if program.language.lower() != runs.lower():
        raise NotebookError(f"{str(path)!r} is in {program.language}, and the kernel runs {runs}: name another kernel")
    directory = checked_path("workdir", workdir) if workdir is not None else _workdir_of(path, program)
    told = program.facts.get("workdir")
    if workdir is None and directory == path.parent and told not in (None, "", "."):
        note = f"it was recorded in {str(told)[:300]!r}, which is not below its directory: name a workdir to run there"
        program = replace(program, notes=(*program.notes, note))
    return Origin(path, program, settings, directory)


def _check_texts(path: Path, program: Program) -> None:
    for cell in program.cells:
        try:
            checked_text(f"cell {cell.index} (from 0)", cell.source)
        except InvalidArgument as error:
            raise NotebookError(f"{str(path)!r}: {error}") from None


async def rebuild(
    hands: Hands,
    origin: Origin,
    needed_for: Collection[str] | None,
    timeout: float | None,
    on_progress: OnProgress | None,
) -> Resumption:
    """Run the cells of a session again; return what became of each.

    Args:
        hands: what can be done.
        origin: the notebook of the session.
        needed_for: variables; only the cells are run that these depend on. None for all cells. When that shows not to
            be enough, all are run after all.
        timeout: seconds that each cell may run.
        on_progress: called as it goes.
    """
    program, stage = origin.program, _Unrecorded(hands, timeout)
    rules = nearest_rules(origin.path.parent).with_directories([str(origin.workdir.absolute()), INSIDE])

    async def run(only: Collection[int] | None = None) -> tuple[ReplayedCell, ...]:
        plan = steps(program, only=only)
        cells = await play(plan, stage, allow_errors=True, on_progress=on_progress)
        return await asyncio.to_thread(_compared, cells, program, rules)

    if needed_for is None:
        return Resumption(await run())
    cells = await run(_needed(program, needed_for))
    trouble = await _trouble(hands, cells, needed_for)
    if not trouble:
        return Resumption(cells)
    await hands.restart()
    return Resumption(await run(), (f"all cells were run: {trouble} when only those that seemed needed were",))


def checked_needs(needed_for: Collection[str] | None) -> Collection[str] | None:
    """Return names of variables, None for all cells.

    Raises:
        InvalidArgument, WrongType: they are none.
    """
    if needed_for is None:
        return None
    if isinstance(needed_for, str) or not all(isinstance(name, str) for name in needed_for):
        raise WrongType("needed_for must be a list of names of variables")
    for name in needed_for:
        if not name.isidentifier():
            raise InvalidArgument(f"needed_for must name variables, and {name!r} can be none")
    return frozenset(needed_for)


def _needed(program: Program, names: Collection[str]) -> set[int]:
    ran = [step.cell for step in steps(program) if step.act == "run"]
    found = needed([cell.source for cell in ran], names)
    return {cell.index for number, cell in enumerate(ran) if number in found and cell.index is not None}


async def _trouble(hands: Hands, cells: Collection[ReplayedCell], names: Collection[str]) -> str:
    """Return what shows that more cells are needed; "" for nothing."""
    for cell in cells:
        if not cell.ok:
            return f"cell {cell.index} failed ({cell.result and cell.result.error})"
        if cell.differences:
            return f"cell {cell.index} gave another result ({cell.differences[0]})"
    missing = sorted(set(names) - set(await hands.names()))
    return f"there was no variable {', '.join(missing)}" if missing else ""


def _compared(cells: Iterable[ReplayedCell], program: Program, rules: Rules) -> tuple[ReplayedCell, ...]:
    """Return what became of the cells, with how their results differ from those of then."""
    then = {cell.index: cell for cell in program.cells}
    rules = replace(rules, ignore=rules.ignore | {"artifacts"})  # they are there from then
    return tuple(replace(cell, differences=_differences(cell, then[cell.index], rules)) for cell in cells)


def _differences(cell: ReplayedCell, then: SourceCell, rules: Rules) -> tuple[str, ...]:
    if cell.result is None or not then.was_run:
        return ()
    now = {"outputs": cell.result.outputs, "metadata": {"kernel_exec": {"status": cell.result.status}}}
    found = cell_differences(then.as_dict(), now, rules)
    return tuple(f"{one.where}: {one.message}" if one.where else one.message for one in found)


class _Unrecorded:
    def __init__(self, hands: Hands, timeout: float | None) -> None:
        self._hands = hands
        self._timeout = timeout

    async def run(self, step: Step) -> ExecutionResult:
        execution = self._hands.submit(step.cell.source, step.bounded(self._timeout), filename_of(step))
        return await ended(execution, step, self._hands.interrupt)

    async def restart(self, step: Step) -> None:
        await self._hands.restart()

    async def carry(self, step: Step) -> None:
        """It is in the recording already."""

    async def leave(self, step: Step, reason: str) -> None:
        """It is in the recording already."""


def _kernel_of(program: Program) -> KernelSettings:
    """Return the kind of kernel that a notebook was recorded with: what ran in a container runs in one again."""
    told = program.facts.get("environment")
    environment = told if isinstance(told, Mapping) else {}
    if environment.get("kernel") == "docker":
        image: Any = environment.get("image")
        name = image.get("name") if isinstance(image, Mapping) else None
        return DockerKernel(image=name) if isinstance(name, str) and name else DockerKernel()
    return HostKernel(kernel_name=program.kernel_name) if program.kernel_name else HostKernel()


def _workdir_of(path: Path, program: Program) -> Path:
    """Return where a notebook was recorded, when that is below its directory and still there; else its directory.

    Somebody else may have written the notebook: it names no directory that a container is to be given.
    """
    told = program.facts.get("workdir")
    if isinstance(told, str) and told and "\0" not in told:
        recorded = path.parent / told
        if recorded.is_dir() and recorded.resolve().is_relative_to(path.parent.resolve()):
            return recorded
    return path.parent

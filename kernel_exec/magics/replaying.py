"""`%kx replay`: the cells of a notebook, run in a session that goes on from there."""

from __future__ import annotations

import uuid

from kernel_exec.magics.cells import Done
from kernel_exec.magics.errand import Errand
from kernel_exec.magics.sessions import Session, Sessions
from kernel_exec.player import Progress
from kernel_exec.rebuild import Origin, origin_of
from kernel_exec.replays.run import aplay
from kernel_exec.results import ExecutionResult, ReplayedCell


def prepared(sessions: Sessions, notebook: str, name: str | None) -> tuple[Origin, Session]:
    """Return a notebook that is to be replayed, and the session for it, made as it says where there is none.

    Raises:
        KernelExecError: it is no notebook, or no such session can be made.
    """
    session = sessions.find(name)
    origin = origin_of(notebook, None, None)
    if session is None:
        recording = origin.path.with_name(f"{origin.path.stem}.replay.ipynb")
        name = name or sessions.default
        session = sessions.start(name, origin.kernel, workdir=origin.workdir, notebook=recording)
    return origin, session


async def replay(errand: Errand[Done], session: Session, origin: Origin) -> Done:
    """Run the cells; show how far it is, and what the first cell put out that failed unexpectedly."""
    line = _Line(errand)
    async with session.turn:
        cells, notes = await aplay(session.executor, origin.program, on_progress=line.follow)
    await line.say(_summary(origin, cells))
    failed = next((cell for cell in cells if not cell.ok), None)
    if failed is None or failed.result is None:
        return Done(ExecutionResult("ok", notes=(*origin.program.notes, *notes)))
    for output in failed.result.outputs:
        await errand.give(output)
    return Done(failed.result)


class _Line:
    """One line that changes."""

    def __init__(self, errand: Errand[Done]) -> None:
        self._errand = errand
        self._transient = {"display_id": uuid.uuid4().hex}
        self._kind = "display_data"

    async def follow(self, progress: Progress) -> None:
        """Say which cell runs."""
        if progress.status == "running":
            await self.say(f"{progress.done + 1} of {progress.total}: {progress.title}")

    async def say(self, text: str) -> None:
        """Say something else."""
        kind, self._kind = self._kind, "update_display_data"
        data = {"text/plain": text}
        await self._errand.give({"output_type": kind, "data": data, "metadata": {}, "transient": self._transient})


def _summary(origin: Origin, cells: list[ReplayedCell]) -> str:
    ran = sum(cell.result is not None for cell in cells)
    failed = [cell for cell in cells if not cell.ok]
    skipped = len(cells) - ran
    told = f"{origin.path.name}: {ran} cells ran"
    told += f", cell {failed[0].index} failed" if failed else ""
    return told + (f", {skipped} did not run" if skipped else "")

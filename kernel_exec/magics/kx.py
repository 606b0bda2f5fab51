"""The magics themselves: `%%kx` and `%kx`, each command a few lines."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from kernel_exec.errors import ExecutionFailed, KernelExecError
from kernel_exec.magics import cells
from kernel_exec.magics.arguments import HELP, kernel_of, limits_of, parsed_cell, parsed_line
from kernel_exec.magics.cells import Cell, Done, Job
from kernel_exec.magics.errand import Errand
from kernel_exec.magics.errors import UsageError, failure, interrupted
from kernel_exec.magics.relay import Relay
from kernel_exec.magics.replaying import prepared, replay
from kernel_exec.magics.sessions import Session, Sessions, copied
from kernel_exec.settings import DEFAULT

if TYPE_CHECKING:
    from kernel_exec.magics.completion import Completion

MANY_JOBS = 100
"""Cells in the background of which nobody has seen the result; each holds as much as a cell may put out."""


@magics_class
class Kx(Magics):
    """`%kx` and `%%kx` for one shell.

    Args:
        shell: the notebook's shell, or IPython in a terminal.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self._sessions = Sessions()
        self._completion = _completion(self._sessions)

    def load(self) -> None:
        """Add the magics to the shell."""
        self._shell.register_magics(self)
        if self._completion is not None:
            self._completion.add_to(self._shell)

    def unload(self) -> None:
        """Take the magics away, and close all sessions."""
        manager = self._shell.magics_manager
        for kind in ("line", "cell"):
            manager.magics[kind].pop("kx", None)
        manager.registry.pop(type(self).__name__, None)
        if self._completion is not None:
            self._completion.remove_from(self._shell)
        self._sessions.close()

    @no_var_expand
    @line_cell_magic
    def kx(self, line: str, cell: str | None = None) -> None:
        """See `HELP`, which is shown in this place."""
        try:
            if cell is None:
                options = parsed_line(line)
                getattr(self, f"_{options.command}")(options)
            else:
                self._cell(parsed_cell(line), cell)
        except ExecutionFailed:
            raise
        except KeyboardInterrupt as pressed:
            raise interrupted(pressed) from None
        except (KernelExecError, OSError) as error:
            raise UsageError(str(error)) from error

    kx.__doc__ = HELP

    # Cells

    def _cell(self, options: argparse.Namespace, code: str) -> None:
        if not code.strip():
            raise UsageError("%%kx: the cell is empty (`%kx help` shows what else there is)")
        namespace: dict[str, Any] = self._shell.user_ns
        if missing := [name for name in options.ins if name not in namespace]:
            raise UsageError(f"%%kx: -i {missing[0]}: this notebook has no variable of that name")
        values = {name: namespace[name] for name in options.ins}
        if options.bg:  # the notebook may change them before the cell has its turn
            values = {name: _copied(name, value) for name, value in values.items()}
        timeout = DEFAULT if options.timeout is None else options.timeout
        cell = Cell(code.removesuffix("\n"), timeout, values, options.outs)
        session = self._sessions.get_or_start(options.name)
        if options.bg:
            self._background(session, cell)
        else:
            # A front end that cannot ask says so; then the session's code is told at once.
            may_ask = bool(getattr(getattr(self._shell, "kernel", None), "_allow_stdin", True))
            self._show(lambda errand: cells.run(errand, session, cell, may_ask=may_ask))

    def _background(self, session: Session, cell: Cell) -> None:
        if len(session.jobs) >= MANY_JOBS:
            raise UsageError(f"%%kx: {MANY_JOBS} results wait in {session.name!r}: `%kx result` shows them one by one")

        async def begun() -> Job:
            return Job(session, cell)

        session.jobs.append(self._sessions.call(begun))
        _say(f"{session.name}: runs in the background; `%kx result {session.name}` shows what comes")

    def _show(self, work: Any) -> None:
        """Do something that shows outputs and ends with a result; raise what it failed of."""
        relay = Relay(self._shell)
        errand: Errand[Done] = Errand(self._sessions.portal, relay.show, relay.flush)
        try:
            done = errand.run(work)
        finally:
            relay.flush()
        self._shell.user_ns.update(done.values)
        for note in done.result.notes:
            _say(f"note: {note}")
        if not done.result.ok:
            raise failure(done.result, relay.traceback, pressed=errand.pressed)
        if done.refused is not None:
            raise done.refused

    def _result(self, options: argparse.Namespace) -> None:
        session = self._sessions.get(options.name)
        if not session.jobs:
            raise UsageError(f"%kx result: nothing runs in the background of {session.name!r} (`%%kx --bg` does that)")
        job = session.jobs[0]
        try:
            self._show(lambda errand: cells.wait(errand, job))
        finally:
            if job.task.done():
                session.jobs.remove(job)

    # Sessions

    def _start(self, options: argparse.Namespace) -> None:
        session = self._sessions.start(
            options.name,
            kernel_of(options),
            limits=limits_of(options),
            timeout=options.timeout,
            workdir=options.workdir,
            notebook=options.notebook,
        )
        place = "" if options.workdir is None else f", in {session.executor.workdir}"
        _say(f"{session.name}: {session.kind}{place}")

    def _use(self, options: argparse.Namespace) -> None:
        self._sessions.use(options.name)

    def _list(self, _: argparse.Namespace) -> None:
        for session in self._sessions.all:
            mark = "*" if session.name == self._sessions.default else " "
            waiting = f", {len(session.jobs)} in the background" if session.jobs else ""
            _say(
                f"{mark} {session.name:<12} {session.state + waiting:<8} {session.kind}, in {session.executor.workdir}"
            )
        if not self._sessions.all:
            _say("no sessions: `%%kx` makes one, or `%kx start NAME`")

    def _interrupt(self, options: argparse.Namespace) -> None:
        self._sessions.call(self._sessions.get(options.name).executor.interrupt)

    def _restart(self, options: argparse.Namespace) -> None:
        session = self._sessions.get(options.name)

        async def restarted() -> str:
            for job in list(session.jobs)[::-1]:  # those behind the running one must not begin meanwhile
                job.stop(kill=False)
            return (await session.executor.restart()).text

        _say(f"{session.name}: {self._sessions.call(restarted)}")

    def _stop(self, options: argparse.Namespace) -> None:
        if options.all and options.name:
            raise UsageError("%kx stop: a name or --all, not both")
        names = [session.name for session in self._sessions.all] if options.all else [options.name]
        _say("\n".join(f"{self._sessions.stop(name).name}: ended" for name in names) or "no sessions")

    def _save(self, options: argparse.Namespace) -> None:
        session = self._sessions.get(options.name)
        recording = session.executor.notebook_path
        if recording is None:
            raise UsageError(f"%kx save: {session.name!r} is not recorded")
        _say("saved " + ", ".join(str(path) for path in copied(recording, Path(options.path).expanduser())))

    def _replay(self, options: argparse.Namespace) -> None:
        origin, session = prepared(self._sessions, options.notebook, options.name)
        self._show(lambda errand: replay(errand, session, origin))

    def _help(self, _: argparse.Namespace) -> None:
        _say(HELP.rstrip())


def _completion(sessions: Sessions) -> Completion | None:
    """Return what completes; None where IPython, before 8.6, has no matchers that see the whole cell."""
    try:
        from kernel_exec.magics.completion import Completion
    except ImportError:
        return None
    return Completion(sessions)


def _copied(name: str, value: Any) -> Any:
    """Return a copy of a variable.

    Raises:
        UsageError: there can be none.
    """
    try:
        return copy.deepcopy(value)
    except Exception as error:  # whatever the copying of somebody's objects raises
        raise UsageError(f"%%kx: -i {name}: it cannot be copied: {error}") from error


def _say(text: str) -> None:
    print(text)  # noqa: T201 - what a magic says is its cell's output

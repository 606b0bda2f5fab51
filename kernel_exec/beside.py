"""What is done beside the cells, also while one runs: variables asked for and set, files brought in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from kernel_exec.conductor import Conductor
from kernel_exec.errors import KernelDiedError, RecordingError, TransferError
from kernel_exec.keepsakes import keep
from kernel_exec.questions import Questions
from kernel_exec.settings import PathLike, checked_seconds
from kernel_exec.transfer import Transfer, checked_place, checked_source, checked_target, upload_cell
from kernel_exec.values import Packed, packed
from kernel_exec.worker import Worker

T = TypeVar("T")


class Beside:
    """Asks the kernel of a session and moves its files, without waiting for a turn.

    Args:
        conductor: the session.
    """

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    async def ask(self, ask: Callable[[Questions], Awaitable[T]], timeout: float | None) -> T:
        """Ask the kernel about its state; `timeout` is in seconds."""
        seconds = checked_seconds("timeout", timeout)
        await self._conductor.open()
        try:
            return await ask(Questions(await self._conductor.live(), seconds))
        except KernelDiedError:
            self._conductor.check_usable()  # when it died because of `close`, that is what is to be said
            raise

    async def put(self, name: str, value: Any, timeout: float | None) -> None:
        """Set a variable and record it; once the kernel has been asked that is done also when the caller is gone."""
        self._conductor.check_usable()
        kept = await self._conductor.worker.run(packed, value)
        sent = asyncio.Event()
        setting = asyncio.ensure_future(self._set(name, value, kept, timeout, sent))
        self._conductor.puts.add(setting)
        setting.add_done_callback(self._set_at_last)
        try:
            await asyncio.shield(setting)
        except asyncio.CancelledError:
            if not sent.is_set():
                setting.cancel()
            raise

    async def upload(self, source: PathLike | bytes, name: PathLike | None) -> str:
        """Bring a file in and record that; return its name."""
        conductor = self._conductor
        conductor.check_usable()
        content = checked_source(source)
        place = checked_place(name, conductor.home.workdir, content)
        await conductor.open()
        sent = await self._transfer(lambda transfer: transfer.send(content, place))
        if unseen := await conductor.bring_in(await conductor.live()):
            await self._transfer(lambda transfer: transfer.take_back(sent))  # or no later kernel could see the rest
            raise TransferError(f"{'/'.join(place)!r} was taken out of the work directory again: {unseen[0]}")
        await conductor.worker.run(conductor.home.artifacts.accept, sent.files)
        inside = "/".join(place)
        if trouble := await conductor.scribe.write_below(upload_cell(inside, sent)):
            raise RecordingError(trouble)
        return inside

    async def download(self, name: PathLike, target: PathLike) -> Path:
        """Bring a file out; return where it is."""
        conductor = self._conductor
        conductor.check_usable()
        place = checked_place(name, conductor.home.workdir)
        out = checked_target(target)
        await conductor.open()
        await (await conductor.live()).kernel.bring_home()
        return await self._transfer(lambda transfer: transfer.fetch(place, out, conductor.limits.artifact_bytes))

    async def _set(self, name: str, value: Any, kept: Packed, timeout: float | None, sent: asyncio.Event) -> None:
        conductor = self._conductor
        before = conductor.running
        await self.ask(lambda questions: questions.put(name, kept, sent), timeout)
        if conductor.scribe.path is not None:
            running = before or conductor.running
            cell = await conductor.worker.run(keep, name, value, kept, conductor.home, running and running.cell)
            if trouble := await conductor.scribe.write_below(cell):
                raise RecordingError(trouble)

    async def _transfer(self, work: Callable[[Transfer], T]) -> T:
        """Have files copied, in a thread of its own: cells are written meanwhile."""
        transfer, worker = Transfer(self._conductor.home.workdir), Worker()
        try:
            return await worker.run(work, transfer)
        finally:
            transfer.stop()
            worker.close()

    def _set_at_last(self, setting: asyncio.Task[None]) -> None:
        self._conductor.puts.discard(setting)
        if not setting.cancelled():
            setting.exception()  # whoever has waited was told

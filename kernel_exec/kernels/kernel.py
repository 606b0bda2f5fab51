"""One started kernel, as an executor sees it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kernel_exec.errors import KernelStartError
from kernel_exec.kernels.death import Death, Usage
from kernel_exec.kernels.events import Sampled
from kernel_exec.kernels.kinds import KernelSettings, provisioner_for
from kernel_exec.kernels.last_words import SPOOL, Spooled, read_spool
from kernel_exec.kernels.modes import STANDARD, Mode
from kernel_exec.kernels.supervised import SupervisedProvisioner
from kernel_exec.settings import Limits
from kernel_exec.wire.messages import Message


class Kernel:
    """A started kernel. Made by `Kernel.start`; belongs to the event loop that it was started on.

    Attributes:
        connection: the connection info of jupyter_client.
        environment: what is known of where it runs: its kind, and its image.
        kernelspec: name, display name and language, as a notebook's metadata wants them.
        deadline: the latest time, in the loop's, at which it must answer.
        interrupt_mode: "signal", or "message" for a kernel that wants an interrupt_request.
        died: done when its process has ended, whoever ended it.
        over_memory: done while it and its processes hold more memory than they may; another one for each
            time. After two seconds of that they are killed.
        under_memory: done while they do not; another one for each time as well.
    """

    def __init__(self, provisioner: SupervisedProvisioner, name: str, limits: Limits, timeout: float) -> None:
        spec = provisioner.kernel_spec
        self._provisioner = provisioner
        self._limits = limits
        self._spooled: Spooled | None = None
        self._ours: bool | None = None
        self._killed_for: str | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self.connection: Mapping[str, Any] = {}
        self.environment = provisioner.environment
        self.kernelspec = {"name": name, "display_name": spec.display_name, "language": spec.language}
        self.interrupt_mode: str = spec.interrupt_mode
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + timeout
        self.died: asyncio.Future[Death] = self._loop.create_future()
        self.over_memory: asyncio.Future[None] = self._loop.create_future()
        self.under_memory: asyncio.Future[None] = self._loop.create_future()
        self.under_memory.set_result(None)

    @classmethod
    async def start(
        cls,
        settings: KernelSettings,
        *,
        cwd: Path,
        limits: Limits,
        mode: Mode = STANDARD,
        extra_env: Mapping[str, str] = MappingProxyType({}),
        cleanup: Sequence[Path] = (),
        own: Sequence[Path] = (),
        prepare: Callable[[], None] = lambda: None,
        timeout: float,
        lifetime: float | None = None,
    ) -> Kernel:
        """Start a kernel; return when its program runs, which is before it answers.

        Args:
            settings: which kernel.
            cwd: its working directory.
            limits: what it may use.
            mode: how it is set up.
            extra_env: variables that it gets whatever others it has.
            cleanup: what is removed when this process ends without `stop`.
            own: files and folders of the recording.
            prepare: makes what is to be cleaned up; called when that is certain.
            timeout: seconds until it must answer, beside what is to be prepared once for many kernels.
            lifetime: seconds after which nobody wants it any more, at the latest; None where that is not known.

        Raises:
            UnknownKernel: there is no such kernelspec.
            KernelStartError: the kernel cannot be executed, or not in time; or `prepare` fails.
        """
        provisioner = provisioner_for(settings, limits, mode)
        provisioner.extra_env = {**provisioner.extra_env, **extra_env}
        provisioner.cleanup_paths, provisioner.own_paths = list(cleanup), own
        provisioner.expires = None if lifetime is None else time.time() + lifetime
        await provisioner.prepare()
        kernel = cls(provisioner, settings.kernel_name, limits, timeout)
        try:
            async with asyncio.timeout_at(kernel.deadline):
                await kernel._launch(cwd, prepare)
        except BaseException as error:
            await provisioner.stop(0)
            if isinstance(error, TimeoutError):
                raise KernelStartError(
                    "the kernel's process could not be started in time: is the machine overloaded?"
                ) from error
            raise
        return kernel

    @property
    def ours(self) -> bool:
        """Whether our launcher is in force in the kernel."""
        if self._ours is None and (directory := self.directory):
            self._ours = (directory / SPOOL).exists()
        return bool(self._ours)

    @property
    def pid(self) -> int:
        """The process id of the kernel; its process may have ended."""
        return self._provisioner.link.pid if self._provisioner.link else 0

    @property
    def outgrown(self) -> bool:
        """Whether it was killed because it and its processes held too much memory for too long."""
        return self.died.done() and self._provisioner.link is not None and self._provisioner.link.outgrown

    async def interrupt(self) -> None:
        """Send SIGINT to the kernel's process group; harmless when it is dead."""
        await self._provisioner.send_signal(signal.SIGINT)

    async def kill(self, reason: str | None = None) -> None:
        """Kill the kernel and everything that it started; its last words stay readable, `stop` is still due.

        Args:
            reason: what it did that is told as the reason of its death.
        """
        self._killed_for = reason
        await self._provisioner.kill()
        await self._provisioner.wait()

    async def stop(self, *, grace: float = 0.3, release: bool = True) -> None:
        """End the kernel and all that it started, and leave nothing of it behind; idempotent.

        Args:
            grace: seconds for the kernel to end by itself; what its code registered with atexit runs in it.
            release: whether nothing is left to clean up; otherwise `release` is still due.
        """
        if self.died.done():
            self._keep_spool()
        try:
            await self._provisioner.stop(grace, release=release)
        finally:
            self._look()
            self._unwatch()

    async def release(self) -> None:
        """Nothing is left to clean up, and nobody need look after it any more; idempotent."""
        if self._provisioner.link is not None:
            await self._provisioner.link.release()

    async def settle_signals(self) -> None:
        """Wait until no signal is on its way any more: one that was meant for a cell before must not meet the next."""
        if self._provisioner.link is not None and not self.died.done():
            await self._provisioner.link.settle_signals()

    def begin_cell(self) -> None:
        """A cell begins: what is used is counted from now on, and what lies in the descriptors is not its last words.

        The latter only where nobody but the supervisor reads them; our launcher makes outputs of what they hold.
        """
        self._provisioner.begin_cell()
        if not self.ours and self._provisioner.link is not None:
            self._provisioner.link.send({"forget": True})

    async def bring_in(self) -> None:
        """Let the kernel see what has changed in the work directory.

        Raises:
            KernelStartError: it cannot be done.
        """
        if not self.died.done():
            await self._provisioner.bring_in()

    async def bring_home(self) -> Sequence[str]:
        """Let the host see what the kernel has written; return what it does not see of that and why."""
        return await self._provisioner.bring_home()

    async def cell_usage(self) -> Usage | None:
        """Return what the kernel has used since then; None when it has ended."""
        return None if self.died.done() else await self._provisioner.cell_usage()

    def mark(self) -> None:
        """Count from now on what `sample` tells."""
        if self._provisioner.link is not None:
            self._provisioner.link.mark()

    async def sample(self) -> Sampled | None:
        """Return what it and all its processes use; None when it has ended, or does not say in time."""
        link = self._provisioner.link
        return None if link is None or self.died.done() else await link.sample()

    async def look_at_memory(self) -> None:
        """Have what it holds looked at now, as `over_memory` tells when this returns."""
        link = self._provisioner.link
        if link is not None and not self.died.done():
            link.forget_peak()
            await link.signal(0)  # it is no signal, but is answered

    @property
    def seen_peak(self) -> int:
        """The most bytes that it and its processes were seen to hold since the cell began; 0 without a limit."""
        link = self._provisioner.link
        if link is None or self._provisioner.limits.memory is None:
            return 0
        link.receive()
        return link.peak

    def last_words(self) -> list[Message]:
        """Return what a dead kernel had put out since the last execute request, in order.

        That is every iopub message, whether it was delivered or not, and streams made of the text that was not yet
        sent. Nothing for a kernel without our launcher, but what it wrote to its descriptors.
        """
        self._keep_spool()
        link = self._provisioner.link
        if self._spooled is None or link is None:
            return []
        return self._spooled.messages(self.connection, link.rest)

    def add_cleanup(self, path: Path) -> None:
        """Have `path` removed when this process ends without `stop`. To be called before it is made."""
        self._provisioner.add_cleanup(path)

    @property
    def directory(self) -> Path | None:
        """The runtime directory, private to this user; None when there is none any more."""
        return self._provisioner.link.directory if self._provisioner.link else None

    async def _launch(self, cwd: Path, prepare: Callable[[], None]) -> None:
        prepared = await self._provisioner.pre_launch(cwd=str(cwd))
        prepare()
        self.connection = dict(await self._provisioner.launch_kernel(prepared.pop("cmd"), **prepared))
        assert self._provisioner.link is not None
        self._unwatch = self._provisioner.link.watch(self._look)
        self._look()

    def _look(self) -> None:
        """Has the kernel ended, or grown too big?"""
        link = self._provisioner.link
        if link is None or self.died.done():
            return
        if not link.running:
            death = self._provisioner.death()
            if link.fault is not None:
                death = replace(death, reason=link.fault)
            if self._killed_for is not None and death.signal == signal.SIGKILL:  # else it had ended by itself
                death = replace(death, reason=f"{self._killed_for}, and was killed for that")
            self.died.set_result(death)
        elif link.above and not self.over_memory.done():
            self.under_memory = self._loop.create_future()
            self.over_memory.set_result(None)
        elif not link.above and self.over_memory.done():
            self.over_memory = self._loop.create_future()
            self.under_memory.set_result(None)

    def _keep_spool(self) -> None:
        """Read what the kernel left in its directory, before that goes."""
        if self._spooled is None and self.directory is not None:
            self._spooled = read_spool(self.directory, self._limits.output_bytes)

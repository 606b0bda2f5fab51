"""One started kernel, as an executor sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernel_exec.errors import KernelStartError
from kernel_exec.kernels.host import HostKernel, HostProvisioner
from kernel_exec.kernels.last_words import SPOOL, Spooled, read_spool
from kernel_exec.kernels.link import SupervisorLink
from kernel_exec.kernels.specs import find_kernel_spec
from kernel_exec.settings import Limits
from kernel_exec.wire.messages import Message

NEARLY = 0.75
"""The part of the limit beyond which a crash is taken for one for lack of memory."""

_REFUSED = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})
"""How code ends that does not expect to be refused memory."""
_BAD_ALLOC = "bad_alloc"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Death:
    """How a kernel ended.

    Attributes:
        exit_code: its exit status, when it exited.
        signal: the number of the signal, when it was killed by one.
        reason: a part of a sentence, such as "it was killed by signal 9 (SIGKILL)".
        oom: whether it had too little memory, as far as can be told.
    """

    exit_code: int | None
    signal: int | None
    reason: str
    oom: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a kernel has used so far.

    Attributes:
        cpu_seconds: its own CPU time and that of its children that have ended.
        peak_memory: the most memory it has held, in bytes, since the start or the last `reset_peak`; with a limit
            that of all its processes together, as far as it was seen.
    """

    cpu_seconds: float
    peak_memory: int


class Kernel:
    """A started kernel. Made by `Kernel.start`; belongs to the event loop that it was started on.

    Attributes:
        connection: the connection info of jupyter_client.
        kernelspec: name, display name and language, as a notebook's metadata wants them.
        interrupt_mode: "signal", or "message" for a kernel that wants an interrupt_request.
        died: done when its process has ended, whoever ended it.
        over_memory: done while it and its processes hold more memory than they may; another one for each
            time. After two seconds of that they are killed.
        under_memory: done while they do not; another one for each time as well.
    """

    def __init__(self, provisioner: HostProvisioner, name: str, limits: Limits) -> None:
        spec = provisioner.kernel_spec
        self._provisioner = provisioner
        self._limits = limits
        self._spooled: Spooled | None = None
        self._ours: bool | None = None
        self._killed_for: str | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self.connection: Mapping[str, Any] = {}
        self.kernelspec = {"name": name, "display_name": spec.display_name, "language": spec.language}
        self.interrupt_mode: str = spec.interrupt_mode
        self._loop = asyncio.get_running_loop()
        self.died: asyncio.Future[Death] = self._loop.create_future()
        self.over_memory: asyncio.Future[None] = self._loop.create_future()
        self.under_memory: asyncio.Future[None] = self._loop.create_future()
        self.under_memory.set_result(None)

    @classmethod
    async def start(
        cls,
        settings: HostKernel,
        *,
        cwd: Path,
        limits: Limits,
        cleanup: Sequence[Path] = (),
        prepare: Callable[[], None] = lambda: None,
        deadline: float,
    ) -> Kernel:
        """Start a kernel; return when its program runs, which is before it answers.

        Args:
            settings: which kernel.
            cwd: its working directory.
            limits: what it may use.
            cleanup: what is removed when this process ends without `stop`.
            prepare: makes what is to be cleaned up; called when that is certain.
            deadline: the latest end, in the loop's time.

        Raises:
            UnknownKernel: there is no such kernelspec.
            KernelStartError: the kernel cannot be executed, or not in time; or `prepare` fails.
        """
        spec = find_kernel_spec(settings.kernel_name)
        provisioner = HostProvisioner(kernel_id=str(uuid.uuid4()), kernel_spec=spec, parent=None)
        sizes = f"{limits.output_bytes},{limits.image_bytes},{limits.artifact_bytes}"
        provisioner.extra_env = {**settings.env, "KERNEL_EXEC_OUTPUT_LIMITS": sizes}
        provisioner.limits = limits
        provisioner.cleanup_paths = list(cleanup)
        kernel = cls(provisioner, settings.kernel_name, limits)
        try:
            async with asyncio.timeout_at(deadline):
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

    def usage(self) -> Usage | None:
        """Return what the kernel has used; None when it has ended."""
        if self.died.done():
            return None
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
            status = Path(f"/proc/{self.pid}/status").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        _, found, peak = status.partition(b"VmHWM:")
        if not found:  # it has ended, and nobody has seen that yet
            return None
        own = int(peak.split(None, 1)[0]) * 1024
        return Usage(sum(map(int, stat[11:15])) / _TICKS, max(own, self.seen_peak))

    @property
    def seen_peak(self) -> int:
        """The most bytes that it and its processes were seen to hold since `reset_peak`; 0 without a limit."""
        link = self._provisioner.link
        if link is None or self._provisioner.limits.memory is None:
            return 0
        link.receive()
        return link.peak

    def reset_peak(self) -> None:
        """Count the peak of memory from now on, where the system can do that."""
        if self.died.done():
            return
        if self._provisioner.link is not None and self._provisioner.limits.memory is not None:
            self._provisioner.link.forget_peak()
        try:
            Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            # Without it the peak is that of the kernel's whole life, which is still true.
            return

    def forget_output(self) -> None:
        """A cell begins: what lies in the descriptors is not its last words.

        Only where nobody but the supervisor reads them; our launcher makes outputs of what they hold.
        """
        if not self.ours and self._provisioner.link is not None:
            self._provisioner.link.send({"forget": True})

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
            death = self._death_by_memory(link) or _death(link.status)
            if link.fault is not None:
                death = replace(death, reason=link.fault)
            if self._killed_for is not None:
                death = replace(death, reason=f"{self._killed_for}, and was killed for that")
            self.died.set_result(death)
        elif link.above and not self.over_memory.done():
            self.under_memory = self._loop.create_future()
            self.over_memory.set_result(None)
        elif not link.above and self.over_memory.done():
            self.over_memory = self._loop.create_future()
            self.under_memory.set_result(None)

    def _death_by_memory(self, link: SupervisorLink) -> Death | None:
        """How a kernel died of too little memory; None when it died of something else."""
        limit = self._provisioner.limits.memory
        if limit is None:
            return None
        held = f"{megabytes(link.peak)} were held, and limits.memory is {megabytes(limit)}"
        if link.outgrown:
            return Death(
                None, signal.SIGKILL, f"it and its processes went on holding too much memory ({held})", oom=True
            )
        death = _death(link.status)
        refused = death.signal in _REFUSED and (link.peak > limit * NEARLY or _BAD_ALLOC in link.rest[1])
        return (
            replace(death, reason=f"{death.reason}, probably for lack of memory ({held})", oom=True)
            if refused
            else None
        )

    def _keep_spool(self) -> None:
        """Read what the kernel left in its directory, before that goes."""
        if self._spooled is None and self.directory is not None:
            self._spooled = read_spool(self.directory, self._limits.output_bytes)


def megabytes(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / 2**20:.0f} MiB"


def _death(status: int | None) -> Death:
    if status is None:
        return Death(None, signal.SIGKILL, "the process that supervises it was killed, and it with that")
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Death(code, None, f"it exited with status {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "a real-time signal"
    return Death(None, -code, f"it was killed by signal {-code} ({name})")

"""The host's end of the channel to a supervisor, and what is known of the kernel below it.

Belongs to no event loop: a synchronous KernelManager of jupyter_client uses another loop for every call. Whoever waits
registers with the loop that runs then. No threads, no child watcher, no SIGCHLD: the host may have its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal

from kernel_exec.errors import KernelStartError
from kernel_exec.kernels import events
from kernel_exec.kernels.death import Usage
from kernel_exec.kernels.mounts import unmount

START = Path(__file__).parent.parent / "inkernel" / "start.py"
SEND_TIMEOUT = 5.0
END_TIMEOUT = 5.0
"""Seconds beyond the grace in which a supervisor has killed everything."""
GATE_TIMEOUT = 30.0
"""Seconds that a container's first process has to begin."""
SIGNAL_TIMEOUT = 1.0
"""Seconds in which anything that is no more than an answer comes, unless somebody stopped who gives it."""

CHUNKS = 2
"""Chunks of 64 KiB that are read from the channel at a time."""
MANY_DENIED, FEW = 100, 10
"""Targets that are kept, and that are told of."""
SWEEPS = 100
"""Rounds of killing after which processes that cannot be killed are left alone."""

Role = Literal["supervisor", "keeper"]

_unreaped: set[int] = set()


class SupervisorLink:
    """One supervisor process. Made by `spawn`.

    Attributes:
        directory: the private runtime directory, once it is there.
        pid: process id of the kernel, or of the last one, in a container as it is there; 0 before there was any.
        running: whether the kernel runs, as far as events have been read.
        status: wait status of the kernel when it has ended; None also when nobody saw how it ended.
        rest: what the kernel's descriptors 1 and 2 still held at its end.
        about_end: what else was told of its end, by a container or its engine.
        peak: the most bytes that the kernel and all its processes were seen to hold since `forget_peak`; looked for
            only where there is a limit.
        above: whether that is more than the limit now.
        outgrown: whether the kernel was killed because it was so for too long.
        fault: what the supervisor did for which it was ended; None when all is well.
        stopped: whether nothing of the kernel is left, as `stop` makes it.
        gone: whether the supervisor has ended.
    """

    def __init__(self, role: Role, pid: int, channel: socket.socket) -> None:
        self._role = role
        self._supervisor = pid
        self._channel = channel
        self._received = b""
        self._watches: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
        self._stopping = False
        self._killed = False
        self._signals = 0
        self.directory: Path | None = None
        self.pid = 0
        self.running = False
        self.status: int | None = None
        self.rest: tuple[str, str] = ("", "")
        self.peak = 0
        self.above = False
        self.outgrown = False
        self.about_end = events.About()
        self.error: str | None = None
        self._created: events.Created | events.Refused | None = None
        self._attached = False
        self._mounted: list[Path | None] = []
        self._gate: Path | None = None
        self._opened = False
        self._denied: list[str] = []
        self._moves: dict[int, events.Moved | None] = {}
        self._asked = 0
        self._answered: tuple[int, Usage] | None = None
        self._sampled: events.Sampled | None = None
        self.fault: str | None = None
        self.stopped = False
        self.gone = False

    @classmethod
    def spawn(cls, role: Role) -> SupervisorLink:
        """Start a supervisor, or the keeper of a container.

        Raises:
            KernelStartError: the system has no process or descriptor left.
        """
        _reap_late()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise KernelStartError(f"no channel to a kernel could be opened: {error.strerror}") from error
        with theirs:
            try:
                pid = _spawn_supervisor(role, theirs.fileno())
            except OSError as error:
                ours.close()
                raise KernelStartError(f"no supervisor process could be started: {error.strerror}") from error
        return cls(role, pid, ours)

    async def ready(self) -> Path:
        """Wait for the runtime directory and return it.

        Raises:
            KernelStartError: it could not be made.
        """
        await self.until(lambda: self.directory is not None or self.error is not None)
        if self.directory is None:
            raise KernelStartError(self.error or self.fault or "the supervisor process ended before it had begun")
        return self.directory

    async def launch(
        self,
        command: list[str],
        env: dict[str, str],
        cwd: str,
        *,
        ours: bool,
        memory: int | None = None,
        soft: int | None = None,
        cpus: Sequence[int] | None = None,
    ) -> None:
        """Start a kernel in the runtime directory; return when its program runs.

        Args:
            command: program and arguments.
            env: its environment.
            cwd: its working directory.
            ours: whether our launcher reads its descriptors, and its code can live with a refusal of memory.
            memory: bytes that it and all its processes may hold; None for no limit.
            soft: bytes beyond which it is refused memory, where it can live with that; None for no limit.
            cpus: numbers of the processors that it may use; None for all.

        Raises:
            KernelStartError: it cannot be executed, or `cwd` cannot be entered.
        """
        self.status, self.error, self.about_end = None, None, events.About()
        self.peak, self.above, self.outgrown = 0, False, False
        launch = {"argv": command, "env": env, "cwd": cwd, "drain": not ours}
        self.send({"launch": {**launch, "memory": memory, "soft": soft if ours else None, "cpus": cpus}})
        await self.until(lambda: self.running or self.status is not None or self.error is not None)
        if failure := self._launch_failure():
            raise KernelStartError(f"the kernel could not be started: {failure}")

    async def create(
        self,
        engine: Sequence[str],
        name: str,
        request: dict[str, Any],
        *,
        keep: bool,
        timeout: float,
        far: dict[str, Any] | None = None,
    ) -> events.Created | events.Refused | None:
        """Have the keeper ask an engine for a container.

        Args:
            engine: its address, as the keeper dials it.
            name: of the container.
            request: what the engine is to make.
            keep: whether it stays when it has ended.
            timeout: seconds that the engine has.
            far: what the keeper must know of a container that shares no files with this machine.

        Returns:
            What the engine says; None when it says nothing, or the keeper is gone.
        """
        self._created = None
        what = {"engine": list(engine), "name": name, "request": request, "keep": keep, "far": far}
        self.send({"create": what})
        await self.until(lambda: self._created is not None, timeout)
        return self._created

    async def attach(self) -> None:
        """Have the keeper take the descriptors of the container.

        Raises:
            KernelStartError: the engine refuses.
        """
        self._attached, self.error, self.status = False, None, None
        self.send({"attach": None})
        await self.until(lambda: self._attached or self.error is not None)
        if failure := self._launch_failure():
            raise KernelStartError(f"the kernel could not be started: {failure}")

    async def mount(self, source: Path, user: tuple[int, int]) -> Path | None:
        """Mount a directory so that what its owner has looks like the user's, until `unmount`.

        Args:
            source: of the mount.
            user: numbers of user and group.

        Returns:
            Where; None where the system cannot do that.
        """
        self._mounted.clear()
        self.send({"mount": {"source": str(source), "uid": user[0], "gid": user[1]}})
        await self.until(lambda: bool(self._mounted))
        return self._mounted[0] if self._mounted else None

    async def allow(self, targets: Sequence[str]) -> Path:
        """Make a way out for the container that is created next; it gets there through the socket that is returned.

        Args:
            targets: each "host:port" that it may reach.

        Raises:
            KernelStartError: it cannot be made.
        """
        self._gate, self.error = None, None
        self.send({"allow": list(targets)})
        await self.until(lambda: self._gate is not None or self.error is not None)
        if self._gate is None:
            raise KernelStartError(f"the kernel could not be started: {self._launch_failure()}")
        return self._gate

    async def open_gate(self, path: PurePath, port: int) -> None:
        """Give a container that has been started its way out.

        Args:
            path: of the socket, as it is inside.
            port: at which the kernel finds it.

        Raises:
            KernelStartError: it cannot be made.
        """
        self._opened, self.error = False, None
        self.send({"gate": {"path": str(path), "port": port}})
        if not await self.until(lambda: self._opened or self.error is not None, GATE_TIMEOUT) or not self._opened:
            why = self._launch_failure() or "its way out was not made in time"
            raise KernelStartError(f"the kernel could not be started: {why}")

    def news_of_denied(self) -> tuple[str, ...]:
        """Return what the kernel wanted to reach and may not since this was last asked, as a note; none for nothing."""
        self.receive()
        denied, self._denied = self._denied, []
        if not denied:
            return ()
        more = f" and {len(denied) - FEW} more" if len(denied) > FEW else ""
        return (f"not reached, as DockerKernel(network=[...]) does not allow it: {', '.join(denied[:FEW])}{more}",)

    async def push(self) -> events.Moved:
        """Bring what has changed in the work directory into a container that is far."""
        return await self._move("push")

    async def fetch(self) -> events.Moved:
        """Fetch what has changed in a container that is far; what there was at its end has come with that."""
        return await self._move("fetch")

    async def _move(self, what: str) -> events.Moved:
        self._asked += 1
        number = self._asked
        self._moves[number] = None
        try:
            self.send({what: number})
            await self.until(lambda: self._moves[number] is not None)
            return self._moves[number] or events.Moved(number)
        finally:
            del self._moves[number]

    async def usage(self) -> Usage | None:
        """Return what the kernel has used since its cell began; None when it has ended, or does not say."""
        self._asked += 1
        number = self._asked
        self.send({"usage": number})

        def answered() -> bool:
            return not self.running or (self._answered is not None and self._answered[0] >= number)

        if not await self.until(answered, SIGNAL_TIMEOUT) or self._answered is None or self._answered[0] < number:
            return None
        used = self._answered[1]
        return Usage(used.cpu_seconds, max(used.peak_memory, self.peak))

    def mark(self) -> None:
        """Count from now on what `sample` tells."""
        self.send({"mark": None})

    async def sample(self) -> events.Sampled | None:
        """Return what the kernel and its processes use, since the mark; None when it has ended, or does not say."""
        self._asked += 1
        number = self._asked
        self.send({"sample": number})

        def answered() -> bool:
            return not self.running or (self._sampled is not None and self._sampled.number >= number)

        await self.until(answered, SIGNAL_TIMEOUT)
        return self._sampled if self._sampled is not None and self._sampled.number >= number else None

    def forget_peak(self) -> None:
        """Tell the peak of memory from now on."""
        self.receive()
        self.peak = 0
        self.send({"peak": None})

    def _launch_failure(self) -> str | None:
        return self.error or self.fault or ("its supervisor was killed" if self.gone and self.status is None else None)

    def send(self, command: dict[str, Any]) -> None:
        """Send a command; one to a supervisor that is gone is dropped."""
        if self.gone:
            return
        self._channel.settimeout(SEND_TIMEOUT)
        # A supervisor that was killed is noticed where its events are read.
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._channel.sendall(json.dumps(command).encode() + b"\n")

    def receive(self) -> None:
        """Take in the events that have arrived, without waiting, and tell those who watch.

        Of very many some are left for the next call: whoever floods the channel must not hold up the loop.
        """
        news = False
        for _ in range(CHUNKS):
            if self.gone:
                break
            self._channel.settimeout(0)
            try:
                chunk = self._channel.recv(1 << 16)
            except BlockingIOError:
                break
            except ConnectionError:
                chunk = b""
            news = True
            *lines, self._received = (self._received + chunk).split(b"\n")
            for line in lines:
                self._happened(events.parsed(line) if len(line) <= events.LONGEST else None)
            if not chunk:
                self._lost(ended=True)
            elif max(map(len, (*lines, self._received))) > events.LONGEST:
                self.fault = f"its supervisor sent a line of more than {events.LONGEST} bytes, and was ended for that"
                self._lost(ended=False)
        if news:
            self._notify()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on the running loop whenever events have arrived; return what ends that."""
        loop = asyncio.get_running_loop()
        callbacks = self._watches.setdefault(loop, [])
        callbacks.append(callback)
        if len(callbacks) == 1 and not self.gone:
            loop.add_reader(self._channel.fileno(), self.receive)

        def unwatch() -> None:
            if callback in callbacks:
                callbacks.remove(callback)
                if not callbacks:
                    self._unwatch(loop)

        return unwatch

    async def until(self, reached: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `reached()` or the supervisor is gone; return whether that was within `timeout` seconds."""
        self.receive()
        happened = asyncio.Event()
        unwatch = self.watch(happened.set)
        try:
            async with asyncio.timeout(timeout):
                while not reached() and not self.gone:
                    happened.clear()
                    await happened.wait()
        except TimeoutError:
            return False
        finally:
            unwatch()
        return True

    async def signal(self, number: int) -> None:
        """Send a signal to the kernel's process group; return when it was sent, or after a while."""
        if self.running:
            self._signals += 1
            self.send({"signal": number})
            await self.until(lambda: not self._signals or not self.running, SIGNAL_TIMEOUT)

    async def settle_signals(self) -> None:
        """Wait until all signals were sent; whoever holds one back for too long is ended."""
        if self._signals and not await self.until(lambda: not self._signals or not self.running, END_TIMEOUT):
            await self._kill_supervisor()

    async def kill(self) -> None:
        """Kill the kernel and all that it started; return when that is done."""
        self.send({"kill": True})
        if not await self.until(lambda: not self.running, END_TIMEOUT):
            await self._kill_supervisor()

    async def stop(self, grace: float) -> None:
        """End the kernel, everything below the supervisor, and its directory; idempotent.

        The supervisor stays, to clean up if this process ends before it has called `release`.

        Args:
            grace: seconds for the kernel to end by itself.
        """
        self._stopping = True
        self.send({"stop": grace})
        stopped = False
        try:
            stopped = await self.until(lambda: self.stopped, grace + END_TIMEOUT)
            if not stopped:
                await self._kill_supervisor()
        finally:
            if not stopped or self._killed:
                self._leave()

    async def release(self) -> None:
        """End a supervisor that has stopped its kernel: nothing is left to clean up; idempotent."""
        self.send({"release": None})
        try:
            if not await self.until(lambda: False, END_TIMEOUT):
                await self._kill_supervisor()
        finally:
            self._leave()

    def _leave(self) -> None:
        # When this was cancelled: the supervisor ends by itself when the channel is closed.
        self._lost(ended=False)
        if self._killed and self.directory is not None:
            unmount(Path(f"{self.directory}-m"))
            shutil.rmtree(self.directory, ignore_errors=True)

    async def _kill_supervisor(self) -> None:
        """End a supervisor that hangs (the kernel's code may have stopped it); what it leaves is swept up."""
        self._stopping = False
        os.kill(self._supervisor, signal.SIGKILL)
        await self.until(lambda: False, END_TIMEOUT)

    def _notify(self) -> None:
        here = asyncio.get_running_loop()
        for loop, callbacks in list(self._watches.items()):
            for callback in list(callbacks):
                if loop is here:
                    callback()
                elif not loop.is_closed():
                    loop.call_soon_threadsafe(callback)

    def _happened(self, event: events.Event | None) -> None:
        match event:
            case events.Directory(path) if self.directory is None:  # what is in it is removed: it is said once
                self.directory = path
            case events.Started(pid) if not self.running:
                self.pid, self.running = pid, True
            case events.Exited(status, rest, about):
                self.running, self.status, self.rest, self.about_end = False, status, rest, about
            case events.Memory(held, above):
                self.peak, self.above = max(self.peak, held), above
            case events.Sampled():
                self._sampled = event
            case events.Outgrown():
                self.outgrown = True
            case events.Signalled():
                self._signals = max(0, self._signals - 1)
            case events.Stopped():
                self.stopped, self.running = True, False
            case events.Failed(text):
                self.error = text
            case _:
                self._happened_to_container(event)

    def _happened_to_container(self, event: events.Event | None) -> None:
        match event:
            case events.Created() | events.Refused():
                self._created = event
            case events.Attached():
                self._attached = True
            case events.Mounted(path):
                self._mounted.append(path)
            case events.Gate(path):
                self._gate = path
            case events.Opened():
                self._opened = True
            case events.Denied(target) if len(self._denied) < MANY_DENIED:
                self._denied.append(target)
            case events.Moved(number) if number in self._moves:
                self._moves[number] = event
            case events.Used(number, usage):
                self._answered = number, usage

    def _lost(self, *, ended: bool) -> None:
        """The channel is closed: by the supervisor, which has `ended`, or by us."""
        if self.gone:
            return
        self.gone = True
        for loop in list(self._watches):
            if not loop.is_closed():
                loop.remove_reader(self._channel.fileno())
        self._channel.close()
        if not self._stopping or (ended and not self.stopped):
            self._killed = True
            self._sweep()
        self.running = False
        _unreaped.add(self._supervisor)
        if ended:
            # A keeper closes the channel before the engine has forgotten its container: nobody waits for that.
            _reap(self._supervisor, os.WNOHANG if self._role == "keeper" else 0)

    def _unwatch(self, loop: asyncio.AbstractEventLoop) -> None:
        del self._watches[loop]
        if not self.gone:
            loop.remove_reader(self._channel.fileno())

    def _sweep(self) -> None:
        """End what a supervisor that was killed has left. Its directory is kept until `stop`: last words are in it."""
        if self.directory is None or self._role == "keeper":
            return  # the process ids of a container are others'; it ends by itself when its keeper does
        if self.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for _ in range(SWEEPS):
            if not _kill_marked(str(self.directory)):
                break


def marker(directory: Path) -> dict[str, str]:
    """The environment variable by which processes of a kernel are found when its supervisor was killed."""
    return {"KERNEL_EXEC_DIRECTORY": str(directory)}


def _spawn_supervisor(role: Role, channel: int) -> int:
    """Start the supervisor with `channel` as its descriptor 0; return its process id.

    Not subprocess.Popen, whose objects complain at interpreter exit, also in forked children of the host.
    """
    parents = dict.fromkeys((tempfile.gettempdir(), "/tmp", "/dev/shm"))  # noqa: S108 - makes a private one inside
    command = [sys.executable, "-I", "-S", str(START), role, str(os.getpid()), *parents]
    null = os.devnull
    actions = [
        (os.POSIX_SPAWN_DUP2, channel, 0),
        (os.POSIX_SPAWN_OPEN, 1, null, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, null, os.O_WRONLY, 0),
    ]
    handled = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    # The variables that its interpreter might need, such as LD_LIBRARY_PATH; -I keeps Python's own out.
    return os.posix_spawn(
        sys.executable, command, os.environ, file_actions=actions, setsid=True, setsigmask=(), setsigdef=handled
    )


def _reap_late() -> None:
    """Reap the supervisors that have ended since they were abandoned."""
    for pid in tuple(_unreaped):
        _reap(pid, os.WNOHANG)


def _reap(pid: int, options: int) -> None:
    try:
        reaped, _ = os.waitpid(pid, options)
    except ChildProcessError:  # the host reaps all its children itself
        reaped = pid
    if reaped:
        _unreaped.discard(pid)


def _kill_marked(directory: str) -> int:
    """Kill every process that carries the marker of `directory`; return how many there were."""
    mark = os.fsencode(directory)
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                marked = mark in file.read()
            if marked and int(name) != os.getpid():
                os.kill(int(name), signal.SIGKILL)
                found += 1
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return found

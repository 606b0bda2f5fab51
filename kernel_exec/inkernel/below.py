"""The kernel below this process, and every process that its code leaves alone: started, signalled, ended together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from .loop import Loop
from .memory import THREADS, MemoryWatch, soft_bound
from .processes import children

if TYPE_CHECKING:
    from .sampler import Sampler

REST_LIMIT = 64 * 1024
STREAMS = ("stdout", "stderr")

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Below:
    """One kernel after the other, and all their descendants. What is called `do_...` are commands of the host.

    Args:
        directory: where the FIFOs for the kernel's descriptors 1 and 2 lie.
        loop: of this process.
        tell: sends an event to the host.

    Attributes:
        kernel: its process id; 0 while there is none.
        ended: called when it and all below it have ended; returns what else is to be told of that.
    """

    def __init__(self, directory: str, loop: Loop, tell: Callable[[dict[str, Any]], None]) -> None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._directory = directory
        self._loop = loop
        self._tell = tell
        self._fifos = [open_fifo(directory, name) for name in STREAMS]
        self._rest = [bytearray(), bytearray()]
        self._memory: MemoryWatch | None = None
        self._sampler: Sampler | None = None
        self.kernel = 0
        self.ended: Callable[[], dict[str, Any]] = dict

    @property
    def due(self) -> float:
        """When `look` is to be called."""
        return float("inf") if self._memory is None else self._memory.due

    def look(self) -> None:
        """Look at the memory, when it is time to."""
        if self._memory is not None and self._memory.look():
            self._tell({"outgrown": True})
            self.kill()

    def reap(self) -> None:
        """Take in the children that have ended."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.kernel and self._memory is not None:
                self._memory.ended(used.ru_maxrss * 1024)
            if self._sampler is not None:
                self._sampler.orphan(used.ru_utime + used.ru_stime)
            self._reaped(pid, status)

    def do_launch(self, what: dict[str, Any]) -> None:
        """Start a kernel."""
        for rest in self._rest:
            rest.clear()
        if what["drain"]:
            for index, fifo in enumerate(self._fifos):
                self._loop.watch(fifo, lambda index=index: self._read_fifo(index))  # type: ignore[misc]
        try:
            self.kernel = _spawn(what, self._directory)
        except OSError as error:
            self._tell({"error": f"{error.filename or what['argv'][0]}: {error.strerror}"})
        else:
            self._tell({"started": self.kernel})
            if what["memory"] is not None:
                self._memory = MemoryWatch(self.kernel, what["memory"], soft=what["soft"], tell=self._tell)

    def do_peak(self, _: object) -> None:
        """Count the peak of memory from now on; what comes after this in the channel was looked at."""
        if self._memory is not None:
            self._memory.forget_peak()
            self.look()

    def do_mark(self, _: object) -> None:
        """Count what is used from now on."""
        if self._sampler is None and self.kernel:
            from .sampler import Sampler  # every import delays every kernel

            self._sampler = Sampler(self.kernel)
        if self._sampler is not None:
            self._sampler.mark()

    def do_sample(self, number: int) -> None:
        """Tell what has been used since then; what it was, when the kernel has ended, is told by its end."""
        if self._sampler is not None:
            start = time.process_time()
            found = self._sampler.sample()
            self._tell({"sample": number, **found, "took": time.process_time() - start})

    def do_signal(self, number: int) -> None:
        """Signal the kernel's process group."""
        if self.kernel:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.kernel, number)
        self._tell({"signalled": number})

    def do_forget(self, _: object) -> None:
        """Forget what the descriptors hold."""
        for index, rest in enumerate(self._rest):
            self._read_fifo(index)
            rest.clear()

    def do_kill(self, _: object) -> None:
        """End the kernel and all that it started."""
        self.kill()

    def terminate(self) -> None:
        """Ask the kernel to end."""
        if self.kernel:
            os.kill(self.kernel, signal.SIGTERM)
            os.kill(self.kernel, signal.SIGCONT)

    def kill(self) -> None:
        """End the kernel and all that it started."""
        status = self._end_all()
        if self.kernel:
            self._reaped(self.kernel, status)

    def _reaped(self, pid: int, status: int) -> None:
        if pid != self.kernel:
            return
        self.kernel = 0
        self._memory = self._sampler = None
        self._end_all()  # its descendants end with it, before anybody hears of it
        for index in range(len(STREAMS)):
            self._read_fifo(index)
        rest = [bytes(text).decode("utf-8", "replace") for text in self._rest]
        self._tell({"exited": status, "rest": rest, **self.ended()})

    def _end_all(self) -> int:
        """Kill and reap every descendant until none is left; return the wait status of the kernel.

        The orphans of what is killed become children of this process, so that the next round finds them.
        """
        found = 0
        while True:
            there = children()
            for child in there:
                os.kill(child, signal.SIGKILL)  # a child is there until it is reaped
            try:
                # The list may miss a child that was adopted meanwhile: then it must be read again, not waited for.
                pid, status = os.waitpid(-1, 0 if there else os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == self.kernel:
                found = status

    def _read_fifo(self, index: int) -> None:
        """Read what is there now; keep its end."""
        rest = self._rest[index]
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._fifos[index], 1 << 16):
                rest += chunk
                del rest[:-REST_LIMIT]


def make_fifos(directory: str) -> None:
    """Make the FIFOs for the kernel's descriptors 1 and 2."""
    for name in STREAMS:
        os.mkfifo(os.path.join(directory, name), 0o600)


def open_fifo(directory: str, name: str) -> int:
    """Open a FIFO for reading and writing, so that it never ends."""
    return os.open(os.path.join(directory, name), os.O_RDWR | os.O_NONBLOCK)


def _spawn(launch: dict[str, Any], directory: str) -> int:
    """Start the kernel in a session of its own; return its process id.

    Raises:
        OSError: it cannot be executed, or its directory cannot be entered.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        _become(launch, directory, parent, writer)
    os.close(writer)
    with open(reader, "rb") as pipe:
        failure = pipe.read()
    if failure:
        os.waitpid(pid, 0)
        number, path = failure.split(b"\0", 1)
        raise OSError(int(number), os.strerror(int(number)), os.fsdecode(path))
    return pid


def _become(launch: dict[str, Any], directory: str, parent: int, failure: int) -> NoReturn:
    """Turn this forked child into the kernel; what fails is written to `failure`."""
    argv, path = launch["argv"], launch["cwd"]
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        # When the supervisor is killed, the kernel goes with it.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _limit(launch)
        os.chdir(path)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for descriptor, name in enumerate(STREAMS, 1):
            os.dup2(os.open(os.path.join(directory, name), os.O_WRONLY), descriptor)
        path = argv[0]
        os.execvpe(path, argv, {**launch["env"], "JPY_PARENT_PID": str(parent)})  # noqa: S606 - the kernelspec says what to run
    except OSError as error:
        os.write(failure, b"%d\0%s" % (error.errno or 0, os.fsencode(path)))
    finally:
        os._exit(1)


def _limit(launch: dict[str, Any]) -> None:
    """Put the limits in force that a process has from its start, and all its children with it."""
    if launch["cpus"] is not None:
        os.sched_setaffinity(0, launch["cpus"])
    if launch["soft"] is not None:
        import resource

        soft = soft_bound(launch["soft"], THREADS)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, resource.RLIM_INFINITY))

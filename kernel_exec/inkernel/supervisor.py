"""The process between host and kernel: it starts the kernel, and leaves nothing of it behind.

It makes the private runtime directory, starts the kernel, adopts every process that the kernel's code leaves alone
(child subreaper), and ends them all when the kernel has ended, when the host asks for it, or when the host is gone.
Whether the host is gone is seen in two ways: its end of the channel is closed, or its pidfd says so (a forked child
of the host may hold the channel open for ever).

Run as `python -I -S supervisor.py HOST_PID PARENT_DIRECTORY...` with descriptor 0 the channel: one JSON object a line.

    from the host: {"launch": {"argv", "env", "cwd", "drain", "memory", "soft", "cpus"}}, {"signal": number},
                   {"cleanup": path}, {"forget": true}, {"peak": null}, {"kill": true}, {"stop": seconds of grace}
    to the host:   {"directory": path}, {"started": pid}, {"signalled": number},
                   {"memory": bytes held, "above": whether that is too much}, {"outgrown": true when it dies of that},
                   {"exited": wait status, "rest": [stdout, stderr]}, {"error": text}

Only the standard library, and little of it: every import here delays every kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

CHANNEL = 0
PATH_LIMIT = 92  # of 107 bytes for a socket; the rest is for names in the directory
REST_LIMIT = 64 * 1024
STREAMS = ("stdout", "stderr")

STACK = 8 << 20  # what the system reserves for a thread, and what is hardly ever used of it
THREADS = 8  # of the kernel itself
GROWTH = 4 << 30  # bytes a second that nobody exceeds by much
SOON, LATE = 0.05, 0.5  # seconds between two looks at the memory
GRACE = 2.0  # seconds that too much memory may be held for

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Supervisor:
    """One runtime directory, one kernel after the other in it, and all their descendants.

    Args:
        host: process id of the host.
        parents: directories to make the runtime directory in; the first that works is taken.
    """

    def __init__(self, host: int, parents: list[str]) -> None:
        _close_inherited()
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._host = _open_host(host)
        self._wake = _wake_on_signals()
        self._directory = _make_directory(parents)
        self._fifos = [_make_fifo(self._directory, name) for name in STREAMS]
        self._rest = [bytearray(), bytearray()]
        self._cleanup: list[str] = []
        self._kernel = 0
        self._received = b""
        self._stop_at: float | None = None
        self._host_gone = False
        self._released = False
        self._memory: MemoryWatch | None = None
        self._poll = select.poll()
        for descriptor in (CHANNEL, self._host, self._wake):
            self._poll.register(descriptor, select.POLLIN)
        _tell({"directory": self._directory})

    def run(self) -> None:
        """Serve until the host asks for the end or is gone; then leave nothing behind."""
        try:
            while not self._host_gone and not self._over():
                self._serve()
        finally:
            self._kill()
            _remove(self._directory)
            _tell({"stopped": True})
            # The host removes the rest now; if it ends meanwhile, that is done here.
            while not self._host_gone and not self._released:
                self._serve()
            for path in () if self._released else self._cleanup:
                # The code that ran may have put a link in the place of a directory on the way.
                if os.path.realpath(os.path.dirname(path)) == os.path.dirname(path):
                    _remove(path)

    def _over(self) -> bool:
        if self._stop_at is None:
            return False
        return not self._kernel or time.monotonic() >= self._stop_at

    def _serve(self) -> None:
        times = [] if self._stop_at is None or not self._kernel else [self._stop_at]
        times += [] if self._memory is None else [self._memory.due]
        timeout = max(0.0, min(times) - time.monotonic()) * 1000 + 1 if times else None
        for descriptor, _ in self._poll.poll(timeout):
            if descriptor == CHANNEL:
                self._read_commands()
            elif descriptor == self._host:
                self._host_gone = True
            elif descriptor == self._wake:
                self._woken()
            else:
                self._read_fifo(self._fifos.index(descriptor))
        if self._memory is not None and self._memory.look():
            _tell({"outgrown": True})
            self._kill()

    def _woken(self) -> None:
        """Signals arrived: a child ended, or somebody wants the supervisor itself to end."""
        if set(os.read(self._wake, 4096)) - {signal.SIGCHLD}:
            self._host_gone = True
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._kernel and self._memory is not None:
                self._memory.ended(used.ru_maxrss * 1024)
            self._reaped(pid, status)

    def _reaped(self, pid: int, status: int) -> None:
        if pid != self._kernel:
            return
        self._kernel = 0
        self._memory = None
        self._end_all()  # its descendants end with it, before anybody hears of it
        for index in range(len(STREAMS)):
            self._read_fifo(index)
        rest = [bytes(text).decode("utf-8", "replace") for text in self._rest]
        _tell({"exited": status, "rest": rest})

    # Commands

    def _read_commands(self) -> None:
        try:
            chunk = os.read(CHANNEL, 1 << 16)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self._host_gone = True
            return
        *lines, self._received = (self._received + chunk).split(b"\n")
        for line in lines:
            for name, value in json.loads(line).items():
                getattr(self, "_do_" + name)(value)

    def _do_launch(self, what: dict[str, Any]) -> None:
        for rest in self._rest:
            rest.clear()
        for fifo in self._fifos:
            if what["drain"]:
                self._poll.register(fifo, select.POLLIN)
        try:
            self._kernel = _spawn(what, self._directory)
        except OSError as error:
            _tell({"error": f"{error.filename or what['argv'][0]}: {error.strerror}"})
        else:
            _tell({"started": self._kernel})
            if what["memory"] is not None:
                self._memory = MemoryWatch(self._kernel, what["memory"], soft=what["soft"])

    def _do_peak(self, _: object) -> None:
        if self._memory is not None:
            self._memory.forget_peak()

    def _do_signal(self, number: int) -> None:
        if self._kernel:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._kernel, number)
        _tell({"signalled": number})

    def _do_cleanup(self, path: str) -> None:
        self._cleanup.append(path)

    def _do_forget(self, _: object) -> None:
        for index, rest in enumerate(self._rest):
            self._read_fifo(index)
            rest.clear()

    def _do_release(self, _: object) -> None:
        self._released = True

    def _do_kill(self, _: object) -> None:
        self._kill()

    def _do_stop(self, grace: float) -> None:
        self._stop_at = time.monotonic() + grace
        if self._kernel and grace > 0:
            os.kill(self._kernel, signal.SIGTERM)
            os.kill(self._kernel, signal.SIGCONT)

    # Processes

    def _kill(self) -> None:
        """End the kernel and all that it started."""
        status = self._end_all()
        if self._kernel:
            self._reaped(self._kernel, status)

    def _end_all(self) -> int:
        """Kill and reap every descendant until none is left; return the wait status of the kernel.

        The orphans of what is killed become children of this process, so that the next round finds them.
        """
        found = 0
        while True:
            children = _children()
            for child in children:
                os.kill(child, signal.SIGKILL)  # a child is there until it is reaped
            try:
                # The list may miss a child that was adopted meanwhile: then it must be read again, not waited for.
                pid, status = os.waitpid(-1, 0 if children else os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == self._kernel:
                found = status

    def _read_fifo(self, index: int) -> None:
        """Read what is there now; keep its end."""
        rest = self._rest[index]
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._fifos[index], 1 << 16):
                rest += chunk
                del rest[:-REST_LIMIT]


class MemoryWatch:
    """Looks at the memory of the kernel and of all that it started. Without a cgroup no event tells of it.

    Args:
        kernel: process id of the kernel.
        limit: bytes that all of them together may hold.
        soft: whether the kernel itself gets no more than that from the system, which its code can live with.
    """

    def __init__(self, kernel: int, limit: int, *, soft: bool) -> None:
        self._kernel = kernel
        self._limit = limit
        self._soft = 0 if soft else None  # the bound that is in force
        self._below: dict[int, bool] = {}  # of every process in the system, whether the kernel started it
        self._peak = 0
        self._above_since: float | None = None
        self.due = time.monotonic()

    def look(self) -> bool:
        """Look when it is time to, and tell the host; return whether too much was held for too long."""
        start = time.monotonic()
        if start < self.due:
            return False
        self._bound()
        used = self._used()
        self._judge(used, start)
        end = time.monotonic()
        pause = min(max((self._limit - used) / GROWTH, SOON), LATE)
        self.due = end + max(pause, 10 * (end - start))  # never more than a tenth of a processor
        return self._above_since is not None and start - self._above_since > GRACE

    def ended(self, most: int) -> None:
        """The kernel has ended by itself; `most` is what it held in its life, also since the last look."""
        _tell({"memory": max(most, self._peak), "above": False})

    def forget_peak(self) -> None:
        """Tell what is held from now on, not what was."""
        self._peak = 0
        self.due = time.monotonic()

    def _judge(self, used: int, now: float) -> None:
        above = used > self._limit
        if used > self._peak or above != (self._above_since is not None):
            self._peak = max(self._peak, used)
            _tell({"memory": used, "above": above})
        self._above_since = (self._above_since or now) if above else None

    def _bound(self) -> None:
        """Bound what the kernel gets. The system counts what is reserved for stacks as well: more with each thread."""
        if self._soft is None:
            return
        soft = soft_bound(self._limit, _threads(self._kernel))
        if soft != self._soft:
            import resource

            self._soft = soft
            with contextlib.suppress(OSError):  # it has ended, or has taken other rights
                resource.prlimit(self._kernel, resource.RLIMIT_DATA, (soft, resource.RLIM_INFINITY))

    def _used(self) -> int:
        """Return the bytes that they hold; what they share counts once, as far as that matters."""
        pids = self._find()
        used = sum(map(_resident, pids))
        # Too much at first sight: forked children share most of it, and files that are mapped can be taken away.
        if used > self._limit or (len(pids) > 1 and used > self._peak):
            used = sum(map(_held, pids))
        return used

    def _find(self) -> list[int]:
        """Return the process ids of the kernel and of all that it started."""
        # Whether it did never changes: who loses his parent becomes a child of this process.
        before, self._below = self._below, {}
        me = os.getpid()
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            self._below[pid] = before[pid] if pid in before else _descends(pid, me)
        return [pid for pid, below in self._below.items() if below]


def soft_bound(limit: int, threads: int) -> int:
    """Return what a kernel may reserve so that it cannot hold more than `limit` bytes."""
    return limit + max(threads - 1, THREADS) * STACK


def _threads(pid: int) -> int:
    return int((_stat(pid) or [b"0"] * 18)[17])


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _held(pid: int) -> int:
    """Return the share of a process in the memory that nobody can take away from it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            lines = [line.split() for line in file.read().splitlines()[1:]]
    except OSError:  # it has ended, or shows itself to nobody
        return _resident(pid)
    sizes = {line[0]: int(line[1]) * 1024 for line in lines}
    if b"Pss_Anon:" in sizes:
        return sizes[b"Pss_Anon:"] + sizes[b"Pss_Shmem:"]
    return sizes.get(b"Pss:", 0)


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        pid = _parent_of(pid)
        if pid == ancestor:
            return True
    return False


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
    if launch["memory"] is not None and launch["soft"]:
        import resource

        soft = soft_bound(launch["memory"], THREADS)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, resource.RLIM_INFINITY))


def _children() -> list[int]:
    """Process ids of the children of this process."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel built without CONFIG_PROC_CHILDREN
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent_of(pid) == me]


def _parent_of(pid: int) -> int:
    return int((_stat(pid) or [b"", b"0"])[1])


def _stat(pid: int) -> list[bytes]:
    """Return what the system says of a process, from its state on; [] when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _close_inherited() -> None:
    """Close what libraries of the host left inheritable: its peers would wait for us."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                os.close(int(name))


def _open_host(host: int) -> int:
    """A descriptor that becomes readable when the host ends."""
    try:
        descriptor = os.pidfd_open(host)
    except ProcessLookupError:
        sys.exit(1)
    # The number may have been another's when it was opened; its child knows its parent.
    if os.getppid() != host:
        sys.exit(1)
    return descriptor


def _wake_on_signals() -> int:
    """A descriptor from which the numbers of the signals that arrived are read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return reader


def _make_directory(parents: list[str]) -> str:
    """Make a directory that only this user can enter, with a path short enough for sockets in it."""
    problems = []
    for parent in parents:
        path = os.path.join(parent, "kernel-exec-" + os.urandom(6).hex())
        if len(os.fsencode(path)) > PATH_LIMIT:
            problems.append(f"{parent}: too long a path for sockets")
            continue
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            problems.append(f"{parent}: {error.strerror}")
        else:
            return path
    _tell({"error": "no runtime directory could be made (" + "; ".join(problems) + ")"})
    sys.exit(1)


def _make_fifo(directory: str, name: str) -> int:
    """Make a FIFO and open it for reading and writing, so that it never ends."""
    path = os.path.join(directory, name)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def _remove(path: str) -> None:
    """Remove a file, a link, or a directory with all that is in it; what cannot be removed stays."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            with os.scandir(path) as entries:
                inside = [entry.path for entry in entries]
            for entry in inside:
                _remove(entry)
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:
        # Vanished, or not ours to remove: there is nobody left to tell.
        return


def _tell(event: dict[str, Any]) -> None:
    """Send an event to the host; a host that is gone is noticed elsewhere."""
    data = json.dumps(event).encode() + b"\n"
    with contextlib.suppress(ConnectionError):
        while data:
            data = data[os.write(CHANNEL, data) :]


if __name__ == "__main__":
    Supervisor(int(sys.argv[1]), sys.argv[2:]).run()

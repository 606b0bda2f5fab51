"""The first process of a container: it starts the kernel, and the container ends with it.

Run as `python -I -S start.py box DIRECTORY` with the runtime directory mounted there; descriptors 0 and 1 are the
channel, which a keeper on the host holds. When that is closed, for whatever reason, everything in the container ends.

Beside the commands and events of `supervisor.py`:

    from the keeper: {"cell": true}: a cell begins; {"usage": number}
                     {"gate": {"path", "port"}}, before the launch: give the kernel the way out that is there
    to the keeper:   {"usage": number, "cpu": seconds, "peak": bytes}, both since the cell began
                     {"exited": ..., "oom": processes killed for lack of memory, "pids": forks refused for their number,
                     "full": mount points without a free byte, "terminated": the signal that asked for it, 0 for none,
                     "held": the most memory that was in use in the container}

The kernel's code runs as the same user. It cannot look into the first process of its namespace, and what it signals to
that is nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
import time
from typing import Any

from .below import Below
from .loop import CHANNEL, Lines, Loop, tell, wake_on_signals
from .processes import stat_of

OUT = 1
LINE_LIMIT = 1 << 26
_PR_SET_DUMPABLE = 4
_ASKING = (signal.SIGTERM, signal.SIGHUP)
_SIGSET = 128
"""Bytes of a sigset_t."""
_SIGNAL = struct.Struct("=I4xiI112x")
"""Number, code and sender of a signalfd_siginfo."""
_SI_USER = 0
_COUNTERS = {
    "oom": (("/sys/fs/cgroup/memory.events", b"oom_kill"), ("/sys/fs/cgroup/memory/memory.oom_control", b"oom_kill")),
    "pids": (("/sys/fs/cgroup/pids.events", b"max"), ("/sys/fs/cgroup/pids/pids.events", b"max")),
}
"""Where cgroups of both versions count what they have refused."""
_HELD = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")


class Box:
    """One kernel, and all that it started."""

    def __init__(self, directory: str) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        self._loop = Loop()
        self._lines = Lines(LINE_LIMIT)
        self._wake = wake_on_signals()
        self._asked = _signals(_ASKING)
        self._below = Below(directory, self._loop, self._happened)
        self._below.ended = self._ended
        self._began = 0.0
        self._stop_at: float | None = None
        self._launched = False
        self._terminated = 0
        self._over = False
        self._status = 0
        self._loop.watch(CHANNEL, self._read_commands)
        self._loop.watch(self._wake, self._woken)
        self._loop.watch(self._asked, self._asked_to_end)

    def run(self) -> int:
        """Serve until the kernel has ended, or the keeper is gone; return what the container is to exit with."""
        while not self._done():
            due = self._due()
            self._loop.turn(None if due == float("inf") else due)
            self._look()
        by_itself = self._stop_at is None and not self._over
        self._below.kill()
        return self._status if by_itself else 0

    def _look(self) -> None:
        self._below.look()

    def _due(self) -> float:
        return min(self._below.due, self._stop_at or float("inf"))

    def _done(self) -> bool:
        if self._stop_at is not None and (not self._below.kernel or time.monotonic() >= self._stop_at):
            return True
        return self._over or (self._launched and not self._below.kernel)

    def _ended(self) -> dict[str, Any]:
        """What the container knows of the end of the kernel."""
        counts = {name: counted(name) for name in _COUNTERS}
        return {**counts, "full": _full(), "terminated": self._terminated, "held": _held()}

    def _woken(self) -> None:
        os.read(self._wake, 4096)
        self._below.reap()

    def _asked_to_end(self) -> None:
        # The code inside can make up everything but that it is the system that tells of a kill(2), and by whom.
        for number, code, sender in _SIGNAL.iter_unpack(os.read(self._asked, _SIGNAL.size * 16)):
            if code == _SI_USER and sender == 0:  # of no process that can be seen from here
                self._terminated = number
                self._over = True

    def _read_commands(self) -> None:
        chunk = os.read(CHANNEL, 1 << 16)
        self._over = self._over or not chunk
        self._obey(chunk)

    def _obey(self, chunk: bytes) -> None:
        for line in self._lines.feed(chunk):
            for name, value in json.loads(line).items():
                (getattr(self, "do_" + name, None) or getattr(self._below, "do_" + name))(value)

    def do_launch(self, what: dict[str, Any]) -> None:
        """Start the kernel, with what the image sets in its environment."""
        self._below.do_launch({**what, "env": {**os.environ, **what["env"]}})
        self._launched = bool(self._below.kernel)

    def do_gate(self, what: dict[str, Any]) -> None:
        """Have connections to a port accepted outside."""
        from .gate import hand_out  # every import delays every kernel

        try:
            hand_out(what["path"], what["port"])
        except OSError as error:
            self._tell({"error": f"its way out cannot be made: {error.strerror or error}"})

    def do_stop(self, grace: float) -> None:
        """Give the kernel `grace` seconds to end."""
        self._stop_at = time.monotonic() + grace
        if grace > 0:
            self._below.terminate()

    def do_cell(self, _: object) -> None:
        """A cell begins."""
        self._began = self._cpu_seconds()
        try:
            with open(f"/proc/{self._below.kernel}/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            return  # the peak is that of its whole life then

    def do_usage(self, number: int) -> None:
        """Tell what the kernel has used since the cell began."""
        cpu = self._cpu_seconds() - self._began
        self._tell({"usage": number, "cpu": max(0.0, cpu), "peak": _peak(self._below.kernel)})

    def _happened(self, event: dict[str, Any]) -> None:
        if "exited" in event:
            code = os.waitstatus_to_exitcode(event["exited"])
            self._status = code if code >= 0 else 128 - code
        self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        _tell(event)

    def _cpu_seconds(self) -> float:
        stat = stat_of(self._below.kernel)
        return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")


def _signals(numbers: tuple[int, ...]) -> int:
    """Return a descriptor at which these signals wait; processes that are made from now on have them blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    mask = sum(1 << number - 1 for number in numbers).to_bytes(_SIGSET, sys.byteorder)
    return int(ctypes.CDLL(None).signalfd(-1, mask, os.O_CLOEXEC))


def counted(name: str) -> int:
    """Return how often a cgroup has refused something; 0 where it does not tell."""
    for path, key in _COUNTERS[name]:
        try:
            with open(path, "rb") as file:
                fields = dict(line.split()[:2] for line in file.read().splitlines())
            return int(fields[key])
        except (OSError, KeyError, ValueError):
            continue
    return 0


def _held() -> int:
    """The most memory that all processes here, and files in memory, have had; 0 where that is not told."""
    for path in _HELD:
        try:
            with open(path, "rb") as file:
                return int(file.read())
        except (OSError, ValueError):
            continue
    return 0


def _full() -> list[str]:
    found = []
    for path in ("/tmp", os.getcwd()):  # noqa: S108 - a mount of its own
        state = os.statvfs(path)
        if not state.f_bavail or (state.f_files and not state.f_favail):
            found.append(path)
    return found


def _peak(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return int(file.read().partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024
    except (OSError, IndexError):
        return 0


def _tell(event: dict[str, Any]) -> None:
    tell(event, OUT)


def main(arguments: list[str]) -> None:
    """Run with the directory that is the only argument."""
    sys.exit(Box(arguments[0]).run())

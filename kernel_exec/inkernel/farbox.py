"""The first process of a container that shares no files with the host: all goes through its descriptors 0 and 1.

`kernels/far.py` has the program that puts this code there and runs `farbox DIRECTORY`. Beside what `box.py` says, in
the frames of `mux.py`, where lines are what belongs to no channel:

    from the keeper: {"alive": null}, now and then; {"end": null}: all that was written has been fetched
    to the keeper:   {"there": names in the runtime directory}, {"ending": true}: the kernel has ended

The keeper opens channels: {"socket": name} to one of the kernel's, {"put": bytes} to bring files into the work
directory, {"fetch": "work" or "runtime", "limit": bytes, "last": whether it is the last time} to take what has changed.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import sys
import time
from typing import Any

from .below import make_fifos
from .box import OUT, Box
from .files import Receiver, Side
from .loop import CHANNEL
from .mux import Mux
from .relay import End, FilesIn, FilesOut, Relay, SocketEnd

SHOWN = re.compile(r"k-\d+|spool\.0|(cut|sent)\..+")
"""Names of what the keeper hears of."""
SOCKET = re.compile(r"k-\d+")
AGAIN = 0.002
"""Seconds after which a socket is looked at again at which nobody listens yet: that is told by no event."""
LATER = 0.02
"""The same where no event tells of anything."""
LOOKS = 1000
"""How often that is done: it may be the kernel's code that makes such sockets."""
MANY = 200
SILENT = 120.0
"""Seconds without a word from the keeper after which nobody is there any more."""
SENT = re.compile(r"(cut|sent)\..+")
LAST = re.compile(r"(cut|sent|spool|pending)\..+")
"""Names of what the host reads in the runtime directory after a cell, and after the kernel's end."""
_IN_CREATE = 0x100


class FarBox(Box):
    """One kernel, and all that it started, far from the host."""

    def __init__(self, directory: str) -> None:
        make_fifos(directory)
        os.set_blocking(OUT, False)
        self._directory = directory
        self._mux = Mux(opens=False)
        super().__init__(directory)
        self._relay = Relay(self._loop, self._mux, OUT, self._opened)
        self._work, self._runtime = Side(os.getcwd()), Side(directory)
        self._heard = time.monotonic()
        self._exited: dict[str, Any] | None = None
        self._ended_well = False
        self._shown: set[str] = set()
        self._again_at = float("inf")
        self._looks = 0
        self._news = _watch(directory)
        if self._news is None:
            self._again_at = 0.0
        else:
            self._loop.watch(self._news, self._look_around)

    def _due(self) -> float:
        stop = self._stop_at if self._stop_at is not None and self._below.kernel else float("inf")
        return min(self._below.due, stop, self._heard + SILENT, self._again_at)

    def _look(self) -> None:
        super()._look()
        if time.monotonic() >= self._again_at:
            self._show()

    def _done(self) -> bool:
        now = time.monotonic()
        if self._over or now > self._heard + SILENT:
            return True
        if self._stop_at is not None and self._below.kernel and now >= self._stop_at:
            self._below.kill()
        if self._exited is None:
            return self._stop_at is not None and not self._below.kernel
        return self._ended_well and not self._mux.out

    def _read_commands(self) -> None:
        chunk = os.read(CHANNEL, 1 << 16)
        self._over = self._over or not chunk
        self._heard = time.monotonic()
        self._obey(self._relay.received(chunk))
        self._relay.turn()

    def _tell(self, event: dict[str, Any]) -> None:
        """Tell the keeper; of the end only when all that was written is there."""
        if "exited" in event:
            self._exited, event = event, {"ending": True}
        self._mux.control(json.dumps(event).encode() + b"\n")
        self._relay.turn()

    def do_alive(self, _: object) -> None:
        """The keeper is there."""

    def do_end(self, _: object) -> None:
        """The keeper has all files: it is told of the end, which is the last word."""
        if self._exited is not None:
            self._mux.control(json.dumps(self._exited).encode() + b"\n")
            self._ended_well = True

    def _look_around(self) -> None:
        assert self._news is not None
        os.read(self._news, 1 << 16)
        self._show()

    def _show(self) -> None:
        """Tell of what is new. Of a socket only when somebody listens: else who connects would be cut off."""
        found = set(filter(SHOWN.fullmatch, os.listdir(self._directory))) - self._shown
        deaf = {name for name in found if SOCKET.fullmatch(name) and not self._listens(name)}
        self._looks += bool(deaf)
        deaf = deaf if self._looks < LOOKS else set()
        rest = float("inf") if self._news is not None else LATER
        self._again_at = time.monotonic() + (AGAIN if deaf else rest)
        new = found - deaf
        if new and len(self._shown) < MANY:
            self._shown |= new
            self._tell({"there": sorted(new)[:MANY]})

    def _listens(self, name: str) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)
            try:
                probe.connect(os.path.join(self._directory, name))
            except ConnectionRefusedError:
                return False
            except OSError:  # seen when it is asked for
                return True
        return True

    def _opened(self, what: bytes) -> End | None:
        match json.loads(what):
            case {"socket": name}:
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(0)  # whoever listens may accept nobody
                try:
                    connection.connect(os.path.join(self._directory, name))
                except OSError:
                    connection.close()
                    return None
                return SocketEnd(connection)
            case {"put": limit}:
                return FilesIn(Receiver(self._work, limit, links=True))
            case {"fetch": "work", "limit": limit}:
                return FilesOut(self._work.changes(limit))
            case {"fetch": "runtime", "limit": limit, "last": last}:
                names = LAST if last else SENT
                self._runtime.wanted = lambda path: names.fullmatch(path) is not None
                return FilesOut(self._runtime.changes(limit))
        return None


def _watch(directory: str) -> int | None:
    """Return a descriptor that can be read when something was made in a directory.

    None where there is none left: a user has so many, and other containers of the same one may have taken all.
    """
    libc = ctypes.CDLL(None)
    descriptor = int(libc.inotify_init1(os.O_CLOEXEC))
    made = libc.inotify_add_watch(descriptor, os.fsencode(directory), _IN_CREATE)
    return descriptor if made >= 0 else None


def main(arguments: list[str]) -> None:
    """Run with the runtime directory, which is the only argument."""
    sys.exit(FarBox(arguments[0]).run())

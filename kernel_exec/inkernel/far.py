"""The keeper's part of a container that shares no files with the host: its sockets and files, through one stream.

The kernel's sockets are there on the host as well, and each connection to one becomes a channel to the kernel's own.
Files are brought into the container before a cell and fetched from it after one; the host's directory holds what is
true in between.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .farbox import LAST, SENT, SILENT
from .files import END, REASONS, Receiver, Side, TooLarge, record
from .loop import Loop, tell
from .mux import Mux
from .relay import End, FilesIn, FilesOut, Relay, SocketEnd

HERE = os.path.dirname(os.path.abspath(__file__))
OWN = re.compile(r"\..*\.kernel_exec|\.ipynb_checkpoints", re.DOTALL)
"""Names that are the host's alone."""
RUNTIME_LIMIT = 1 << 28
"""Bytes of the runtime directory that are fetched, which are fewer."""
_LONG = 100


class Far:
    """The stream to one container.

    Args:
        loop: of the keeper.
        directory: the runtime directory.
        what: {"workdir": path, "sockets": {name inside: path here}, "own": paths below the work directory that are the
            host's alone, "disk": bytes of the work directory inside, "limit": bytes that are fetched of one cell}.
        pass_on: sends a command to the container.
    """

    def __init__(self, loop: Loop, directory: str, what: dict[str, Any], pass_on: Callable[[str, Any], None]) -> None:
        self._loop, self._directory, self._what, self._pass_on = loop, directory, what, pass_on
        self._mux = Mux(opens=True)
        self._relay: Relay | None = None
        self._listeners: dict[str, socket.socket] = {}
        self._work = Side(what["workdir"], self._crosses)
        self._runtime = Side(directory, lambda path: LAST.fullmatch(path) is not None)
        self._waiting: deque[tuple[dict[str, Any], Callable[[], End], Callable[[], None]]] = deque()
        self._busy = False
        self._heard = 0.0
        self._spilled = self._ending = False
        self._notes: list[str] = []
        self.stopping = False
        """Whether nobody wants the kernel's last words."""
        for name in filter(LAST.fullmatch, os.listdir(directory)):  # of an earlier kernel
            os.unlink(os.path.join(directory, name))

    def attach(self, stream: socket.socket) -> None:
        """Send the code that the container is to run, and begin."""
        stream.settimeout(0)
        self._relay = Relay(self._loop, self._mux, stream.fileno(), lambda _: None)
        self._mux.out += payload(self._directory)  # nobody reads it before the container runs
        self._turn()

    def received(self, data: bytes) -> bytes:
        """Take what has come from the container; return what of it are lines.

        Raises:
            ValueError: it is nothing that one of us sends.
        """
        if self._relay is None:
            return b""
        self._heard = time.monotonic()
        lines = self._relay.received(data)
        self._relay.turn()
        return lines

    def send(self, line: bytes) -> None:
        """Send a line to the container."""
        self._mux.control(line)
        self._turn()

    def knows(self, event: dict[str, Any]) -> bool:
        """Whether an event is for this side alone; it is seen to."""
        match event:
            case {"there": [*names]}:
                for name in filter(lambda name: isinstance(name, str), names):
                    self._appeared(name)
            case {"ending": True} if not self._ending:
                self._ending = True
                self._fetch(last=True, then=lambda: self._pass_on("end", None))
            case {"ending": _}:
                pass
            case _:
                return False
        return True

    def push(self, number: int) -> None:
        """Bring what has changed in the work directory into the container, and tell when it is there."""
        if self._relay is None:
            _tell_moved(number)
            return
        disk = self._what["disk"]
        changes = self._work.everything(disk)
        try:
            first = next(changes)
        except TooLarge as error:
            _tell_moved(number, trouble=str(error))
            return
        if first == record(END, ""):
            _tell_moved(number)
        else:
            self._put(number, disk, itertools.chain((first,), changes))

    def _put(self, number: int, disk: int, pieces: Iterator[bytes]) -> None:
        trouble = ""

        def done(why: str) -> None:
            nonlocal trouble
            trouble = why
            if trouble:
                self._work.forget_content()
            self._next()

        self._transfer({"put": disk}, lambda: FilesOut(pieces, done), lambda: _tell_moved(number, trouble=trouble))

    def fetch(self, number: int) -> None:
        """Fetch what a cell has changed, and tell when all is there."""

        def told() -> None:
            notes, self._notes = self._notes, []
            _tell_moved(number, notes=notes)

        self._fetch(last=False, then=told)

    @property
    def stalled(self) -> bool:
        """Whether files are on their way and nothing moves."""
        return self._busy and time.monotonic() > self._heard + SILENT

    def close(self) -> None:
        """The container has ended; who waits for files is told; idempotent."""
        for name, listener in self._listeners.items():
            self._loop.unwatch(listener.fileno())
            listener.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._what["sockets"][name])
        self._listeners.clear()
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close()
        for _, _, then in self._waiting:
            then()
        self._waiting.clear()
        self._work.close()
        self._runtime.close()

    def _crosses(self, path: str) -> bool:
        if any(path == place or path.startswith(place + "/") for place in self._what["own"]):
            return False
        return not any(map(OWN.fullmatch, path.split("/")))

    def _fetch(self, *, last: bool, then: Callable[[], None]) -> None:
        limit = self._what["limit"]

        def fetch_output() -> None:
            if self._spilled or (last and not self.stopping):
                what = {"fetch": "runtime", "limit": RUNTIME_LIMIT, "last": last}
                self._transfer(what, lambda: self._arrival(self._runtime, RUNTIME_LIMIT), then)
            else:
                then()

        self._transfer({"fetch": "work", "limit": limit}, lambda: self._arrival(self._work, limit), fetch_output)

    def _arrival(self, side: Side, limit: int) -> End:
        receiver = Receiver(side, limit, links=False)

        def done() -> None:
            if side is self._work:
                self._notes += notes_of(receiver)
            self._next()

        return FilesIn(receiver, done)

    def _transfer(self, what: dict[str, Any], end: Callable[[], End], then: Callable[[], None]) -> None:
        """One after the other: what is known of a directory is for one at a time."""
        if self._relay is None:
            then()
            return
        self._waiting.append((what, end, then))
        if not self._busy:
            self._begin()

    def _begin(self) -> None:
        what, end, _ = self._waiting[0]
        self._busy, self._heard = True, time.monotonic()
        if self._relay is not None:
            self._relay.connect(json.dumps(what).encode(), end())
            self._turn()

    def _next(self) -> None:
        self._busy = False
        if self._relay is None:
            return
        _, _, then = self._waiting.popleft()
        then()
        if self._waiting and not self._busy:
            self._begin()

    def _turn(self) -> None:
        if self._relay is not None:
            self._relay.turn()

    def _appeared(self, name: str) -> None:
        """The kernel has made a file: what the host looks for is made here as well."""
        if name == "spool.0":
            with contextlib.suppress(FileExistsError):
                os.close(os.open(os.path.join(self._directory, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._spilled = self._spilled or SENT.fullmatch(name) is not None
        if name in self._what["sockets"] and name not in self._listeners:
            listener = socket.socket(socket.AF_UNIX)
            listener.settimeout(0)
            try:
                listener.bind(self._what["sockets"][name])
                listener.listen()
            except OSError:  # then the kernel is not heard of, and given up in time
                listener.close()
                return
            self._listeners[name] = listener
            self._loop.watch(listener.fileno(), lambda: self._accept(name, listener))

    def _accept(self, name: str, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        if self._relay is None or self._mux.full:
            connection.close()
            return
        self._relay.connect(json.dumps({"socket": name}).encode(), SocketEnd(connection))
        self._turn()


def payload(directory: str) -> bytes:
    """Return our code, and the connection file, as the container's first program takes them."""
    names = [name for name in os.listdir(HERE) if os.path.isfile(os.path.join(HERE, name))]
    code = {name: _text(os.path.join(HERE, name)) for name in names}
    text = json.dumps([code, {"inside.json": _text(os.path.join(directory, "inside.json"))}]).encode()
    return b"%16d" % len(text) + text


def notes_of(receiver: Receiver) -> list[str]:
    """Return what was not fetched, a sentence for each reason."""
    found = []
    for reason, paths in receiver.refused.items():
        names = ", ".join(repr(path if len(path) <= _LONG else path[:_LONG] + "...") for path in paths)
        more = receiver.count[reason] - len(paths)
        found.append(
            f"not fetched from the container, because {REASONS[reason]}: {names}{f' and {more} more' if more else ''}"
        )
    return found


def _tell_moved(number: int, *, notes: Sequence[str] = (), trouble: str = "") -> None:
    tell({"moved": number, "notes": list(notes), "trouble": trouble})


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()

"""The process between host and container: no container outlives the host that made it.

It holds the lease of the runtime directory like a supervisor, and the standard input of the container's first process
(`box.py`), which ends everything in the container when that is closed: when this process is killed, too. It asks the
engine for the container itself, so that the answer comes to somebody when the host is gone meanwhile, and removes it
when the host is gone, or when its end does not come.

Run as `python -I -S start.py keeper HOST_PID PARENT_DIRECTORY...`. Beside the commands and events of `supervisor.py`,
which it passes on:

    from the host: {"create": {"name", "engine": its address (`dial.py`), "request": what the engine is to make,
                               "keep": whether it stays when it has ended,
                               "far": what `far.py` needs, null for a container that shares files with the host}},
                   {"attach": null} before it is started, {"discard": null} when it is not wanted any more,
                   {"mount": {"source", "uid", "gid"}}, {"unmount": null},
                   {"allow": what the next container may reach (`gate.py`)}, before it is created
                   {"push": number}, {"fetch": number}: bring files into a container that is far, and from it
    to the host:   {"created": id} or {"refused": what the engine says, "answered": status of HTTP, 0 for none},
                   {"attached": true} or {"error": text}, {"mounted": path or null},
                   {"gate": path of a socket} or {"error": text}, {"opened": true} when the way out is there
                   {"denied": what the kernel wanted to reach}
                   {"moved": number, "notes": what was not, "trouble": why not all}: these files are there
                   {"exited": ..., "container": what the engine says of its state} when it ended without a word
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from .below import REST_LIMIT, STREAMS, open_fifo
from .dial import Connection, dial
from .lease import Lease
from .loop import CHANNEL, Lines, tell
from .mounts import Mounts

if TYPE_CHECKING:
    from .far import Far
    from .gate import Gate

PATIENCE = 1.0
"""Seconds in which a container obeys that can; then the engine ends it."""
FAR_PATIENCE = 4.0
"""The same for one that has files to send before its end."""
ENGINE_TIMEOUT = 10.0
CREATING = 60.0
"""Seconds in which a container may still come into being that nobody wants any more."""
REMOVING = 20.0
"""Seconds in which an engine that fails to remove a container is asked again."""
ALIVE = 10.0
"""Seconds after which a container that is far is told that somebody is there."""
LINE_LIMIT = 1 << 20
CREATED, CONFLICT = 201, 409
GONE = (200, 204, 404)

_HEADER = struct.Struct(">BxxxI")
_FROM_BOX = frozenset(
    {
        *("started", "signalled", "memory", "above", "outgrown", "exited", "rest", "error", "usage", "cpu", "peak"),
        *("oom", "pids", "full", "terminated", "held", "there", "ending", "sample", "processes", "took"),
    }
)
"""All that may stand in what the container tells the host. Its code is not trusted."""


class Keeper(Lease):
    """Holds the lease for one container after the other."""

    def __init__(self, host: int, parents: list[str]) -> None:
        super().__init__(host, parents)
        self._fifos = [open_fifo(self.directory, name) for name in STREAMS]
        self._engine: list[str] = []
        self._far: Far | None = None
        self._alive_at: float | None = None
        self._id = ""
        self._keep = False
        self._creating: socket.socket | None = None
        self._answer = b""
        self._wanted = True
        self._running = False
        self._box: socket.socket | None = None
        self._frames = b""
        self._lines = Lines(LINE_LIMIT)
        self._said = b""
        self._force_at: float | None = None
        self._mounts = Mounts(self.directory + "-m")
        self._gate: Gate | None = None

    def turn(self) -> None:
        """Wait for what comes next, and see to it."""
        due = [at for at in (self.stop_at, self._force_at, self._alive_at) if at is not None]
        self.loop.turn(min(due, default=None))
        if self._force_at is not None and time.monotonic() >= self._force_at:
            self._force()
        if self._alive_at is not None and time.monotonic() >= self._alive_at:
            self._alive_at = time.monotonic() + ALIVE
            self._pass_on("alive", None)
            if self._far is not None and self._far.stalled:
                self._force()

    def busy(self) -> bool:
        """Return whether there is a kernel."""
        return self._running

    def end(self) -> None:
        """End the kernel, with its container; one whose kernel has ended is on its way out, and nobody waits for it."""
        self._mounts.remove()
        self._close_gate()
        if self._running:
            self._force()
        if self._far is not None:
            self._far.close()

    def child_ended(self) -> None:
        """It is waited for where it is made."""

    def after(self) -> None:
        """Make sure that the container ends, and that the engine forgets it unless it is to stay."""
        os.dup2(os.open(os.devnull, os.O_RDWR), CHANNEL)
        if self._creating is not None:
            self._wanted = False
            self._await_created()
        self._await_end()
        self._dismiss()

    def dispatch(self, name: str, value: Any) -> None:
        """Carry out a command, or pass it on."""
        if carry_out := getattr(self, "do_" + name, None):
            carry_out(value)
        else:
            self._pass_on(name, value)

    def do_create(self, what: dict[str, Any]) -> None:
        """Ask the engine for a container; the one before has had its end."""
        self._await_created()
        if self._box is not None:
            self._dismiss()
            self._lose_box()
        self._engine, self._keep, self._wanted = what["engine"], what["keep"], True
        self._id, self._answer = "", b""
        if self._far is not None:
            self._far.close()
            self._far = None
        try:
            if what["far"]:
                from .far import Far  # every import delays every kernel

                self._far = Far(self.loop, self.directory, what["far"], self._pass_on)
            self._creating = self._connect()
            body = json.dumps(what["request"]).encode()
            self._creating.sendall(_head("POST", f"/containers/create?name={what['name']}", body))
        except OSError as error:
            tell({"refused": error.strerror or str(error), "answered": 0})
            self._stop_creating()
            return
        self.loop.watch(self._creating.fileno(), self._read_answer)

    def do_allow(self, targets: list[str]) -> None:
        """Make a way out for the container that is created next; that of the one before ends."""
        from .gate import Gate

        self._close_gate()
        try:
            self._gate = Gate(self.loop, self.directory, targets)
        except OSError as error:
            tell({"error": f"the container's way out cannot be made: {error.strerror or error}"})
        else:
            tell({"gate": self._gate.path})

    def do_discard(self, _: object) -> None:
        """Nobody wants the container any more."""
        self._wanted = False
        self._close_gate()
        self._lose_box()
        self._remove()

    def do_attach(self, _: object) -> None:
        """Take the descriptors of the container's first process, before it runs."""
        try:
            box = self._connect()
            query = "stream=1&stdin=1&stdout=1&stderr=1"
            box.sendall(_head("POST", f"/containers/{self._id}/attach?{query}", upgrade=True))
            received = b""
            while b"\r\n\r\n" not in received:
                chunk = box.recv(1 << 16)
                if not chunk:
                    raise OSError(0, "the engine closed the connection")
                received += chunk
            head, self._frames = received.split(b"\r\n\r\n", 1)
            status = head.split(None, 2)[1]
            if status not in (b"101", b"200"):
                raise OSError(0, _message(self._frames))
        except OSError as error:
            tell({"error": f"the container cannot be attached to: {error.strerror or error}"})
            return
        box.settimeout(None)
        self._box = box
        self._lines, self._said = Lines(LINE_LIMIT), b""
        if self._far is not None:
            self._far.attach(box)
            self._alive_at = time.monotonic() + ALIVE
        self.loop.watch(box.fileno(), self._read_box)
        tell({"attached": True})

    def do_launch(self, what: dict[str, Any]) -> None:
        """Have the kernel started."""
        self._running = True
        self._pass_on("launch", what)
        if self._box is None:
            self._tell_end(self._state())

    def do_kill(self, value: object) -> None:
        """Have everything in the container ended."""
        if self._running:
            self._force_at = time.monotonic() + (PATIENCE if self._far is None else FAR_PATIENCE)
            self._pass_on("kill", value)

    def do_stop(self, grace: float) -> None:
        """Give the kernel `grace` seconds to end, and the container a little longer."""
        super().do_stop(grace + PATIENCE)
        if self._far is not None:
            self._far.stopping = True
        self._pass_on("stop", grace)

    def do_push(self, number: int) -> None:
        """Bring what the host has changed into the container."""
        if self._far is not None:
            self._far.push(number)

    def do_fetch(self, number: int) -> None:
        """Fetch what the container has changed."""
        if self._far is not None:
            self._far.fetch(number)

    def do_mount(self, what: dict[str, Any]) -> None:
        """Mount a directory once more, with the files of its owner looking as those of the container's user."""
        tell({"mounted": self._mounts.add(what["source"], what["uid"], what["gid"])})

    def do_unmount(self, _: object) -> None:
        """Take these mounts away: what a container has mounted stays there."""
        self._mounts.remove()

    # The container

    def _read_answer(self) -> None:
        """Read on in what the engine says of the container that it was asked for; its end is that of the connection."""
        assert self._creating is not None
        try:
            chunk = self._creating.recv(1 << 16)
        except OSError:
            chunk = b""
        self._answer += chunk
        if not chunk:
            self._stop_creating()
            self._tell_created(*_parsed(self._answer))

    def _tell_created(self, status: int, body: bytes) -> None:
        try:
            self._id = json.loads(body)["Id"] if status == CREATED else ""
        except (ValueError, KeyError, TypeError):
            self._id = ""
        if not self._wanted:  # and nobody waits for an answer: it would be taken for that to the next request
            self._remove()
        elif self._id:
            tell({"created": self._id})
        else:
            tell({"refused": _message(body), "answered": status})

    def _stop_creating(self) -> None:
        if self._creating is not None:
            self.loop.unwatch(self._creating.fileno())
            self._creating.close()
            self._creating = None

    def _await_created(self) -> None:
        """Wait for a container that is being created: it must not come into being when nobody is there any more."""
        until = time.monotonic() + CREATING
        while self._creating is not None and (rest := until - time.monotonic()) > 0:
            self._creating.settimeout(rest)
            self._read_answer()

    def _pass_on(self, name: str, value: Any) -> None:
        if self._box is None:
            return
        line = json.dumps({name: value}).encode() + b"\n"
        if self._far is not None:
            self._far.send(line)
            return
        try:
            self._box.settimeout(PATIENCE)
            self._box.sendall(line)
            self._box.settimeout(None)
        except OSError:  # it ended meanwhile, or does not read: both are seen elsewhere
            return

    def _read_box(self) -> None:
        assert self._box is not None
        try:
            chunk = self._box.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._frames += chunk
        try:
            said = self._take_frames()
            for line in self._lines.feed(said if self._far is None else self._far.received(said)):
                self._happened(json.loads(line))
        except (ValueError, RecursionError):
            chunk = b""  # no lines of ours: nothing can be done with it
            self._remove()
        if not chunk:
            self._lose_box()

    def _take_frames(self) -> bytes:
        """Take apart what the engine sends: pieces of two streams, each with a header. Return what is of the first."""
        pieces: list[bytes] = []
        start = 0
        while len(self._frames) - start >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._frames, start)
            end = start + _HEADER.size + length
            if len(self._frames) < end:
                break
            data = self._frames[start + _HEADER.size : end]
            if stream == 1:
                pieces.append(data)
            else:
                self._said = (self._said + data)[-REST_LIMIT:]
            start = end
        self._frames = self._frames[start:]
        return b"".join(pieces)

    def _happened(self, event: object) -> None:
        if not isinstance(event, dict) or not event.keys() <= _FROM_BOX:
            return
        if self._far is not None and self._far.knows(event):
            return
        if "exited" in event:
            self._running, self._force_at = False, None
            self._close_gate()
            if event.get("terminated") and not (state := self._state())["Answered"]:
                event["container"] = state  # it was the engine that asked it to end, before it ended itself
        tell(event)

    def _lose_box(self) -> None:
        """The container has ended."""
        if self._box is None:
            return
        if self._far is not None:
            self._far.close()
        self.loop.unwatch(self._box.fileno())
        self._box.close()
        self._box, self._force_at, self._alive_at = None, None, None
        if self._running:
            self._tell_end(self._state())

    def _tell_end(self, state: dict[str, Any]) -> None:
        """Tell that the kernel has ended, where the container has not said so."""
        self._running = False
        self._close_gate()
        tell({"exited": _wait_status(state), "rest": self._rest(), "container": state})

    def _close_gate(self) -> None:
        if self._gate is not None:
            self._gate.close()
            self._gate = None

    def _rest(self) -> list[str]:
        """What the kernel's descriptors held, and after it what the first process had to say."""
        rest = []
        for fifo in self._fifos:
            try:
                rest.append(os.read(fifo, REST_LIMIT).decode("utf-8", "replace"))
            except BlockingIOError:
                rest.append("")
        rest[1] += self._said.decode("utf-8", "replace")
        return rest

    def _await_end(self) -> None:
        """Let the container end by itself, when it is about to: that is quicker, and keeps its exit status."""
        if self._box is None:
            return
        until = time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):
            self._box.shutdown(socket.SHUT_WR)
            while (rest := until - time.monotonic()) > 0:
                self._box.settimeout(rest)
                if not self._box.recv(1 << 16):
                    return

    def _force(self) -> None:
        """End a container that does not obey: it hangs, or is paused."""
        self._force_at = None
        state = self._state()
        self._ask("POST", f"/containers/{self._id}/kill")
        self._ask("POST", f"/containers/{self._id}/unpause")  # what is paused has not been killed yet
        if self._running:
            self._tell_end(state)

    # The engine

    def _state(self) -> dict[str, Any]:
        """What the engine says of the container, and the status of its answer: 404 for none, 0 when it is gone."""
        status, answer = self._ask("GET", f"/containers/{self._id}/json")
        try:
            state = json.loads(answer)["State"] if status == 200 else {}
        except (ValueError, KeyError):
            state = {}
        return {"Answered": status, **state}

    def _dismiss(self) -> None:
        """Make sure that the container ends, and that the engine forgets it unless it is to stay."""
        if self._id and self._keep:
            self._ask("POST", f"/containers/{self._id}/kill")
        else:
            self._remove()

    def _remove(self) -> None:
        """Have the container removed, if there is one; an engine that fails is asked again."""
        until = time.monotonic() + REMOVING
        while self._id:
            status, _ = self._ask("DELETE", f"/containers/{self._id}?force=1&v=1")
            if status == CONFLICT:  # it is being removed already
                status, _ = self._ask("POST", f"/containers/{self._id}/wait?condition=removed")
            if status in GONE or time.monotonic() > until:
                self._id = ""
            else:
                time.sleep(0.2)  # that an engine has come to itself is told by no event

    def _connect(self) -> Connection:
        return dial(self._engine, ENGINE_TIMEOUT)

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        """Ask the engine; return status (0: it does not answer) and body."""
        try:
            with self._connect() as connection:
                connection.sendall(_head(method, path))
                answer = b""
                while chunk := connection.recv(1 << 16):
                    answer += chunk
        except OSError:
            return 0, b""
        return _parsed(answer)


def _head(method: str, path: str, body: bytes = b"", *, upgrade: bool = False) -> bytes:
    version, more = ("1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n") if upgrade else ("1.0", "")
    head = f"{method} {path} HTTP/{version}\r\nHost: engine\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _parsed(answer: bytes) -> tuple[int, bytes]:
    """The status (0 where there is none) and the body of an answer of HTTP."""
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return int(head.split(None, 2)[1]), body
    except (ValueError, IndexError):
        return 0, b""


def _message(body: bytes) -> str:
    """What an engine says that refuses."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip() or "it closed the connection"


def _wait_status(state: dict[str, Any]) -> int:
    """How the kernel ended, by the exit code of its container: that of a killed one where nothing is known."""
    code = state.get("ExitCode")
    if not isinstance(code, int) or code > 128 or state.get("Running"):
        return code - 128 if isinstance(code, int) and 128 < code < 192 else 9
    return (code & 0xFF) << 8


def main(arguments: list[str]) -> None:
    """Run for the host whose process id comes first, with a directory in the first of the others that works."""
    Keeper(int(arguments[0]), arguments[1:]).run()

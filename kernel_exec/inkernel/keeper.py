"""The process between host and container: no container outlives the host that made it.

It holds the lease of the runtime directory like a supervisor, and the standard input of the container's first process
(`box.py`), which ends everything in the container when that is closed: when this process is killed, too. It knows the
name of the container before there is one, and removes it when the host is gone, or when its end does not come.

Run as `python -I -S start.py keeper HOST_PID PARENT_DIRECTORY...`. Beside the commands and events of `supervisor.py`,
which it passes on:

    from the host: {"container": {"name", "engine": path of its socket, "keep": whether it stays when it has ended}}
                   before it is created, {"created": id}, {"attach": null} before it is started,
                   {"discard": null} when it cannot be created or started,
                   {"mount": {"source", "uid", "gid"}}, {"unmount": null}
    to the host:   {"attached": true} or {"error": text}, {"mounted": path or null}
                   {"exited": ..., "container": what the engine says of its state} when it ended without a word
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from typing import Any

from .below import REST_LIMIT, STREAMS, open_fifo
from .lease import Lease
from .loop import CHANNEL, Lines, tell
from .mounts import Mounts

PATIENCE = 1.0
"""Seconds in which a container obeys that can; then the engine ends it."""
ENGINE_TIMEOUT = 10.0
CREATING = 3.0
"""Seconds in which a container may still come into being when the host is gone that asked for it."""
LINE_LIMIT = 1 << 20

SESSION_LABEL = "kernel_exec.session"
"""The label that holds the name of the runtime directory."""

_HEADER = struct.Struct(">BxxxI")
_FROM_BOX = frozenset(
    {
        *("started", "signalled", "memory", "above", "outgrown", "exited", "rest", "error", "usage", "cpu", "peak"),
        *("oom", "pids", "full", "terminated"),
    }
)
"""All that may stand in what the container tells the host. Its code is not trusted."""


class Keeper(Lease):
    """Holds the lease for one container after the other."""

    def __init__(self, host: int, parents: list[str]) -> None:
        super().__init__(host, parents)
        self._fifos = [open_fifo(self.directory, name) for name in STREAMS]
        self._engine = ""
        self._name = ""
        self._keep = False
        self._created = False
        self._running = False
        self._box: socket.socket | None = None
        self._frames = b""
        self._lines = Lines(LINE_LIMIT)
        self._said = b""
        self._force_at: float | None = None
        self._mounts = Mounts(self.directory + "-m")

    def turn(self) -> None:
        """Wait for what comes next, and see to it."""
        due = [at for at in (self.stop_at, self._force_at) if at is not None]
        self.loop.turn(min(due, default=None))
        if self._force_at is not None and time.monotonic() >= self._force_at:
            self._force()

    def busy(self) -> bool:
        """Return whether there is a kernel."""
        return self._running

    def end(self) -> None:
        """End the kernel, with its container; one whose kernel has ended is on its way out, and nobody waits for it."""
        self._mounts.remove()
        if self._running:
            self._force()

    def child_ended(self) -> None:
        """It is waited for where it is made."""

    def after(self) -> None:
        """Make sure that the container ends, and that the engine forgets it unless it is to stay."""
        os.close(CHANNEL)
        self._await_end()
        if self._name and self._keep and self._created:
            self._ask("POST", f"/containers/{self._name}/kill")
        elif self._name:
            self._remove()

    def dispatch(self, name: str, value: Any) -> None:
        """Carry out a command, or pass it on."""
        if carry_out := getattr(self, "do_" + name, None):
            carry_out(value)
        else:
            self._pass_on(name, value)

    def do_container(self, what: dict[str, Any]) -> None:
        """Hold the lease of a container that does not exist yet; the one before has had its end."""
        if self._box is not None:
            self._remove()
            self._lose_box()
        self._name, self._engine, self._keep = what["name"], what["engine"], what["keep"]
        self._created = False

    def do_created(self, number: str) -> None:
        """It exists, by this number: its name may be another's."""
        self._name, self._created = number, True

    def do_discard(self, _: object) -> None:
        """The engine has refused to create it, or to start it: what is there of it goes."""
        if self._created:
            self._remove()
        self._lose_box()
        self._name = ""

    def do_attach(self, _: object) -> None:
        """Take the descriptors of the container's first process, before it runs."""
        try:
            box = self._connect()
            query = "stream=1&stdin=1&stdout=1&stderr=1"
            box.sendall(_head("POST", f"/containers/{self._name}/attach?{query}", upgrade=True))
            received = b""
            while b"\r\n\r\n" not in received:
                chunk = box.recv(1 << 16)
                if not chunk:
                    raise OSError(0, "the engine closed the connection")
                received += chunk
            head, self._frames = received.split(b"\r\n\r\n", 1)
            status = head.split(None, 2)[1]
            if status not in (b"101", b"200"):
                raise OSError(0, f"the engine answered {status.decode()}")
        except OSError as error:
            tell({"error": f"the container cannot be attached to: {error.strerror or error}"})
            return
        box.settimeout(None)
        self._box = box
        self._lines, self._said = Lines(LINE_LIMIT), b""
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
            self._force_at = time.monotonic() + PATIENCE
            self._pass_on("kill", value)

    def do_stop(self, grace: float) -> None:
        """Give the kernel `grace` seconds to end, and the container a little longer."""
        super().do_stop(grace + PATIENCE)
        self._pass_on("stop", grace)

    def do_mount(self, what: dict[str, Any]) -> None:
        """Mount a directory once more, with the files of its owner looking as those of the container's user."""
        tell({"mounted": self._mounts.add(what["source"], what["uid"], what["gid"])})

    def do_unmount(self, _: object) -> None:
        """Take these mounts away: what a container has mounted stays there."""
        self._mounts.remove()

    # The container

    def _pass_on(self, name: str, value: Any) -> None:
        if self._box is None:
            return
        try:
            self._box.settimeout(PATIENCE)
            self._box.sendall(json.dumps({name: value}).encode() + b"\n")
            self._box.settimeout(None)
        except OSError:  # it ended meanwhile, or does not read: both are seen elsewhere
            return

    def _read_box(self) -> None:
        assert self._box is not None
        try:
            chunk = self._box.recv(1 << 16)
        except ConnectionError:
            chunk = b""
        self._frames += chunk
        try:
            self._read_frames()
        except (ValueError, RecursionError):
            chunk = b""  # no lines of ours: nothing can be done with it
            self._remove()
        if not chunk:
            self._lose_box()

    def _read_frames(self) -> None:
        """Take apart what the engine sends: pieces of two streams, each with a header."""
        while len(self._frames) >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._frames)
            if len(self._frames) < _HEADER.size + length:
                return
            data = self._frames[_HEADER.size : _HEADER.size + length]
            self._frames = self._frames[_HEADER.size + length :]
            if stream == 1:
                for line in self._lines.feed(data):
                    self._happened(json.loads(line))
            else:
                self._said = (self._said + data)[-REST_LIMIT:]

    def _happened(self, event: object) -> None:
        if not isinstance(event, dict) or not event.keys() <= _FROM_BOX:
            return
        if "exited" in event:
            self._running, self._force_at = False, None
        tell(event)

    def _lose_box(self) -> None:
        """The container has ended."""
        if self._box is None:
            return
        self.loop.unwatch(self._box.fileno())
        self._box.close()
        self._box, self._force_at = None, None
        if self._running:
            self._tell_end(self._state())

    def _tell_end(self, state: dict[str, Any]) -> None:
        """Tell that the kernel has ended, where the container has not said so."""
        self._running = False
        tell({"exited": _wait_status(state), "rest": self._rest(), "container": state})

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
        self._ask("POST", f"/containers/{self._name}/kill")
        self._ask("POST", f"/containers/{self._name}/unpause")  # what is paused has not been killed yet
        if self._running:
            self._tell_end(state)

    # The engine

    def _state(self) -> dict[str, Any]:
        """What the engine says of the container, and the status of its answer: 404 for none, 0 when it is gone."""
        status, answer = self._ask("GET", f"/containers/{self._name}/json")
        try:
            state = json.loads(answer)["State"] if status == 200 else {}
        except (ValueError, KeyError):
            state = {}
        return {"Answered": status, **state}

    def _remove(self) -> None:
        """Have the container removed. One that is being created is waited for."""
        until = time.monotonic() + CREATING
        while not self._created and time.monotonic() < until:
            if self._is_ours():
                self._created = True
            else:
                time.sleep(0.05)  # it has no event: the connection on which the host asked for it is gone
        if self._created:
            self._ask("DELETE", f"/containers/{self._name}?force=1&v=1")

    def _is_ours(self) -> bool:
        """Whether the container of that name is the one that the host asked for, and not another's before it."""
        status, answer = self._ask("GET", f"/containers/{self._name}/json")
        try:
            labels = json.loads(answer)["Config"]["Labels"] if status == 200 else {}
        except (ValueError, KeyError):
            return False
        return bool(labels.get(SESSION_LABEL) == os.path.basename(self.directory))

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ENGINE_TIMEOUT)
        try:
            connection.connect(self._engine)
        except OSError:
            connection.close()
            raise
        return connection

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        """Ask the engine; return status (0: it does not answer) and body."""
        try:
            with self._connect() as connection:
                connection.sendall(_head(method, path))
                answer = b""
                while chunk := connection.recv(1 << 16):
                    answer += chunk
            head, _, body = answer.partition(b"\r\n\r\n")
            return int(head.split(None, 2)[1]), body
        except (OSError, ValueError, IndexError):
            return 0, b""


def _head(method: str, path: str, *, upgrade: bool = False) -> bytes:
    version, more = ("1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n") if upgrade else ("1.0", "")
    return f"{method} {path} HTTP/{version}\r\nHost: engine\r\nContent-Length: 0\r\n{more}\r\n".encode()


def _wait_status(state: dict[str, Any]) -> int:
    """How the kernel ended, by the exit code of its container: that of a killed one where nothing is known."""
    code = state.get("ExitCode")
    if not isinstance(code, int) or code > 128 or state.get("Running"):
        return code - 128 if isinstance(code, int) and 128 < code < 192 else 9
    return (code & 0xFF) << 8


def main(arguments: list[str]) -> None:
    """Run for the host whose process id comes first, with a directory in the first of the others that works."""
    Keeper(int(arguments[0]), arguments[1:]).run()

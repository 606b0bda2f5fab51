"""The sockets to one kernel, on one event loop. Moves frames; what they mean is decided elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import zmq

from kernel_exec.wire import context
from kernel_exec.wire.flood import Flood
from kernel_exec.wire.long_text import LONG
from kernel_exec.wire.messages import BadMessage, Codec, Frame, Message
from kernel_exec.wire.pins import Pins

Channel = Literal["shell", "iopub", "stdin", "control"]
Buffer = bytes | memoryview

_TYPES = {"shell": zmq.DEALER, "stdin": zmq.DEALER, "control": zmq.DEALER, "iopub": zmq.SUB}
_WATCHED = frozenset({"shell", "iopub", "control"})
_BATCH = 200  # messages read before other work of the loop has its turn
_BATCH_BYTES = 2**24
_BATCH_SECONDS = 0.1
_KEPT_IDS = 32_768

MAX_FRAME = 768 * 2**20
"""Bytes of one part of a message; who announces more is cut off."""
MAX_ANSWER = 2**31
"""The same for the control channel, where values come that were asked for."""
WAITING = 1000
"""Messages that may wait to be read; then the kernel has to keep them, as our launcher makes it."""
WAITING_OTHERS = 100_000
"""The same for other kernels, which drop what they cannot send, `idle` included."""
WAITING_REQUESTS = 1000
"""Requests that may wait for a kernel that reads none; further ones are dropped, and not answered either."""


class Channels:
    """Shell, iopub, stdin and control of one kernel.

    Belongs to the event loop that it was made on; none of its methods may be called from another thread.

    Args:
        connection: the connection info of jupyter_client (transport, ip, ports, key, ...).
        on_message: called with each valid message, on the loop.
        on_bad: called with the reason for each message that was refused.
        on_lost: called with the reason when a channel is of no more use: the kernel has ended, or it must be.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        on_message: Callable[[Message], None],
        on_bad: Callable[[str], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._codec = Codec(_key(connection), connection.get("signature_scheme") or "hmac-sha256")
        self._on_message = on_message
        self._on_bad = on_bad
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._topic = uuid.uuid4().hex.encode("ascii")
        self._welcome = self._loop.create_future()
        self._info: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._info_ids: set[str] = set()
        self.seen: deque[str] = deque(maxlen=_KEPT_IDS)
        """Ids of the iopub messages since the last `execute`."""
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {}
        self._reached: asyncio.Future[None] = self._loop.create_future()
        self._pins: Pins | None = None
        self._monitors: list[zmq.Socket[bytes]] = []
        self._flood = Flood()
        self._cuts_itself = True
        self._open(connection)

    async def ready(self) -> dict[str, Any]:
        """Wait until the kernel hears us and we hear it; return its kernel_info_reply.

        A kernel that speaks protocol 5.5 welcomes a subscription (iopub_welcome); for an older one the request
        is repeated until its own status is heard. Waits for ever: the caller holds the deadline.
        """
        await asyncio.wait((self._reached,))
        interval = 0.2
        while True:
            self._info_ids.add(self.send("shell", "kernel_info_request", {}))
            await asyncio.wait((self._info,))
            done, _ = await asyncio.wait((self._welcome,), timeout=interval)
            if done:
                return self._info.result()
            interval = min(2 * interval, 2.0)

    def expect_much(self) -> None:
        """The kernel drops what it cannot send, and cuts nothing: let more wait here, and copy nothing large."""
        self._cuts_itself = False
        for socket in self._sockets.values():
            socket.rcvhwm = WAITING_OTHERS

    def send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        *,
        more_header: dict[str, Any] | None = None,
        buffers: Sequence[Buffer] = (),
    ) -> str:
        """Send a message; return its id."""
        msg_id, frames = self._codec.build(msg_type, content, more_header=more_header)
        self._send(channel, [*frames, *buffers])
        return msg_id

    def execute(
        self, code: str, cell_id: str, *, filename: str | None = None, allow_stdin: bool, begin: Callable[[str], None]
    ) -> None:
        """Send an execute_request; `begin` is called with its id before it leaves."""
        named = {} if filename is None else {"kernel_exec": {"filename": filename}}
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": allow_stdin,
            # One request is under way at a time, so nothing of ours would be aborted; nothing of others should.
            "stop_on_error": False,
        }
        msg_id, frames = self._codec.build("execute_request", content, metadata={"cellId": cell_id, **named})
        self.seen.clear()
        begin(msg_id)
        self._send("shell", frames)

    def close(self) -> None:
        """Close the sockets and drop what was not read or sent; idempotent."""
        if not self._sockets:
            return
        if not self._loop.is_closed():
            for socket in (*self._monitors, *self._sockets.values()):
                self._loop.remove_reader(socket.FD)
        self._close_sockets()
        self._welcome.cancel()
        self._info.cancel()
        if self._pins is not None:
            self._pins.close()
        context.release()

    def drain(self) -> None:
        """Read everything that has arrived, now."""
        for channel in tuple(self._sockets):
            while self._read(channel):
                pass

    def _open(self, connection: Mapping[str, Any]) -> None:
        made = context.acquire()
        try:
            for channel, kind in _TYPES.items():
                socket = self._sockets[channel] = made.socket(kind)  # type: ignore[index]
                if channel in _WATCHED:
                    self._monitors.append(socket.get_monitor_socket(zmq.EVENT_DISCONNECTED))
                self._set_up(socket, connection, channel)
            self._connect(connection)
        except BaseException:
            self._close_sockets()
            context.release()
            raise
        for channel, socket in self._sockets.items():
            self._loop.add_reader(socket.FD, self._drain_some, channel)
        for monitor in self._monitors:
            self._loop.add_reader(monitor.FD, self._disconnected, monitor)
            self._disconnected(monitor)  # only who has found nothing is told of what comes

    def _close_sockets(self) -> None:
        # The thread of zmq, which all executors share, waits for ever to tell of an end that nobody listens for.
        for socket in self._sockets.values():
            socket.disable_monitor()
        for socket in (*self._monitors, *self._sockets.values()):
            socket.close(linger=0)
        self._monitors.clear()
        self._sockets.clear()

    def _connect(self, connection: Mapping[str, Any]) -> None:
        places = {channel: _endpoint(connection, channel) for channel in self._sockets}
        if connection["transport"] != "ipc":
            for channel, place in places.items():
                self._sockets[channel].connect(place)
            self._reached.set_result(None)
            return
        paths = {Path(place.removeprefix("ipc://")): self._sockets[channel] for channel, place in places.items()}

        def connect(path: Path, address: str) -> None:
            paths.pop(path).connect(address)
            if not paths:
                self._reached.set_result(None)

        self._pins = Pins(list(paths), connect, self._on_lost)

    def _set_up(self, socket: zmq.Socket[bytes], connection: Mapping[str, Any], channel: str) -> None:
        socket.linger = 0
        # These must be set before connect.
        socket.rcvhwm = WAITING
        socket.sndhwm = WAITING_REQUESTS
        socket.maxmsgsize = MAX_ANSWER if channel == "control" else MAX_FRAME
        # The kernel may listen after we connect: the default of 100 ms would be waited for in full.
        socket.setsockopt(zmq.RECONNECT_IVL, 2)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 50)
        if curve := connection.get("curve_publickey"):
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.curve_serverkey = curve if isinstance(curve, bytes) else curve.encode("ascii")
        if channel == "iopub":
            socket.subscribe(b"")
            socket.subscribe(self._topic)
        else:
            # Requests for input are routed to the stdin socket by the identity of the shell socket.
            socket.setsockopt(zmq.IDENTITY, self._codec.session.encode("ascii"))

    def _send(self, channel: Channel, frames: Sequence[Buffer]) -> None:
        with contextlib.suppress(zmq.Again):
            self._sockets[channel].send_multipart(frames, zmq.NOBLOCK)
        # Sending may swallow the event that announces an arrival (zmq's FD tells of changes, not of states).
        self._loop.call_soon(self._drain_some, channel)

    def _drain_some(self, channel: Channel) -> None:
        size, until = 0, self._loop.time() + _BATCH_SECONDS
        for _ in range(_BATCH):
            read = self._read(channel)
            if not read:
                self._flood.ends(channel)
                return
            size += read
            if size > _BATCH_BYTES or self._loop.time() > until:
                break
        if self._flood.rises(channel):
            self.close()
            self._on_lost("it sent more than can be read, and what waited to be read was too much")
        else:
            self._loop.call_soon(self._drain_some, channel)

    def _read(self, channel: Channel) -> int:
        """Take the next message; return its size in bytes, 0 when there is none."""
        socket = self._sockets.get(channel)
        if socket is None:
            return 0
        try:
            frames = self._frames(socket)
        except zmq.Again:
            return 0
        try:
            self._take(self._codec.parse(channel, frames))
        except BadMessage as error:
            self._on_bad(str(error))
        return sum(map(len, frames)) + 1

    def _frames(self, socket: zmq.Socket[bytes]) -> Sequence[Frame]:
        if self._cuts_itself:
            return socket.recv_multipart(zmq.NOBLOCK)
        parts: Sequence[zmq.Frame] = socket.recv_multipart(zmq.NOBLOCK, copy=False)
        return [part.bytes if len(part.buffer) < LONG else part.buffer for part in parts]

    def _disconnected(self, monitor: zmq.Socket[bytes]) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                monitor.recv_multipart(zmq.NOBLOCK)
                self._on_lost(f"it closed a channel, or sent a message of more than {MAX_FRAME >> 20} MiB")

    def _take(self, message: Message) -> None:
        if message.channel == "iopub":
            self.seen.append(message.msg_id)
        if not self._welcome.done() and self._is_heard(message):
            self._welcome.set_result(None)
        if message.msg_type == "kernel_info_reply" and message.parent_id in self._info_ids:
            if not self._info.done():
                self._info.set_result(message.content)
        else:
            self._on_message(message)

    def _is_heard(self, message: Message) -> bool:
        """Does this message prove that our subscription is in force?"""
        if message.msg_type == "iopub_welcome":
            return message.content.get("subscription") == self._topic.decode("ascii")
        return message.channel == "iopub" and message.msg_type == "status" and message.parent_id in self._info_ids


def _key(connection: Mapping[str, Any]) -> bytes:
    key = connection.get("key", b"")
    return key if isinstance(key, bytes) else str(key).encode("utf-8")


def _endpoint(connection: Mapping[str, Any], channel: str) -> str:
    transport, ip, port = connection["transport"], connection["ip"], connection[f"{channel}_port"]
    return f"ipc://{ip}-{port}" if transport == "ipc" else f"{transport}://{ip}:{port}"

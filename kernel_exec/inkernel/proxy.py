"""The only way out of a container that may reach some hosts: a proxy on the host, at a socket of the container's.

The socket was made in the container, where there is no other network, and handed out (`gate.py`); who accepts there is
this process. It reads the head of each request, compares, resolves and connects itself, and then carries bytes in both
directions without a look at them, to that host alone. What it holds for the kernel is bounded: requests, connections,
and the bytes of each, for it reads no faster than it can write.

Run by a keeper as `python -I -S start.py proxy KEEPER_PID` with descriptor 0 the socket, and descriptor 1 the channel,
one JSON value a line: from the keeper a list of targets, to it what was denied, {"denied": text}. It is a process of
its own, as resolving takes as long as it takes, and a flood of requests must not hold up the keeper.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
from collections.abc import Callable

from .loop import tell
from .targets import Allowed, Denied, Target, asked, is_public, may_lead_anywhere

CHANNEL = 1
HEAD = 1 << 14
"""Bytes of the head of a request."""
HEAD_TIME = 10.0
"""Seconds in which it must come."""
CONNECT_TIME = 10.0
"""Seconds that resolving may take, and connecting to one address."""
MANY = 64
"""Connections to somewhere at a time; of those that lead nowhere, or are not answered yet, there may be as many."""
IDLE = 60.0
"""Seconds without a byte after which a connection ends of which one direction has ended."""
LINGER = 1.0
"""Seconds for a client to take an answer: who closes before the client has sent all takes it away again."""
CHUNK = 1 << 16
TOLD = 100
"""Targets of which the host hears that they were denied."""
_PR_SET_PDEATHSIG = 1

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Serves one container.

    Args:
        allowed: what may be reached.
        report: told of each target that is denied, once.
    """

    def __init__(self, allowed: Allowed, report: Callable[[str], None]) -> None:
        self._allowed, self._report = allowed, report
        self._told: set[str] = set()
        self._count = 0
        self._room = asyncio.Semaphore(MANY)

    async def serve(self, listener: socket.socket) -> None:
        """Serve for ever."""
        server = await asyncio.start_server(self._came, sock=listener, limit=HEAD)
        await server.serve_forever()

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        try:
            if self._count <= 2 * MANY:
                await self._attend(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            _cut(writer)
        finally:
            await _hang_up(writer)
            self._count -= 1

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = asked(await _head(reader))
            self._check(target)
            async with self._room:
                await self._pass(target, reader, writer)
        except Denied as denied:
            await _answer(denied, reader, writer)

    def _check(self, target: Target) -> None:
        if target not in self._allowed:
            self._tell(str(target))
            raise Denied(
                403,
                f"{target} is not allowed: DockerKernel(network=[...]) lists the hosts that this kernel may reach; "
                f"add '{target}' there",
            )
        if self._room.locked():
            raise Denied(503, f"more than {MANY} connections at a time are not allowed; close some")

    async def _pass(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await self._connect(target)
        try:
            if target.head:
                there[1].write(target.head)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _carry((reader, writer), there)
        except OSError:
            _cut(there[1])
            raise
        finally:
            await _hang_up(there[1])

    async def _connect(self, target: Target) -> Streams:
        """Connect to what is asked for.

        Raises:
            Denied: it does not answer, or its name leads inside.
        """
        failed = Denied(502, f"{target} cannot be reached: its name is not known")
        for address in await self._addresses(target):
            try:
                return await asyncio.wait_for(asyncio.open_connection(address, target.port), CONNECT_TIME)
            except asyncio.TimeoutError:
                failed = Denied(504, f"{target} does not answer")
            except OSError as error:
                failed = Denied(502, f"{target} cannot be reached: {_reason(error)}")
        raise failed

    async def _addresses(self, target: Target) -> list[str]:
        """Where to connect to. A name is looked up once: what is judged is what is connected to."""
        loop = asyncio.get_running_loop()
        looking = loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        try:
            found = [str(where[0]) for *_, where in await asyncio.wait_for(looking, CONNECT_TIME)]
        except asyncio.TimeoutError:
            raise Denied(504, f"{target} cannot be reached: its name was not resolved in time") from None
        except (OSError, UnicodeError):
            return []
        if may_lead_anywhere(target.host):
            return found
        public = [address for address in found if is_public(address)]
        if found and not public:
            self._tell(f"{target} at {found[0]}")
            raise Denied(
                403,
                f"{target} is not allowed: its name leads to no public address; if that is meant, "
                f"list the address itself in DockerKernel(network=[...])",
            )
        return public

    def _tell(self, denied: str) -> None:
        if denied not in self._told and len(self._told) < TOLD:
            self._told.add(denied)
            self._report(denied)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "nothing is there"


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_TIME)
    except asyncio.LimitOverrunError:
        raise Denied(431, f"the head of the request has more than {HEAD} bytes") from None
    except asyncio.TimeoutError:
        raise Denied(408, f"the head of the request did not come within {HEAD_TIME:g} s") from None


async def _answer(denied: Denied, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = f"{denied}\n".encode("ascii", "replace")
    head = f"HTTP/1.1 {denied.status} {denied}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode("ascii", "replace") + body)
    writer.write_eof()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_skip(reader), LINGER)


async def _skip(reader: asyncio.StreamReader) -> None:
    while await reader.read(CHUNK):
        pass


async def _carry(one: Streams, other: Streams) -> None:
    """Carry bytes in both directions, until both have ended.

    Raises:
        OSError: one of them was cut.
    """
    moved = 0

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal moved
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
            moved += 1
        writer.write_eof()

    ways = [asyncio.ensure_future(carry(one[0], other[1])), asyncio.ensure_future(carry(other[0], one[1]))]
    try:
        done, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        before = -1
        while rest and moved != before and not any(way.exception() for way in done):
            before = moved
            more, rest = await asyncio.wait(rest, timeout=IDLE)
            done |= more
        for way in done:
            way.result()
        if rest:
            raise ConnectionAbortedError
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


def _cut(writer: asyncio.StreamWriter) -> None:
    """Cut a connection whose other half was cut: its end would be taken for that of what was on its way."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close, when what was written has been taken; who does not take it loses it."""
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), IDLE)
    except (OSError, asyncio.TimeoutError):
        writer.transport.abort()


def main(arguments: list[str]) -> None:
    """Serve as long as the keeper lives whose process id is the only argument."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(arguments[0]):
        return
    with open(CHANNEL, encoding="utf-8", closefd=False) as channel:
        allowed = Allowed(json.loads(channel.readline()))
    proxy = Proxy(allowed, lambda text: tell({"denied": text}, CHANNEL))
    asyncio.run(proxy.serve(socket.socket(fileno=0)))

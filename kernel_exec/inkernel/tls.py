"""A connection with TLS, on descriptors 0 and 1: `python -I -S start.py tls HOST PORT CA CERTIFICATE KEY`.

A process of its own, so that an engine behind TLS is a socket like any other for everybody else. An empty name stands
for a file that there is not; the engine's certificate is always checked.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import sys

TIMEOUT = 10.0
_CHUNK = 1 << 16
_FULL = 1 << 18


def main(arguments: list[str]) -> None:
    """Connect, and carry what comes from either side to the other."""
    host, port, authority, certificate, key = arguments
    try:
        context = ssl.create_default_context(cafile=authority or None)
        if certificate:
            context.load_cert_chain(certificate, key or None)
        plain = socket.create_connection((host, int(port)), TIMEOUT)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
        far = context.wrap_socket(plain, server_hostname=host)
    except (OSError, ValueError) as error:
        sys.exit(f"{host}:{port}: {error}")
    try:
        _carry(socket.socket(fileno=0), far)
    except OSError as error:
        sys.exit(str(error))


def _carry(near: socket.socket, far: ssl.SSLSocket) -> None:
    # The end of one direction is not that of the other, and TLS has no such thing: the socket below does.
    below = socket.socket(fileno=os.dup(far.fileno()))
    near.settimeout(0)
    far.settimeout(0)
    outward, inward = bytearray(), bytearray()
    near_open = far_open = True
    told = False
    while far_open or inward:
        reading = [near] * (near_open and len(outward) < _FULL) + [far] * (far_open and len(inward) < _FULL)
        writing = [near] * bool(inward) + [far] * bool(outward)
        ready, _, _ = select.select(reading, writing, [], 0 if far_open and far.pending() else None)
        if near in ready and not (chunk := near.recv(_CHUNK)):
            near_open = False
        elif near in ready:
            outward += chunk
        if far_open and len(inward) < _FULL:
            received = _received(far)
            far_open = received != b""
            inward += received or b""
        if outward:
            del outward[: _sent(far, outward)]
        if inward:
            del inward[: _sent(near, inward)]
        if not near_open and not outward and not told:
            told = True
            below.shutdown(socket.SHUT_WR)


def _received(far: ssl.SSLSocket) -> bytes | None:
    try:
        return far.recv(_CHUNK)
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    except ssl.SSLEOFError:
        return b""


def _sent(to: socket.socket, data: bytearray) -> int:
    try:
        return to.send(data)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0

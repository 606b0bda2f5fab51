"""An engine's socket with somebody in between, who may hold up a request or answer it himself."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator

ENGINE = "/var/run/docker.sock"

Meddle = Callable[[str], bytes | None]
"""Called with the first line of each request, which waits for it; what it returns is the answer, None for the engine's
own."""


@contextlib.contextmanager
def forwarder(meddle: Meddle, hold: Callable[[str], object] = len) -> Iterator[str]:
    """An address at which the engine answers, as DOCKER_HOST has it; each answer waits for `hold`."""
    # The name of a socket may not be longer than 107 bytes, as the directory of a test is.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path := f"{folder}/engine")
        listener.listen(64)

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:  # it was closed
                    return
                threading.Thread(target=_forward, args=(client, meddle, hold), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"unix://{path}"
        listener.shutdown(socket.SHUT_RDWR)


def _forward(client: socket.socket, meddle: Meddle, hold: Callable[[str], object]) -> None:
    with client, socket.socket(socket.AF_UNIX) as engine:
        engine.connect(ENGINE)
        request = client.recv(1 << 16)
        line = request.partition(b"\r\n")[0].decode()
        answer = meddle(line)
        if answer is not None:
            client.sendall(answer)
            return
        engine.sendall(request)
        there = threading.Thread(target=_copy, args=(client, engine), daemon=True)
        there.start()
        hold(line)
        _copy(engine, client)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        there.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)

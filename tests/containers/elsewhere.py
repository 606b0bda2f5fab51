"""An engine that is elsewhere: `python elsewhere.py [CA CERTIFICATE KEY]` forwards a port to the engine's socket.

A process of its own: threads of the test's would take their turns with what they are to test. It prints the port, and
ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENGINE = "/var/run/docker.sock"


@contextmanager
def elsewhere(*files: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The port at which the engine answers, and the process without which it does not."""
    command = [sys.executable, __file__, *map(str, files)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


async def _main(files: list[str]) -> None:
    context = None
    if files:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files[0])
        context.load_cert_chain(files[1], files[2])
        context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(_forward, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(os.read, 0, 1)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    engine_reader, engine_writer = await asyncio.open_unix_connection(ENGINE)
    there = asyncio.ensure_future(_copy(reader, engine_writer))
    await _copy(engine_reader, writer)
    writer.close()
    there.cancel()
    engine_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:  # the other side has seen the end before
        writer.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))

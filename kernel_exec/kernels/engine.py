"""A container engine with Docker's HTTP API: Docker, Podman. https://docs.docker.com/engine/api/

Only what the way of a kernel needs, and without the docker package, whose import alone takes a third of a start; images
are pulled with that. HTTP 1.0, one connection a request: the answer ends with the connection, whatever the engine.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from kernel_exec.errors import EngineError, EngineUnavailable, InvalidArgument
from kernel_exec.inkernel.dial import Connection, dial
from kernel_exec.kernels.link import START
from kernel_exec.settings import MIB

TIMEOUT = 10.0
"""Seconds in which an engine that is well answers anything but the making of a container."""
_SSH = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15")
MANY = 64 * MIB
"""Bytes of an answer beyond which it is none."""

_GET_ONE = "start one, such as dockerd, or name it in DOCKER_HOST; `kernel-exec doctor` tells more"


class Engine:
    """One engine, by its address. Holds no connection.

    Args:
        url: such as unix:///var/run/docker.sock, as DOCKER_HOST has it.
        tls: folder with ca.pem, cert.pem and key.pem for an engine behind TLS; None for one without.

    Attributes:
        url: the address.
        address: the same as `inkernel/dial.py` takes it.
        is_podman: whether its last answer was one of Podman's, which lacks some of Docker's options.

    Raises:
        InvalidArgument: an address of a kind that is not understood.
    """

    def __init__(self, url: str, tls: Path | None = None) -> None:
        self.url = url
        self.address = _address(url, tls)
        self.is_podman = False

    @classmethod
    def find(cls) -> Engine:
        """Return the engine that the docker command would use, or the first whose socket is there.

        Raises:
            EngineUnavailable: there is none.
            InvalidArgument: DOCKER_HOST, or the current context of docker, has an address that is not understood.
        """
        if chosen := os.environ.get("DOCKER_HOST"):
            return cls(chosen, _certificates())
        if context := _context():
            return cls(*context)
        for path in _sockets():
            if path.is_socket():
                return cls(f"unix://{path}")
        raise EngineUnavailable(f"no container engine was found: {_GET_ONE}")

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, timeout: float = TIMEOUT) -> Any:
        """Send a request; return the answer's JSON, None when it has none.

        Args:
            method: of HTTP.
            path: and query, without a version: the engine takes its newest.
            body: sent as JSON.
            timeout: seconds until the answer must be there.

        Raises:
            EngineError: the engine refuses.
            EngineUnavailable: it does not answer, or not in time.
        """
        sent = b"" if body is None else json.dumps(body).encode()
        answer = await self.read(method, path, sent, timeout=timeout)
        return json.loads(answer) if answer.strip() else None

    async def read(self, method: str, path: str, body: bytes | BinaryIO = b"", *, timeout: float = TIMEOUT) -> bytes:
        """Send a request; return the answer as it comes.

        Args:
            method: of HTTP.
            path: and query.
            body: JSON, or an archive in a file.
            timeout: seconds until the answer must be there.

        Raises:
            EngineError: the engine refuses.
            EngineUnavailable: it does not answer, or not in time.
        """
        try:
            async with asyncio.timeout(timeout):
                status, answer = await self._exchange(method, path, body)
        except TimeoutError as error:
            raise EngineUnavailable(f"the engine at {self.url} did not answer within {timeout:g} s") from error
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else error
            raise EngineUnavailable(f"the engine at {self.url} does not answer ({reason}): {_GET_ONE}") from error
        if status >= 400:
            raise EngineError(_message(answer), status)
        return answer

    async def _exchange(self, method: str, path: str, body: bytes | BinaryIO) -> tuple[int, bytes]:
        file = io.BytesIO(body) if isinstance(body, bytes) else body
        kind = "application/json" if isinstance(body, bytes) else "application/x-tar"
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        reader, writer, connection = await self._connect()
        try:
            head = f"{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
            writer.write(head.encode())
            while data := file.read(MIB):
                writer.write(data)
                await writer.drain()
            status = int((await reader.readline()).split()[1])
            while header := (await reader.readline()).strip().lower():
                self.is_podman = self.is_podman or header.startswith(b"libpod-api-version")
            chunks = []
            room = MANY
            while chunk := await reader.read(2**16):
                chunks.append(chunk)
                room -= len(chunk)
                if room < 0:
                    raise ValueError(f"an answer of more than {MANY} bytes")
            return status, b"".join(chunks)
        except (IndexError, OSError) as error:
            if connection is not None and connection.why:
                raise ValueError(connection.why) from error
            if isinstance(error, OSError):
                raise
            raise ValueError("it does not speak HTTP") from None
        finally:
            writer.close()
            if connection is not None:
                connection.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Connection | None]:
        kind, *where = self.address
        if kind == "unix":
            return *await asyncio.open_unix_connection(where[0]), None
        if kind == "tcp":
            return *await asyncio.open_connection(where[0], int(where[1])), None
        connection = dial(self.address, TIMEOUT)
        connection.settimeout(0)
        # The transport closes a socket of its own.
        return *await asyncio.open_connection(sock=connection.dup()), connection


def _address(url: str, tls: Path | None) -> tuple[str, ...]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme == "unix" and parts.path:
        return "unix", parts.path
    if parts.scheme == "tcp" and parts.hostname and port != -1:
        where = (parts.hostname, str(port or (2376 if tls else 2375)))
        return ("tcp", *where) if tls is None else ("command", sys.executable, "-I", *_through_tls(*where, tls))
    if parts.scheme == "ssh" and parts.hostname and not parts.password and port != -1:
        who = ("-l", parts.username) if parts.username else ()
        place = ("-p", str(port)) if port else ()
        return "command", *_SSH, *who, *place, "--", parts.hostname, "docker", "system", "dial-stdio"
    raise InvalidArgument(
        f"the engine's address {url!r} is not understood: name unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST"
    )


def _through_tls(host: str, port: str, folder: Path) -> list[str]:
    files = [str(path) if path.exists() else "" for path in (folder / f"{name}.pem" for name in ("ca", "cert", "key"))]
    return ["-S", str(START), "tls", host, port, *files]


def _certificates() -> Path | None:
    """Where the certificates for DOCKER_HOST are; None where TLS is not asked for."""
    folder = os.environ.get("DOCKER_CERT_PATH")
    if not folder and not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    return Path(folder or os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker").absolute()


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode("utf-8", "replace").strip()


def _context() -> tuple[str, Path | None] | None:
    """Address and certificates in the context that the docker command uses, where it is not the default one."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))
    name = os.environ.get("DOCKER_CONTEXT") or _current(folder / "config.json")
    if name in {"", "default"}:
        return None
    place = hashlib.sha256(name.encode()).hexdigest()
    about = folder / "contexts" / "meta" / place / "meta.json"
    tls = folder / "contexts" / "tls" / place / "docker"
    try:
        return str(json.loads(about.read_bytes())["Endpoints"]["docker"]["Host"]), tls if tls.is_dir() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(
            f"docker's context {name!r} was chosen and has no address: `docker context ls` shows those there are, "
            f"`docker context use` and DOCKER_CONTEXT choose another, DOCKER_HOST an engine without any"
        ) from error


def _current(config: Path) -> str:
    """The context that docker's configuration names; "" for none, also where docker itself would not understand it."""
    try:
        return str(json.loads(config.read_bytes()).get("currentContext") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _sockets() -> Iterator[Path]:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    yield from (Path("/var/run/docker.sock"), runtime / "docker.sock")
    yield from (Path("/run/podman/podman.sock"), runtime / "podman" / "podman.sock")

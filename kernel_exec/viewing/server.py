"""Serves a live page on this machine, to whoever has its address and to nobody else."""

from __future__ import annotations

import hmac
import http.server
import secrets
import socket
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kernel_exec.pages.document import POLICY
from kernel_exec.viewing.live import Live, message, policy_of

HOST = "127.0.0.1"
MAX_CONNECTIONS = 32
_PATIENCE = 20.0
"""Seconds that a browser may take to send a request, or to take what it is sent."""
_BEAT = 5.0
"""Seconds after which somebody who waits is sent a line, to see whether they are still there."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Server(http.server.ThreadingHTTPServer):
    """Serves one session.

    Args:
        notebook: the notebook; it need not be there yet.
        port: where to listen on 127.0.0.1; 0 for any port that is free.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, notebook: Path, port: int = 0) -> None:
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.token = secrets.token_urlsafe(32)
        self.live = Live(notebook.absolute())
        super().__init__((HOST, port), _Handler)  # which closes all of it, when the port is taken

    @property
    def url(self) -> str:
        """The address of the page; whoever knows it can see the session."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    @property
    def names(self) -> tuple[str, ...]:
        """What the page's host may be called: a name that somebody else made lead here is none."""
        return (f"{HOST}:{self.server_port}", f"localhost:{self.server_port}")

    def server_close(self) -> None:
        """End it, and everybody's connection."""
        super().server_close()
        self.live.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a request in a thread of its own, while there is room for one (a hook of `socketserver`)."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a request (a hook of `socketserver`)."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of browsers that went away (a hook of `socketserver`)."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "kernel-exec", ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Answer: the page, or what changes of it."""
        address = urlsplit(self.path)
        _, token, *rest = [*address.path.split("/"), ""]
        if self.headers.get("Host", "") not in self.server.names:
            self._send(HTTPStatus.FORBIDDEN, message("Forbidden", "This is not the name of this server."))
        elif not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            self._send(HTTPStatus.FORBIDDEN, message("Forbidden", "The address has a token, which `view` has printed."))
        elif rest == ["events", ""]:
            self._events(parse_qs(address.query).get("seen", [""])[0])
        elif rest == ["", ""]:
            nonce = secrets.token_hex(16)
            self._send(HTTPStatus.OK, self.server.live.page(nonce), policy_of(nonce))
        else:
            self._send(HTTPStatus.NOT_FOUND, message("Not found", "There is only one page here."))

    def log_message(self, *args: Any) -> None:
        """Write no log: it would have the token in it."""

    def _send(self, status: HTTPStatus, text: str, policy: str = POLICY) -> None:
        data = text.encode("utf-8", "replace")
        more = {"Content-Length": str(len(data)), "Content-Security-Policy": policy}
        self._head(status, "text/html; charset=utf-8", more)
        self.wfile.write(data)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _events(self, seen: str) -> None:
        """Tell of each change, until the browser goes away (https://html.spec.whatwg.org/#server-sent-events)."""
        last = self.headers.get("Last-Event-ID", seen)
        version = int(last) if last.isascii() and last.isdigit() and len(last) < 12 else -1
        self._head(HTTPStatus.OK, "text/event-stream", {})
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wfile.write(b"retry: 1000\n\n")
        live = self.server.live
        while not live.ended:
            if (found := live.wait(version, _BEAT)) is None:
                self.wfile.write(b": still here\n\n")
            else:
                version, update = found
                self.wfile.write(f"id: {version}\ndata: {update}\n\n".encode())

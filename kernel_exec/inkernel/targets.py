"""What a request to the proxy asks for, and whether that is allowed. Pure.

Nothing is believed of a request: it comes from the kernel's code. https://www.rfc-editor.org/rfc/rfc9112#section-3.2
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

HTTP = 80

_REQUEST = re.compile(rb"([A-Z]{1,20}) ([!-~]+) (HTTP/1\.[01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t -~\x80-\xff]*")
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::([0-9]{1,5}))?")
_URI = re.compile(r"http://([^/?#]*)(/[^#]*|\?[^#]*|)", re.IGNORECASE)
_OURS = frozenset({b"host", b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"upgrade"})
"""Fields that are between a client and its proxy, and the one that must say what the request's URI says."""
_MAPPED, _NAT64 = ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST, _6TO4 = ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("2002::/16")


class Denied(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        why: a line of ASCII; all that most clients show of it is the first line of the answer, so it stands there.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Target(NamedTuple):
    """What a request asks for.

    Attributes:
        host: a name in lower case, or an address in its one form.
        port: of TCP.
        head: what is sent there first; empty for a tunnel.
    """

    host: str
    port: int
    head: bytes

    def __str__(self) -> str:
        return f"{_shown(self.host)}:{self.port}"


def asked(head: bytes) -> Target:
    """Return what is asked for in the head of a request, which ends with an empty line.

    Raises:
        Denied: it is nothing that a proxy is asked for, or can be understood in two ways.
    """
    first, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    names = [match and match[1].lower() for match in map(_FIELD.fullmatch, fields)]
    if request is None or None in names:
        raise Denied(400, "this is no request of HTTP/1.1")
    method, uri, version = request.groups()
    if method == b"CONNECT":
        return Target(*_authority(uri.decode(), None), b"")
    match = _URI.fullmatch(uri.decode())
    if match is None:
        raise Denied(400, "this is a proxy: it takes CONNECT host:port, and requests for http://host/...")
    host, port = _authority(match[1], HTTP)
    shown = _shown(host) if port == HTTP else f"{_shown(host)}:{port}"
    path = match[2] if match[2].startswith("/") else "/" + match[2]
    kept = [field for name, field in zip(names, fields, strict=True) if name not in _OURS]
    lines = [b"%s %s %s" % (method, path.encode(), version), b"Host: " + shown.encode(), *kept, b"Connection: close"]
    return Target(host, port, b"\r\n".join(lines) + b"\r\n\r\n")


class Allowed:
    """A list of hosts and ports.

    Args:
        targets: "host:port" or "*.domain:port", as `kernels/allowed.py` makes them.
    """

    def __init__(self, targets: Iterable[str]) -> None:
        self._targets = frozenset(targets)

    def __contains__(self, target: Target) -> bool:
        labels = target.host.split(".")
        above = ("*." + ".".join(labels[start:]) for start in range(1, len(labels)))
        return any(f"{host}:{target.port}" in self._targets for host in (_shown(target.host), *above))


def may_lead_anywhere(host: str) -> bool:
    """Whether whoever listed a host has named the place itself: it is an address, or this machine."""
    return host == "localhost" or _address(host) is not None


def is_public(address: str) -> bool:
    """Whether an address is of the internet, not of this machine, its networks, or what serves its cloud's secrets."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _MAPPED or found in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        return found.is_global and found in _UNICAST and found not in _6TO4
    return found.is_global and not found.is_multicast


def _authority(text: str, port: int | None) -> tuple[str, int]:
    """Host and port; nothing may stand beside them, neither a user nor a password."""
    match = _AUTHORITY.fullmatch(text.lower())
    if match is None:
        raise Denied(400, "the host that is asked for is none")
    given = int(match[3]) if match[3] else port
    host = _address(match[1]) if match[1] else match[2]
    if host is None or given is None or not 0 < given < 2**16:
        raise Denied(400, "the host or the port that is asked for is none")
    return host, given


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host

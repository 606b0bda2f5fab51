"""What makes a session give the same results again: seeds, and no network."""

from __future__ import annotations

import ipaddress
import random
import sys
from collections.abc import Callable
from typing import Any

SEED_VARIABLE = "KERNEL_EXEC_SEED"
OFFLINE_VARIABLE = "KERNEL_EXEC_OFFLINE"
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"})
_SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


class Offline(ConnectionRefusedError):
    """The session may not use the network, so that its results do not depend on what answers there."""


def seed(number: int) -> dict[str, Callable[[Any], None]]:
    """Seed Python's own generator; return what is to be done with libraries when they are imported."""
    random.seed(number)
    return {
        "matplotlib": lambda module: module.rcParams.update({"svg.hashsalt": str(number)}),
        "numpy.random": lambda module: module.seed(number % 2**32),
        "torch": lambda module: module.manual_seed(number),
        "tensorflow": lambda module: module.random.set_seed(number),
    }


def stay_offline() -> None:
    """Refuse connections and look-ups that lead away from this machine, for good: no code can remove the hook."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _SENDS and len(arguments) > 1:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) and address else None
    elif event in _LOOKUPS:
        host = arguments[0] if arguments else None
    else:
        return
    if isinstance(host, tuple):
        host = host[0]
    if host is not None and not _is_here(host):
        name = host.decode("utf-8", "replace") if isinstance(host, bytes) else host
        raise Offline(
            f"this session is offline, so that its results do not depend on what answers: {name!s} cannot be reached; "
            f"bring what is needed in as a file"
        )


def _is_here(host: Any) -> bool:
    """Whether a host is this machine itself; "" is what a server listens on."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if text.lower().rstrip(".") in ("", "localhost", "ip6-localhost"):
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False

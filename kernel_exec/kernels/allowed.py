"""The hosts that a container may reach, as callers write them: "host", "host:port", "*.domain", addresses. Pure.

What holds the kernel to them is on the host (`inkernel/proxy.py`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from kernel_exec.errors import InvalidArgument, WrongType

PROXY_PORT = 3128
"""Where the way out is inside."""
PORTS = (443, 80)
"""Those of a host that is written without one."""
MANY = 500

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}$)(\*\.)?{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BRACKETS = re.compile(r"\[(.*)\](?::(.*))?")


def checked_network(network: object) -> str | tuple[str, ...]:
    """Return the name of a network as it is, and a list of hosts in the form that is compared.

    Raises:
        InvalidArgument, WrongType: nobody can be allowed by that.
    """
    if isinstance(network, str):
        if not network or "\0" in network:
            raise InvalidArgument("network must not be empty, nor have nulls")
        return network
    if isinstance(network, bytes) or not isinstance(network, Sequence):
        raise WrongType(f"network must be a string, or a list of hosts, not {type(network).__name__}")
    if not network or len(network) > MANY:
        what = "is an empty list" if not network else f"has {len(network)} hosts, more than {MANY}"
        raise InvalidArgument(f"network {what}: network='none' allows none, network='bridge' all")
    return tuple(dict.fromkeys(map(_checked, network)))


def engine_network(network: str | Sequence[str]) -> str:
    """Return what the engine is asked for: with a list none at all, for there is another way out."""
    return network if isinstance(network, str) else "none"


def targets(network: str | Sequence[str]) -> list[str]:
    """Return every host and port of a checked list, as "host:port"; none for a network's name."""
    if isinstance(network, str):
        return []
    return [target for entry in network for target in ([entry] if _has_port(entry) else _with_ports(entry))]


def variables(network: str | Sequence[str]) -> dict[str, str]:
    """Return the variables by which libraries and programs find the way out; none where there is no list."""
    if isinstance(network, str):
        return {}
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    listed = {target.rpartition(":")[0] for target in targets(network)}
    own = ",".join(host for host in ("localhost", "127.0.0.1", "[::1]") if host not in listed)
    upper = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": own.replace("[::1]", "::1")}
    return {**upper, **{name.lower(): value for name, value in upper.items()}}


def _checked(entry: object) -> str:
    if not isinstance(entry, str):
        raise WrongType(f"network must list strings, but has {entry!r}")
    host, port = _split(entry)
    shown = f"network has {entry!r}"
    if "/" in entry or "@" in entry:
        raise InvalidArgument(f"{shown}, which is a URL or a range: write the host only, such as 'pypi.org'")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
        raise InvalidArgument(f"{shown}, and {port!r} is no port")
    host = _address(host) or _name(host, shown)
    return host if port is None else f"{host}:{int(port)}"


def _split(entry: str) -> tuple[str, str | None]:
    """Host and port of an entry, whatever they are."""
    if match := _BRACKETS.fullmatch(entry):
        return match[1], match[2]
    if entry.count(":") != 1:
        return entry, None
    host, _, port = entry.partition(":")
    return host, port


def _address(host: str) -> str | None:
    """An address in its one form, that of version 6 in brackets; None for what is none."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return str(address) if address.version == 4 else f"[{address}]" if "%" not in host else None


def _name(host: str, shown: str) -> str:
    name = host.lower().removesuffix(".")
    if "*" in name.removeprefix("*."):
        raise InvalidArgument(f"{shown}: '*.' may stand at its beginning only, as in '*.example.org', for sub-domains")
    if not _NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise InvalidArgument(
            f"{shown}, which is no host: write a name, 'name:port', '*.domain', or an address; what is not "
            f"ASCII in the form 'xn--...'"
        )
    return name


def _has_port(entry: str) -> bool:
    return ":" in entry.rpartition("]")[2]


def _with_ports(host: str) -> list[str]:
    return [f"{host}:{port}" for port in PORTS]

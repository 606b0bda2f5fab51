"""What a proxy is asked for, by text alone; and where a name may lead."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from kernel_exec.inkernel import proxy
from kernel_exec.inkernel.proxy import Proxy
from kernel_exec.inkernel.targets import Allowed, Denied, Target, asked, is_public

LIST = Allowed(["example.com:443", "example.com:80", "*.example.org:443", "192.0.2.7:443", "[2001:db8::1]:443"])


def connect(authority: str) -> Target:
    return asked(f"CONNECT {authority} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.mark.parametrize(
    "authority",
    [
        *("example.com:443", "EXAMPLE.com:443", "example.com.:443", "example.com:0443", "example.com:80"),
        *("a.example.org:443", "a.b.example.org:443", "192.0.2.7:443", "[2001:db8::1]:443", "[2001:DB8:0:0::1]:443"),
    ],
)
def test_allowed(authority: str) -> None:
    assert connect(authority) in LIST


@pytest.mark.parametrize(
    "authority",
    [
        *("example.com:8443", "xexample.com:443", "example.com.evil.net:443", "com:443", "www.example.com:443"),
        *("example.org:443", "xexample.org:443", "a.example.org:80", "example.org.evil.net:443"),
        *("192.0.2.8:443", "192.0.2.7:80", "[2001:db8::2]:443", "[::ffff:192.0.2.7]:443", "3221225991:443"),
        *("0xc0000207:443", "192.0.519:443", "192.0.2.07:443"),
    ],
)
def test_not_allowed(authority: str) -> None:
    assert connect(authority) not in LIST


@pytest.mark.parametrize(
    "authority",
    [
        *("example.com", "example.com:", "example.com:0", "example.com:65536", "example.com:443443", "example.com:-1"),
        *(
            "example.com:+443",
            "example.com: 443",
            "example.com:٤٤٣",
            "example.com:443:443",
            ":443",
            "example.com..:443",
        ),
        *(
            "a..example.org:443",
            ".example.org:443",
            "*.example.org:443",
            "user@example.com:443",
            "example.com:443@evil:443",
        ),
        *("example.com:443/evil", "example.com\\@evil:443", "example.com%2eevil:443", "example.com\t:443"),
        *("2001:db8::1:443", "[2001:db8::1%lo]:443", "[2001:db8::1", "[]:443", "[example.com]:443", "[192.0.2.7]x:443"),
        *("http://example.com:443", "example.com:443#", "exаmple.com:443", "example.com\0:443"),
    ],
)
def test_no_target(authority: str) -> None:
    with pytest.raises(Denied) as caught:
        connect(authority)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://Example.COM/a?b=c", (b"GET /a?b=c HTTP/1.1", b"Host: example.com")),
        ("HTTP://example.com.", (b"GET / HTTP/1.1", b"Host: example.com")),
        ("http://example.com:8080?x", (b"GET /?x HTTP/1.1", b"Host: example.com:8080")),
        ("http://[2001:DB8::1]/", (b"GET / HTTP/1.1", b"Host: [2001:db8::1]")),
        ("http://example.com/http://evil.net/", (b"GET /http://evil.net/ HTTP/1.1", b"Host: example.com")),
    ],
)
def test_what_is_sent_on(uri: str, expected: tuple[bytes, bytes]) -> None:
    fields = b"Host: evil.net\r\nHOST:evil.org\r\nProxy-Authorization: x\r\nConnection: keep-alive\r\nX-Kept: yes\r\n"
    target = asked(b"GET " + uri.encode() + b" HTTP/1.1\r\n" + fields + b"\r\n")
    assert target.head == b"\r\n".join([*expected, b"X-Kept: yes", b"Connection: close", b"", b""])


@pytest.mark.parametrize(
    "head",
    [
        *(
            b"GET / HTTP/1.1",
            b"GET https://example.com/ HTTP/1.1",
            b"GET ftp://example.com/ HTTP/1.1",
            b"nonsense",
            b"",
        ),
        *(b"GET http://user@example.com/ HTTP/1.1", b"GET http://u:p@example.com/ HTTP/1.1", b"GET http:/// HTTP/1.1"),
        *(b"GET http://example.com\\@evil/ HTTP/1.1", b"GET http://example.com#@evil/ HTTP/1.1"),
        *(
            b"GET http://example.com/ HTTP/2.0",
            b"GET  http://example.com/ HTTP/1.1",
            b"get http://example.com/ HTTP/1.1",
        ),
        *(b"GET http://example.com/ HTTP/1.1\r\nno field", b"GET http://example.com/ HTTP/1.1\r\nHost : evil"),
        *(b"GET http://example.com/ HTTP/1.1\r\nX: y\r\n folded", b"GET http://example.com/ HTTP/1.1\nHost: evil"),
        *(b"GET http://example.com/ HTTP/1.1\r\nX: a\nHost: b", b"GET http://example.com/ HTTP/1.1\r\nX: a\rHost: b"),
        *(b"GET http://example.com/ HTTP/1.1\r\nX: \0", b"CONNECT example.com:443 HTTP/1.1\r\n: x"),
        *(b"\r\nGET http://example.com/ HTTP/1.1", b"GET http://ex\xc3\xa4mple.com/ HTTP/1.1"),
    ],
)
def test_no_request(head: bytes) -> None:
    with pytest.raises(Denied) as caught:
        asked(head + b"\r\n\r\n")
    assert caught.value.status == 400


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.17.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
        ),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1", "2002:7f00:1::"),
        *("2001::1", "2001:db8::1", "100::1"),
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


class Names:
    """Resolves to what it is told, and notes what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._resolve, raising=False)

    async def _resolve(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self._answers.pop(0)]


async def test_a_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is looked up once: the second answer, for which a rebinding name server waits, is never asked for."""
    told: list[str] = []
    for address in ("127.0.0.1", "169.254.169.254", "10.1.2.3", "fd00::1"):
        names = Names(monkeypatch, [address], ["1.1.1.1"])
        with pytest.raises(Denied, match="no public address") as caught:
            await Proxy(LIST, told.append)._connect(Target("example.com", 443, b""))
        assert caught.value.status == 403
        assert names.asked == ["example.com"]
    assert told[1] == "example.com:443 at 169.254.169.254"


async def test_of_several_addresses_only_the_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["127.0.0.1", "1.1.1.1", "10.0.0.1"])
    tried: list[tuple[str, int]] = []

    async def refuse(host: str, port: int) -> None:
        tried.append((host, port))
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    with pytest.raises(Denied, match="Connection refused"):
        await Proxy(LIST, print)._connect(Target("example.com", 443, b""))
    assert tried == [("1.1.1.1", 443)]


async def test_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "HEAD_TIME", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.ensure_future(Proxy(LIST, print).serve(listener))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        for _ in range(3):
            writer.write(b"CONNECT ")
            await asyncio.sleep(0.05)
        assert b" 408 " in await reader.read()
        writer.close()
        await writer.wait_closed()
        serving.cancel()

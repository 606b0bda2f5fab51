"""Somebody who listens, and a page that is watched."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Elements and attributes that our own pages do not have below their head, wherever they come from.
LEFT = """() => {
  const bad = [...document.querySelectorAll(
    "body :is(iframe,object,embed,form,input,button,base,meta,link,svg,math,style,video,audio,template)")];
  const scripts = [...document.querySelectorAll("script:not([nonce])")];
  const attributes = [...document.querySelectorAll("body *")].filter((one) => [...one.attributes].some((attribute) =>
    /^on|^style$|^name$|^srcdoc$|^ping$/i.test(attribute.name) && !/^--[bc]:/.test(attribute.value) ||
    attribute.name === "id" && !/^(head|cell-[0-9]+)$/.test(attribute.value) ||
    attribute.name === "href" && !/^(https?:|mailto:|#|[^:]*$)/i.test(attribute.value) ||
    attribute.name === "src" && !/^data:image\\/[a-z+]+;base64,[A-Za-z0-9+/=\\s]*$/.test(attribute.value)));
  bad.push(...document.querySelectorAll(".html [class]:not(table.dataframe)"));
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return [...bad, ...scripts, ...attributes].map((one) => one.outerHTML.slice(0, 200))
    .concat(new Set(ids).size === ids.length ? [] : ["an id comes twice"]);
}"""


@dataclass
class Listener:
    """Listens on 127.0.0.1, and counts who comes."""

    address: str
    came: list[str] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Listener(f"http://127.0.0.1:{server.getsockname()[1]}")

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.settimeout(0.5)
                        data = b""
                        with contextlib.suppress(OSError):
                            data = connection.recv(300)
                        found.came.append(data.decode("latin-1"))

        threading.Thread(target=listen, daemon=True).start()
        yield found
        server.shutdown(socket.SHUT_RDWR)


@dataclass
class Watched:
    """A page, and what it did.

    Attributes:
        page: Playwright's.
        requests: addresses that it asked for, but for data.
        dialogs: texts of the dialogs that it opened.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def did_nothing(self, listener: Listener, *, asked: bool = True) -> None:
        """Check that nothing has run, and that nobody was asked for anything.

        Args:
            listener: who would have been asked.
            asked: whether an attempt that the policy has stopped counts.
        """
        self.page.wait_for_timeout(300)
        assert self.page.evaluate("() => [window.pwned, document.documentElement.dataset.pwned]") == [None, None]
        assert self.dialogs == []
        # Where a frame is led Chromium connects to before the policy refuses that; it asks for nothing there.
        assert [one for one in listener.came if one or asked] == []
        assert not asked or [address for address in self.requests if listener.address in address] == []


@pytest.fixture
def watched(browser: Any) -> Callable[..., AbstractContextManager[Watched]]:
    @contextlib.contextmanager
    def opened(**options: Any) -> Iterator[Watched]:
        with browser.page(**options) as page:
            found = Watched(page)
            page.on("request", lambda one: one.url.startswith("data:") or found.requests.append(one.url))
            page.on("dialog", lambda one: (found.dialogs.append(one.message), one.dismiss()))
            yield found

    return opened


def uri(path: Path) -> str:
    return path.resolve().as_uri()

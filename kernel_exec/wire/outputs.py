"""The outputs of one cell, merged from messages into what nbformat 4.5 stores.

Semantics: https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-iopub-pub-sub-channel
"""

from __future__ import annotations

import re
from typing import Any

from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.terminal import TerminalText

Output = dict[str, Any]

MAX_CELL_BYTES = 64 * 2**20
"""What one cell may hold in this process; more is left out, and `truncated` says so."""

_JSON_MIME = re.compile(r"application/(.+\+)?json$")


class Outputs:
    """The outputs of one cell, in the order in which a front end shows them."""

    def __init__(self, limit: int = MAX_CELL_BYTES) -> None:
        self._items: list[Output] = []
        self._streams: dict[int, TerminalText] = {}  # text of stream outputs, by index
        self._clear_next = False
        self._size = 0
        self.limit = limit
        self.truncated = False

    def add(self, message: Message) -> Output | None:
        """Take an output message in; return the output that it added, or None when it was left out.

        The returned dictionary of a display is the one that is kept: an update changes it in place.

        Raises:
            BadMessage: its content is not what the protocol says.
        """
        output = output_of(message)
        if self._clear_next:
            self._clear()
        size = _size(output)
        if self._size + size > self.limit:
            self.truncated = True
            return None
        self._size += size
        if output["output_type"] == "stream":
            self._write(output)
        else:
            self._items.append(output)
        return output

    def clear(self, *, wait: bool) -> None:
        """Clear what is there, now or (`wait`) when the next output comes."""
        if wait:
            self._clear_next = True
        else:
            self._clear()

    @property
    def clears_next(self) -> bool:
        """Whether the next output clears those before it."""
        return self._clear_next

    @property
    def size(self) -> int:
        """How many bytes came in and were kept, roughly."""
        return self._size

    def snapshot(self) -> list[Output]:
        """Return the outputs as they are now, independent of what comes later."""
        return [self._frozen(index, item) for index, item in enumerate(self._items)]

    def stream(self, name: str) -> str:
        """Return all text of "stdout" or "stderr"."""
        return "".join(str(text) for index, text in self._streams.items() if self._items[index]["name"] == name)

    def _write(self, output: Output) -> None:
        last = len(self._items) - 1
        if last not in self._streams or self._items[last]["name"] != output["name"]:
            self._items.append({"output_type": "stream", "name": output["name"], "text": ""})
            last += 1
            self._streams[last] = TerminalText()
        self._streams[last].write(output["text"])

    def _clear(self) -> None:
        self._items.clear()
        self._streams.clear()
        self._clear_next = False
        self._size = 0

    def _frozen(self, index: int, item: Output) -> Output:
        text = self._streams.get(index)
        return {**item, "text": str(text)} if text is not None else dict(item)


def output_of(message: Message) -> Output:
    """Return the nbformat output that an output message describes.

    Raises:
        BadMessage: its content is not what the protocol says.
    """
    content, kind = message.content, message.msg_type
    if kind == "stream":
        name, text = content.get("name"), content.get("text")
        if name not in ("stdout", "stderr") or not isinstance(text, str):
            raise BadMessage("a stream message has no valid name and text")
        return {"output_type": "stream", "name": name, "text": text}
    if kind == "error":
        return _error(content)
    output = {"output_type": "display_data", **bundle_of(content)}
    if kind == "execute_result":
        count = content.get("execution_count")
        output |= {
            "output_type": kind,
            "execution_count": count if type(count) is int and count >= 0 else None,
        }
    return output


def bundle_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return `data` and `metadata` of a display, in nbformat's terms.

    Raises:
        BadMessage: they are not MIME bundles.
    """
    data, metadata = content.get("data"), content.get("metadata") or {}
    if not isinstance(data, dict) or not isinstance(metadata, dict):
        raise BadMessage("a display message has no valid data and metadata")
    return {"data": {mime: _mime_value(mime, value) for mime, value in data.items()}, "metadata": metadata}


def display_id_of(message: Message) -> str:
    """Return the display id that a display message names, or ""."""
    transient = message.content.get("transient")
    display_id = transient.get("display_id") if isinstance(transient, dict) else None
    return display_id if isinstance(display_id, str) else ""


def _error(content: dict[str, Any]) -> Output:
    traceback = content.get("traceback") or []
    if not isinstance(traceback, list) or not all(isinstance(line, str) for line in traceback):
        raise BadMessage("an error message has no valid traceback")
    name, value = content.get("ename"), content.get("evalue")
    if not isinstance(name, str) or not isinstance(value, str):
        raise BadMessage("an error message has no valid name and value")
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": traceback}


def _mime_value(mime: str, value: Any) -> Any:
    if _JSON_MIME.match(mime) or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    raise BadMessage(f"a display message has a value for {mime!r} that is no text")


def _size(output: Output) -> int:
    if output["output_type"] == "stream":
        return len(output["text"])
    if output["output_type"] == "error":
        return sum(map(len, output["traceback"])) + len(output["evalue"])
    # JSON values are measured by their printed form: exact enough for a bound, and it needs no second walk.
    return sum(len(value) if isinstance(value, str) else len(repr(value)) for value in output["data"].values())

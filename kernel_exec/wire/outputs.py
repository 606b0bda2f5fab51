"""The outputs of one cell, merged from messages into what nbformat 4.5 stores.

Semantics: https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-iopub-pub-sub-channel
"""

from __future__ import annotations

import binascii
import itertools
import re
from dataclasses import replace
from typing import Any

from kernel_exec.settings import Limits
from kernel_exec.wire.budget import Cuts, NoSink, Part, Sink, is_count, printed_of, shortened, sizes_of, split_bundle
from kernel_exec.wire.long_text import LongText
from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.terminal import TerminalText, head_of

Output = dict[str, Any]

ITEM_COST = 128
"""Bytes that count for each output beyond its data: about what it takes to hold it."""
LINE_COST = 16
"""The same for each line of a traceback."""

ALLOWANCE = 1024
"""Bytes beyond the limit for the lines that tell what was left out."""

MANY_TEXTS = 10
"""Texts that there may be in any case; of more than an eighth of the limit in costs, a text goes on in the last one."""
MANY_SAME = 100
"""Displays of one id in a cell: an update takes time for each, and changes no more than the last ones."""

_JSON_MIME = re.compile(r"application/(.+\+)?json$")
_MANY_TYPES = 100
_LONG_TYPE = 256


class Outputs:
    """The outputs of one cell, in the order in which a front end shows them.

    They hold no more than the limits allow. Of text that is more, head and tail are kept: the head fills half of
    `limits.output_bytes`, and what is left out behind it is in a file of the sink. A display loses what does not fit.

    Args:
        limits: how much they may hold.
        sink: takes the whole of what is cut.
    """

    def __init__(self, limits: Limits | None = None, sink: Sink | None = None) -> None:
        self._limits = limits or Limits()
        self._sink = sink or NoSink()
        self._items: list[Output] = []
        self._texts: dict[int, TerminalText] = {}  # text of stream outputs, by index
        self._displays: dict[str, tuple[int, ...]] = {}  # indices of displays, by their display id
        self._clear_next = False
        self._text_size = self._display_size = self._image_size = 0
        self._head: tuple[int, int] | None = None  # where the head ends: an index, and characters of its text
        self._held_back: dict[str, int] = {}  # characters that nobody was shown yet, by stream
        self.cuts = Cuts()

    def add(self, message: Message) -> Output | None:
        """Take an output message in; return the output that it added, or None when it was left out.

        Raises:
            BadMessage: its content is not what the protocol says.
        """
        output, display_id = output_of(message), display_id_of(message)
        if self._clear_next:
            self._clear()
        if output["output_type"] == "stream":
            return output if self._write(output["name"], output["text"]) else None
        left_out = message.content.get("kernel_exec_left_out")
        if output["output_type"] == "error" and left_out and is_count(left_out):
            self.cuts.add_part("the text of an error", left_out)
        return self._show(output, display_id)

    def update(self, display_id: str, bundle: dict[str, Any]) -> dict[str, Any]:
        """Put other data into the displays of that id; return what of it fits."""
        fitting: dict[str, Any] = {}
        printed = printed_of(bundle)
        for index in self._displays.get(display_id, ()):
            images, size = sizes_of(self._items[index])
            self._image_size -= images
            self._display_size -= size
            fitting = self._fitting(bundle, printed)
            # What was handed out stays as it was.
            self._items[index] = {**self._items[index], **fitting}
        return fitting

    def take_cut(self, message: Message) -> Output | None:
        """Take what the kernel tells of output that it has left out itself; return the line that stands for text.

        Raises:
            BadMessage: it is not what our kernels tell.
        """
        name, left_out = message.content.get("name"), message.content.get("left_out")
        if name not in ("stdout", "stderr", "displays") or not is_count(left_out):
            raise BadMessage("a kernel_exec_cut message has no valid name and number")
        if name == "displays":
            self.cuts.displays += left_out
            return None
        self._sink.take_over(name)
        number = self._stream(name)
        head = len(str(self._texts[number]))
        self._head = self._head or (number, head)
        self._leave_out(number, head, 0, left_out)
        self._make_room()
        return {"output_type": "stream", "name": name, "text": self._gap(name)}

    def held_back(self) -> list[Output]:
        """Return the end of the text that nobody has been shown yet, because text before it was left out."""
        held, self._held_back = self._held_back, {}
        ends = ((name, count, self.stream(name)) for name, count in held.items())
        return [
            {"output_type": "stream", "name": name, "text": self._gap(name) + text[max(0, len(text) - count) :]}
            for name, count, text in ends
        ]

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
        """How many bytes are kept, roughly."""
        return self._text_size + self._display_size + self._image_size

    def snapshot(self) -> list[Output]:
        """Return the outputs as they are now; what comes later does not change them."""
        return [self._frozen(index, item) for index, item in enumerate(self._items)]

    def stream(self, name: str) -> str:
        """Return all text of "stdout" or "stderr"."""
        return "".join(str(text) for index, text in self._texts.items() if self._items[index]["name"] == name)

    # Text

    def _write(self, name: str, text: str) -> bool:
        """Add text; return whether whoever follows the outputs is to see it now."""
        cut = name in self.cuts.text and not self._sink.is_taken_over(name)
        if cut:
            self._sink.write(name, text)
            self._held_back[name] = self._held_back.get(name, 0) + len(text)
        number = self._stream(name)
        written = self._texts[number]
        before = written.size
        written.write(text)
        self._text_size += written.size - before
        half = self._limits.output_bytes // 2
        if self._head is None and self._text_size > half:
            self._head = (number, len(head_of(str(written), half - (self._text_size - written.size))))
        self._make_room()
        return not cut

    def _stream(self, name: str) -> int:
        """Return the index of the output that text of the stream goes to now."""
        last = len(self._items) - 1
        if last not in self._texts or self._items[last]["name"] != name:
            if (earlier := self._where_it_goes_on(name)) is not None:
                return earlier
            self._items.append({"output_type": "stream", "name": name, "text": ""})
            last += 1
            self._texts[last] = TerminalText()
            self._text_size += ITEM_COST
        return last

    def _where_it_goes_on(self, name: str) -> int | None:
        """Return the index of the stream's last text when there are too many to begin another.

        Two streams that take turns would fill the limit with beginnings, of which nothing can be left out.
        """
        if len(self._texts) < max(MANY_TEXTS, self._limits.output_bytes // (8 * ITEM_COST)):
            return None
        first = self._head[0] if self._head else 0
        behind = itertools.takewhile(lambda number: number >= first, reversed(self._texts))
        return next((number for number in behind if self._items[number]["name"] == name), None)

    def _make_room(self) -> None:
        """Leave out text behind the head until all is within the limit."""
        limit = self._limits.output_bytes
        excess = self._text_size + self._display_size - limit - ALLOWANCE
        if excess <= 0 or self._head is None:
            return
        # A part more than need be: leaving out costs as much as there is, and more is likely to come.
        excess += limit // 8
        index, head = self._head
        for number in [number for number in self._texts if number >= index]:
            start = head if number == index else 0
            count = min(excess, self._texts[number].tail_length(start))
            if count > 0:
                excess -= self._leave_out(number, start, count)

    def _leave_out(self, number: int, head: int, count: int, elsewhere: int = 0) -> int:
        """Leave `count` characters of a text out behind its head; return how many bytes that was.

        Args:
            number: index of the text.
            head: characters that stay.
            count: characters to leave out.
            elsewhere: bytes that the kernel has left out at this place.
        """
        text, name = self._texts[number], self._items[number]["name"]
        if name not in self.cuts.text and not self._sink.is_taken_over(name):
            self._sink.write(name, self.stream(name))
        before = text.size
        size = text.leave_out(head, count)
        self.cuts.add_text(name, size + elsewhere)
        text.fill_gap(self._gap(name))
        self._text_size += text.size - before
        return size

    def _gap(self, name: str) -> str:
        size, place = self.cuts.text[name], self._sink.place(name)
        return f"\n[... {size:,} bytes of {name} left out; all of it is in {place} ...]\n"

    # Displays

    def _show(self, output: Output, display_id: str) -> Output | None:
        # One more is let in than fits; it loses its parts.
        if self._display_size >= self._limits.output_bytes:
            self.cuts.displays += 1
            return None
        self._display_size += ITEM_COST + len(display_id)
        if output["output_type"] == "error":
            self._fit_error(output)
        else:
            output |= self._fitting(output, printed_of(output))
        if display_id:
            same = self._displays.get(display_id, ())
            self._displays[display_id] = (*same[1 - MANY_SAME :], len(self._items))
        self._items.append(output)
        self._make_room()
        return output

    def _fitting(self, bundle: dict[str, Any], printed: dict[str, str]) -> dict[str, Any]:
        """Return data and metadata of a display as far as they fit, and count them."""
        room = self._limits.output_bytes - self._display_size
        data, metadata, cut = split_bundle(bundle, room, self._limits.image_bytes - self._image_size, printed)
        if cut:
            lines = [*map(self._in_its_place, cut), *filter(None, [data.get("text/plain")])]
            data = {**data, "text/plain": "\n".join(lines)}
        fitting = {"data": data, "metadata": metadata}
        images, size = sizes_of(fitting)
        self._image_size += images
        self._display_size += size
        return fitting

    def _in_its_place(self, part: Part) -> str:
        """Return the line that stands for a part of a display that is left out."""
        place = self._sink.keep_part(part.mime, part.name, part.text)
        self.cuts.add_part(part.mime, part.size)
        return f"[{part.mime} of {part.size:,} bytes left out{f'; it is in {place}' if place else ''}]"

    def _fit_error(self, output: Output) -> None:
        """Shorten an error that is larger than half of the limit: our kernels send none."""
        limit = self._limits.output_bytes // 2
        size = _error_size(output)
        if size > limit:
            self.cuts.add_part("the text of an error", size - LINE_COST * len(output["traceback"]))
            ends = {name: shortened(output[name], limit // 2) for name in ("ename", "evalue")}
            output |= {**ends, "traceback": []}
        self._display_size += _error_size(output)

    def _clear(self) -> None:
        self._items.clear()
        self._texts.clear()
        self._displays.clear()
        self._clear_next = False
        self._text_size = self._display_size = self._image_size = 0
        self._head = None
        self._held_back = {}
        self.cuts.text.clear()

    def _frozen(self, index: int, item: Output) -> Output:
        text = self._texts.get(index)
        return item if text is None else {**item, "text": str(text)}


def _error_size(output: Output) -> int:
    """Return about how many bytes an error takes; lines cost something also when they are empty."""
    lines = output["traceback"]
    return len(output["ename"]) + len(output["evalue"]) + sum(map(len, lines)) + LINE_COST * len(lines)


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
            "execution_count": count if is_count(count) else None,
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
    if len(data) > _MANY_TYPES or any(len(mime) > _LONG_TYPE for mime in data):
        raise BadMessage("a display message has too many MIME types, or one with too long a name")
    return {"data": {mime: _mime_value(mime, value) for mime, value in data.items()}, "metadata": metadata}


def display_id_of(message: Message) -> str:
    """Return the display id that a display message names, or ""."""
    transient = message.content.get("transient")
    display_id = transient.get("display_id") if isinstance(transient, dict) else None
    if not isinstance(display_id, str | None) or len(display_id or "") > _LONG_TYPE:
        raise BadMessage("a display message has no valid display id")
    return display_id or ""


def without_bad_pictures(message: Message) -> Message:
    """Return a display message without what it says to be pictures in base64 and is none; itself when it has none.

    Raises:
        BadMessage: nothing is left.
    """
    data = message.content.get("data")
    data = data if isinstance(data, dict) else {}
    bad = {mime for mime, value in data.items() if _is_bad_picture(mime, value)}
    if not bad:
        return message
    if len(bad) == len(data):
        raise BadMessage("a picture is not base64")
    rest = {mime: value for mime, value in data.items() if mime not in bad}
    return replace(message, content={**message.content, "data": rest})


def _is_bad_picture(mime: str, value: Any) -> bool:
    if not mime.startswith("image/") or mime.startswith("image/svg"):
        return False
    try:
        text = "".join(value) if isinstance(value, list) else str(value)
        binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except (ValueError, TypeError):  # also of a list of something else
        return True
    return False


def _error(content: dict[str, Any]) -> Output:
    traceback = content.get("traceback") or []
    if not isinstance(traceback, list) or not all(isinstance(line, str) for line in traceback):
        raise BadMessage("an error message has no valid traceback")
    name, value = content.get("ename"), content.get("evalue")
    if not isinstance(name, str) or not isinstance(value, str):
        raise BadMessage("an error message has no valid name and value")
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": traceback}


def _mime_value(mime: str, value: Any) -> Any:
    if _JSON_MIME.match(mime) or isinstance(value, str | LongText):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    raise BadMessage("a display message has a value that is no text")

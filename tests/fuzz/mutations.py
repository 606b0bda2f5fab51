"""Makes lies of true messages. Needs nothing but Python, so that a kernel can use it as well.

The liar holds the key: most of what it sends is signed as it should be.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DELIMITER = b"<IDS|MSG>"
CHANNELS = ("shell", "iopub", "stdin", "control")
LARGE = 2**23
"""Bytes beyond which a lie is kept back: what is slow then is slow for its size."""
LONG = 2**20
"""Bytes from which on a string of a message is left as it came."""

RAW = {
    "@@nan@@": b"NaN",
    "@@infinite@@": b"-Infinity",
    "@@overflow@@": b"1e999",
    "@@deep@@": b"[" * 90 + b"1" + b"]" * 90,
    "@@deeper@@": b'{"a":' * 120 + b"1" + b"}" * 120,
    "@@deepest@@": b"[" * 30_000,
    "@@long integer@@": b"9" * 4300,
    "@@longer integer@@": b"9" * 5000,
    "@@same key twice@@": b'{"a":1,"a":{"a":[]}}',
    "@@broken escape@@": b'"\\x41"',
    "@@half an escape@@": b'"\\u12"',
    "@@newline in a string@@": b'"a\nb"',
    "@@no UTF-8@@": b'"\xff\xfe\xc3"',
}
"""What stands for JSON that no encoder writes."""

NASTY: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**400, 1e308, -0.0, 0.5),
    *("", "x", " ", "\0", "\n", "\r\b", "\ud800", "\udfff\ud800", "\ud83d\ude00", "é" * 300, "x" * 300, "x" * 70_000),
    *([], [1], [[]], ["a"], ["a", 1], [None] * 1000, [""] * 1000, {}, {"": ""}, {"a": 1}, {"a": {"b": ["c"]}}),
    *("stdout", "stderr", "ok", "error", "aborted", "idle", "busy", "text/plain", "image/png", "application/json"),
    *("stream", "display_data", "update_display_data", "display-1", "../../etc/passwd", "__proto__", "jupyter.widget"),
    *RAW,
]
TYPES = [
    *("stream", "display_data", "update_display_data", "execute_result", "error", "clear_output", "execute_input"),
    *("status", "comm_open", "comm_msg", "comm_close", "execute_reply", "input_request", "kernel_exec_cut"),
    *("kernel_info_reply", "complete_reply", "shutdown_reply", "iopub_welcome", "debug_event", "x", "x" * 300),
]
MIMES = [
    *(
        "text/plain",
        "text/html",
        "text/markdown",
        "text/x-\ud800",
        "image/png",
        "image/jpeg",
        "image/svg+xml",
        "image/",
    ),
    *("application/json", "application/x+json", "application/+json", "application/json\n", "APPLICATION/JSON", ""),
    *("application/json; charset=utf-8", "application/javascript", "text/\n", "a\0b", "é/é", "image/svg", "x" * 256),
    *("application/geo+json", "application/vnd.jupyter.widget-view+json", "application/a b+json", "x" * 257, "a+json"),
]
KEYS = [
    *("data", "metadata", "transient", "display_id", "text", "name", "kernel_exec", "cut", "left_out", "wait", "state"),
    *("kernel_exec_left_out", "traceback", "ename", "evalue", "status", "payload", "execution_count", "buffer_paths"),
    *("comm_id", "target_name", "method", "prompt", "password", "msg_id", "msg_type", "date", "parent", "trusted", ""),
    *("execution_state", "started", "tags", "source", "keepkernel", "application/json"),
]
PIECES = [
    *(
        "\b",
        "\r",
        "\n",
        "x",
        "ab",
        "é",
        "\x1b[31m",
        "\x1b]0;",
        "\x1b[",
        "\x1b]8;;",
        "\x07",
        "%",
        "\t",
        "\u2028",
        "\x85",
    ),
    *("\r\n", "\b\b\b", "  + Exception Group Traceback (most recent call last):\n", "  | ", "-----> 1 ", "File "),
    *("/x/a.py:1: UserWarning: Glyph 20013 (\\N{CJK}) missing from font(s) DejaVu Sans.\n  plt.plot()\n", "\U0001f600"),
    *(
        "Traceback (most recent call last)",
        "Cell In[1], line 1",
        "/ipykernel_1/2.py",
        "[... 3 bytes of stdout left out",
    ),
]


@dataclass
class Truth:
    """A message as it was sent, or as it is to be sent."""

    channel: str
    idents: list[bytes]
    header: Any
    parent: Any
    metadata: Any
    content: Any
    buffers: list[bytes]

    @classmethod
    def of(cls, channel: str, frames: list[bytes]) -> Truth:
        """Return what frames say."""
        at = frames.index(DELIMITER)
        parts = [json.loads(frame) for frame in frames[at + 2 : at + 6]]
        return cls(channel, frames[:at], *parts, frames[at + 6 :])

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        coded = {
            name: [base64.b64encode(one).decode() for one in getattr(self, name)] for name in ("idents", "buffers")
        }
        return {**vars(self), **coded}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Truth:
        """Return what `as_json` gave."""
        coded = {name: [base64.b64decode(one) for one in value[name]] for name in ("idents", "buffers")}
        return cls(**{**value, **coded})


def signed(key: bytes, truth: Truth, *, ascii_only: bool = True) -> list[bytes]:
    """Return the frames of a message."""
    parts = [coded(part, ascii_only=ascii_only) for part in (truth.header, truth.parent, truth.metadata, truth.content)]
    return [*truth.idents, DELIMITER, signature(key, parts), *parts, *truth.buffers]


def signature(key: bytes, parts: list[bytes]) -> bytes:
    """Return the signature of the four parts."""
    return hmac.new(key, b"".join(parts), hashlib.sha256).hexdigest().encode()


def coded(part: Any, *, ascii_only: bool) -> bytes:
    """Return JSON, and what is none in the place of what stands for it."""
    raw = json.dumps(part, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if b"@@" in raw:
        for mark, meant in RAW.items():
            raw = raw.replace(b'"%b"' % mark.encode(), meant)
    return raw


class Liar:
    """An endless source of lies, the same ones for the same seed.

    Args:
        seed: decides all.
        truths: what is lied about.
        key: of the signatures.

    Attributes:
        parents: ids of requests, the latest last.
    """

    def __init__(self, seed: int | str, truths: list[Truth], key: bytes) -> None:
        self.chance = random.Random(seed)
        self._truths, self._key = truths, key
        self.parents: deque[str] = deque(maxlen=20)
        self._sent: deque[tuple[str, list[bytes]]] = deque(maxlen=50)
        self._ids: deque[str] = deque(maxlen=20)

    def lie(self) -> tuple[str, list[bytes]]:
        """Return a channel and the frames that come on it."""
        if self._sent and self.chance.random() < 0.05:  # what came before comes again
            return self.chance.choice(self._sent)
        truth = copy.deepcopy(self.chance.choice(self._truths))
        self._assign(truth)
        for change in self._changes():
            change(truth)
        frames = signed(self._key, truth, ascii_only=self.chance.random() < 0.5)
        if self.chance.random() < 0.1:
            frames = self._damaged(frames)
        size = sum(map(len, frames))
        if size < LONG // 2:
            self._sent.append((truth.channel, frames))
        return (truth.channel, frames) if size < LARGE else self.lie()

    def _changes(self) -> list[Callable[[Truth], None]]:
        kinds: list[tuple[Callable[[Truth], None], float]] = [
            (self._values, 10),
            (self._type, 1),
            (self._parent, 1),
            (self._channel, 0.5),
            (self._buffers, 0.5),
            (self._mimes, 2),
            (self._text, 2),
            (self._long_text, 0.05),
            (self._cut, 0.7),
            (self._told, 0.7),
            (self._display, 1.5),
            (self._many, 0.1),
        ]
        changes, weights = zip(*kinds, strict=True)
        return self.chance.choices(changes, weights, k=self.chance.choice((0, 1, 1, 1, 2, 3)))

    def _assign(self, truth: Truth) -> None:
        """Have the message belong to the running request, under an id of its own."""
        truth.header["msg_id"] = f"m{self.chance.getrandbits(64):x}"
        if self.parents and isinstance(truth.parent, dict):
            truth.parent["msg_id"] = self.parents[-1]

    # Changes of what it says

    def _nasty(self) -> Any:
        return copy.deepcopy(self.chance.choice(NASTY))

    def _values(self, truth: Truth) -> None:
        for _ in range(self.chance.choice((1, 1, 2, 4))):
            name = self.chance.choices(("content", "metadata", "header", "parent"), (12, 2, 1, 1))[0]
            if self.chance.random() < 0.03:
                setattr(truth, name, self._nasty())
                continue
            holders = list(_holders(getattr(truth, name)))
            if holders:
                self._value(self.chance.choice(holders))

    def _value(self, holder: Any) -> None:
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        kind = self.chance.randrange(8)
        if not places or kind == 0:
            self._put(holder, self._nasty())
        elif kind == 1:
            del holder[self.chance.choice(places)]
        elif kind == 2:
            self._put(holder, copy.deepcopy(holder[self.chance.choice(places)]))
        elif kind == 3:
            one, other = self.chance.choice(places), self.chance.choice(places)
            holder[one], holder[other] = holder[other], holder[one]
        elif kind == 4:
            place = self.chance.choice(places)
            holder[place] = self.chance.choice(([holder[place]], {"a": holder[place]}, str(holder[place])))
        else:
            holder[self.chance.choice(places)] = self._nasty()

    def _put(self, holder: Any, value: Any) -> None:
        if isinstance(holder, dict):
            holder[self.chance.choice(KEYS)] = value
        else:
            holder.insert(self.chance.randrange(len(holder) + 1), value)

    def _type(self, truth: Truth) -> None:
        if isinstance(truth.header, dict):
            truth.header["msg_type"] = self.chance.choice(TYPES)

    def _parent(self, truth: Truth) -> None:
        if isinstance(truth.parent, dict):
            truth.parent["msg_id"] = self.chance.choice([*self.parents, "unknown", "", "x" * 300])

    def _channel(self, truth: Truth) -> None:
        truth.channel = self.chance.choice(CHANNELS)

    def _buffers(self, truth: Truth) -> None:
        size = self.chance.choice((0, 1, 100, 10_000))
        truth.buffers = [self.chance.randbytes(size) for _ in range(self.chance.choice((1, 2, 50)))]

    def _mimes(self, truth: Truth) -> None:
        count = self.chance.choice((1, 3, 10, 101))
        data = {self.chance.choice(MIMES) if count < 100 else f"text/{n}": self._mime_value() for n in range(count)}
        self._say(truth, self.chance.choice(("display_data", "execute_result")), {"data": data})

    def _mime_value(self) -> Any:
        picture = base64.b64encode(self.chance.randbytes(self.chance.choice((3, 500, 20_000)))).decode()
        spoilt = self.chance.choice(
            (picture[:-1], f" {picture}\n", picture + "=", picture[:5] + "\0é" + picture, "====")
        )
        return self.chance.choice((picture, spoilt, self._nasty(), self._written(), [picture], ["a\n", "b"]))

    def _text(self, truth: Truth) -> None:
        kind = self.chance.choice(("stream", "stream", "stream", "error", "execute_reply"))
        if kind == "stream":
            content: dict[str, Any] = {"name": self.chance.choice(("stdout", "stderr")), "text": self._written()}
        else:
            lines = [self._written() for _ in range(self.chance.randrange(6))]
            content = {"ename": self._written()[:100], "evalue": self._written(), "traceback": lines, "status": "error"}
        self._say(truth, kind, content)

    def _written(self) -> str:
        some = self.chance.choices(PIECES, k=self.chance.choice((1, 3, 20)))
        return "".join(some) * self.chance.choice((1, 1, 10, 200))

    def _long_text(self, truth: Truth) -> None:
        """Strings above a mebibyte, whole and broken, where they belong and elsewhere."""
        piece = self.chance.choice(
            ("x", "é", "\n", "\\", '"', "\b", "x\r", "\ud800", "\U0001f600", "x" * 79 + "\n", "A")
        )
        text = piece * (LONG // len(coded(piece, ascii_only=True)) + 10)
        text += self.chance.choice(("", "@@x@@"))
        if not isinstance(truth.content, dict) or self.chance.random() < 0.7:
            mime = self.chance.choice(MIMES)
            self._say(truth, "stream", {"name": "stdout", "text": text})
            if self.chance.random() < 0.5:
                self._say(truth, "display_data", {"data": {mime: text}, "metadata": {}})
        else:
            truth.content[self.chance.choice(KEYS)] = self.chance.choice((text, [text], {text: 1}))

    def _cut(self, truth: Truth) -> None:
        name = self.chance.choice(("stdout", "stderr", "displays", "x", self._nasty()))
        number = self.chance.choice((0, 1, 1000, 2**62, "@@long integer@@", self._nasty()))
        self._say(truth, "kernel_exec_cut", {"name": name, "left_out": number})

    def _told(self, truth: Truth) -> None:
        """What only our kernels say, said wrongly."""
        name = self.chance.choice(("display-1", "display-2", "display-999999", "", "stdout", "../x", self._nasty()))
        size = self.chance.choice((0, -5, 10**6, "@@long integer@@", self._nasty()))
        part = {"name": name, "mime": self.chance.choice((*MIMES, self._nasty())), "size": size}
        told = {
            "text": self.chance.choice((self._written(), self._nasty())),
            "cut": [dict(part) for _ in range(self.chance.choice((1, 200)))],
        }
        metadata = {"kernel_exec": self.chance.choice((told, told, self._nasty()))}
        self._say(truth, "display_data", {"data": {"text/plain": "x"}, "metadata": metadata})
        if isinstance(truth.content, dict) and self.chance.random() < 0.2:
            self._say(truth, "error", {"ename": "E", "evalue": "", "traceback": []})
            truth.content["kernel_exec_left_out"] = size

    def _display(self, truth: Truth) -> None:
        """Displays and updates whose ids meet."""
        if not self._ids or self.chance.random() < 0.1:
            self._ids.append(f"d{self.chance.getrandbits(20)}")
        kind = self.chance.choice(("display_data", "update_display_data", "clear_output"))
        data = {mime: self._mime_value() for mime in self.chance.choices(MIMES, k=2)}
        content = {"data": data, "metadata": {}, "transient": {"display_id": self.chance.choice(self._ids)}}
        self._say(truth, kind, {"wait": self.chance.random() < 0.5} if kind == "clear_output" else content)

    def _many(self, truth: Truth) -> None:
        """Very many small things."""
        thing = self.chance.choice((0, "", [], {}, "a", [[[[]]]]))
        # Each a thing of its own: what is put into one later must not be in all of them.
        many: Any = [copy.copy(thing) for _ in range(self.chance.choice((5_000, 50_000)))]
        if self.chance.random() < 0.3:
            many = {str(number): copy.copy(thing) for number in range(20_000)}
        holders = [holder for holder in _holders(truth.content) if isinstance(holder, dict)]
        if holders:
            holder = self.chance.choice(holders)
            holder[self.chance.choice([*holder, "data", "traceback"])] = many

    def _say(self, truth: Truth, kind: str, content: dict[str, Any]) -> None:
        truth.content = content
        truth.channel = "shell" if kind.endswith("_reply") else "iopub"
        if isinstance(truth.header, dict):
            truth.header["msg_type"] = kind

    # Changes of the frames

    def _damaged(self, frames: list[bytes]) -> list[bytes]:
        frames, kind = list(frames), self.chance.randrange(7)
        at = self.chance.randrange(len(frames))
        if kind == 0:
            del frames[at:]
        elif kind == 1:
            frames.insert(at, frames[at])
        elif kind == 2:
            self.chance.shuffle(frames)
        elif kind == 3:
            del frames[at]
        elif kind == 4:
            frames[at] = self._bitten(frames[at])
        elif kind == 5:
            frames += [b""] * self.chance.choice((1, 20, 10_001))
        else:
            start = frames.index(DELIMITER) if DELIMITER in frames else 0
            place = start + 2 + self.chance.randrange(4)
            frames[place] = self._bitten(frames[place])
            frames[start + 1] = signature(self._key, frames[start + 2 : start + 6])
        return frames

    def _bitten(self, frame: bytes) -> bytes:
        changed = bytearray(frame)
        for _ in range(self.chance.randrange(1, 6) if changed else 0):
            kind, at = self.chance.randrange(4), self.chance.randrange(len(changed))
            if kind == 0:
                changed[at] ^= 1 << self.chance.randrange(8)
            elif kind == 1:
                changed[at:at] = self.chance.choice((b'"', b"\\", b"{", b"]", b",", b"\0", b"\xff", b"1e5"))
            elif kind == 2 and len(changed) > 1:
                del changed[at]
            else:
                changed[at] = self.chance.choice(b'"\\{}[]:,0-e')
        return bytes(changed)


def _holders(value: Any) -> list[Any]:
    """Return all lists and objects in a value, itself included."""
    found, level = [], [value]
    while level:
        one = level.pop()
        if isinstance(one, dict | list):
            found.append(one)
            level += one.values() if isinstance(one, dict) else one[:100]
    return found

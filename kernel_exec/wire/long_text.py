"""Very long strings of a message: left as they came, until somebody takes them in pieces.

Decoded at once, a string of 100 MB would take that again, beside the message that it came in. Kernels that our launcher
starts send none; any other may.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

LONG = 2**20
"""Bytes from which on a string is left as it came."""
ENDS = 16_384
"""Characters that are kept of the beginning and of the end of a long string that nobody takes in pieces."""

# All quantifiers are possessive: what is matched is never looked at twice, whatever a kernel sends.
_SHORT = rb'"[^"\\]{0,999}+(?:\\.[^"\\]{0,999}+){0,999}+"'
_ANY = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_NEXT_LONG = re.compile(rb'(?:[^"]++|' + _SHORT + rb")*+" + _ANY, re.DOTALL)
_ESCAPE = (
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # the two halves of one character
    rb"|\\u[0-9a-fA-F]{4}|\\."
)
_PLAIN = rb"[^\\]{1,256}+[\x80-\xbf]{0,3}+"  # ends with a whole character
_PIECE = re.compile(rb"(?:" + _PLAIN + rb"(?:" + _ESCAPE + rb")?+|" + _ESCAPE + rb"){1,1024}+", re.DOTALL)
_VALID = re.compile(rb'(?:[^\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')


class LongText:
    """A string as JSON writes it, without its quotes; its length is that in bytes."""

    __slots__ = ("_decode", "_raw")

    def __init__(self, raw: memoryview, decode: Any) -> None:
        self._raw, self._decode = raw, decode

    def __len__(self) -> int:
        return len(self._raw)

    def pieces(self) -> Iterator[str]:
        """Return the text, at most about 260,000 characters at a time."""
        at = 0
        while match := _PIECE.match(self._raw, at):
            at = match.end()
            yield self._decode(match[0])

    def ends(self) -> str:
        """Return beginning and end, and a line between them."""
        beginning = end = ""
        for piece in self.pieces():
            beginning = beginning or piece[:ENDS]
            end = (end + piece)[-ENDS:]
        return f"{beginning}\n[... a text of {len(self):,} bytes, of which these are the ends ...]\n{end}"

    def __str__(self) -> str:
        return "".join(self.pieces())


def lift(part: bytes | memoryview, mark: str, decode: Any) -> tuple[bytes, dict[str, LongText]]:
    """Take the long strings out of a JSON text.

    Args:
        part: the text.
        mark: what no string in it contains by chance.
        decode: makes a string of its JSON form without quotes.

    Returns:
        The text with a short string in the place of each, and what these stand for. A string that is not valid stays
        where it is: whoever reads the text refuses it whole, before anything is done with a part of it.
    """
    whole = memoryview(part)
    rest: list[bytes | memoryview] = []
    longs: dict[str, LongText] = {}
    at = copied = 0
    while match := _NEXT_LONG.match(whole, at):
        start, at = match.span(1)
        if at - start >= LONG and _VALID.fullmatch(whole, start, at):
            name = f"{mark}-{len(longs)}"
            longs[name] = LongText(whole[start:at], decode)
            rest += [whole[copied:start], name.encode("ascii")]
            copied = at
        at += 1
    return b"".join((*rest, whole[copied:])), longs


def put_back(content: Mapping[str, Any], longs: Mapping[str, LongText], *, shown: bool) -> dict[str, Any]:
    """Return a content with its long strings again.

    Args:
        content: as it was read.
        longs: what `lift` took out of it.
        shown: whether the message puts something out: then its text and the data of its display stay LongText. Of all
            other long strings the ends are kept.
    """

    def ends(value: Any) -> Any:
        if isinstance(value, str):
            return longs[value].ends() if value in longs else value
        if isinstance(value, list):
            return [ends(item) for item in value]
        return {key: ends(item) for key, item in value.items()} if isinstance(value, dict) else value

    def whole(value: Any) -> Any:
        return longs[value] if isinstance(value, str) and value in longs else ends(value)

    back = {key: ends(value) for key, value in content.items() if not shown or key not in ("text", "data")}
    for key in content.keys() - back.keys():
        value = content[key]
        back[key] = {mime: whole(item) for mime, item in value.items()} if isinstance(value, dict) else whole(value)
    return back

"""HTML such as a parser reads in linear time: closed in order, nested within a bound. Pure.

Parsers of HTML walk through all elements that are open, open some again that a paragraph has closed, and compare each
attribute with all others; each takes quadratic time, and the second quadratic room. Here tags are told from text as the
specification does (https://html.spec.whatwg.org/#tokenization), and only those that may stay are written: none of these
changes how the parser reads what follows. Nothing is made safe here.
"""

from __future__ import annotations

import re
from collections.abc import Collection

DEEP = 256
"""Elements within each other, beyond which HTML is not shown."""
_MANY = 64
"""Attributes of a tag beyond which it keeps none."""
RAW = frozenset(
    {"script", "style", "template", "noscript", "title", "iframe", "noembed", "noframes", "xmp", "svg", "math"}
)
"""Elements that go with all that is in them."""
_ATTRIBUTE = r"""[^\t\n\f\r />][^\t\n\f\r />=]*+
(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r >"'][^\t\n\f\r >]*+)?+)?+"""
_ATTRIBUTES = rf"(?:[\t\n\f\r /]++|{_ATTRIBUTE})*+"
_TOKEN = re.compile(
    rf"""<(?:
    !--(?:-?>|.*?(?:--!?>|\Z))
    | (?:[!?]|/(?![a-z]))[^>]*+>?
    | (?P<raw>{"|".join(RAW)})(?=[\t\n\f\r />]){_ATTRIBUTES}(?<!/)>.*?(?:</(?P=raw)(?=[\t\n\f\r />])|\Z){_ATTRIBUTES}>?
    | (?P<end>/?)(?P<name>[a-z][^\t\n\f\r />]*+)(?P<attributes>{_ATTRIBUTES})(?P<whole>>?)
    )?+""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
_EACH = re.compile(_ATTRIBUTE, re.VERBOSE)
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_SECTIONS = frozenset({"tbody", "thead", "tfoot"})
_CELLS = frozenset({"td", "th", "caption", "colgroup"})
_PARTS = _SECTIONS | _CELLS | {"tr"}
_OTHERS = (
    "article aside blockquote center dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hgroup hr "
    "li nav ol p pre summary table ul"
)
_BLOCKS = _PARTS | frozenset(_OTHERS.split())
_ITEMS = (frozenset({"li"}), frozenset({"dd", "dt"}))
_ENDED = {
    **dict.fromkeys(_BLOCKS, (frozenset({"p"}), _BLOCKS)),
    **{name: (names, _BLOCKS - {"div", "p"}) for names in _ITEMS for name in names},
    **dict.fromkeys(_CELLS, (_CELLS, _SECTIONS | {"table", "tr"})),
    "tr": (frozenset({"tr"}), _SECTIONS | {"table"}),
    **dict.fromkeys(_SECTIONS, (_SECTIONS, frozenset({"table"}))),
}
"""By tag, the elements of which it ends the innermost without a word, and those beyond which it ends none."""
_NOTHING: tuple[frozenset[str], frozenset[str]] = (frozenset(), _BLOCKS)
_IN_TABLES = frozenset({"table"})
_IN_CELLS = _IN_TABLES | _CELLS


class TooDeepError(ValueError):
    """HTML is nested too deeply to be shown."""


def tidy(html: str, tags: Collection[str]) -> str:
    """Return HTML of some tags only, in which each element is closed before the one that it is in.

    Raises:
        TooDeepError: it is nested too deeply.
    """
    opened: list[str] = []
    return _TOKEN.sub(lambda token: _written(token, tags, opened), html)


def _written(token: re.Match[str], tags: Collection[str], opened: list[str]) -> str:
    """Return what is written for a tag, for what goes, or for a sign that begins neither."""
    end, name, attributes, whole = token.group("end", "name", "attributes", "whole")
    name = name.lower() if name else ""
    if token[0] == "<":
        return "&lt;"
    if name not in tags or not whole:
        return ""
    if end:
        return _closed(opened, (name,), _IN_TABLES if name in _PARTS or name == "table" else _IN_CELLS)
    ends = _closed(opened, *_ENDED.get(name, _NOTHING))
    if name not in _VOID:
        opened.append(name)
    if len(opened) > DEEP:
        raise TooDeepError("nested too deeply")
    many = len(attributes) > _MANY and len(_EACH.findall(attributes)) > _MANY
    return f"{ends}<{name}{'' if many else attributes}>"


def _closed(opened: list[str], names: Collection[str], stops: Collection[str]) -> str:
    """Close the innermost element of some names, and all that are in it, if it is not beyond others."""
    for index in range(len(opened) - 1, -1, -1):
        if opened[index] in names:
            ends = "".join(f"</{name}>" for name in reversed(opened[index:]))
            del opened[index:]
            return ends
        if opened[index] in stops:
            break
    return ""

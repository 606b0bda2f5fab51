"""HTML and SVG: what they show, without ids that libraries make up."""

from __future__ import annotations

import re

from kernel_exec.compare.difference import Difference
from kernel_exec.compare.grids import TooLarge, tables_of
from kernel_exec.compare.images import encoded_differences
from kernel_exec.compare.tables import table_differences
from kernel_exec.compare.terms import Terms
from kernel_exec.compare.texts import text_differences

_MAX_TEXT = 4_000_000
"""The longest markup that is more than text."""

_IDS = re.compile(
    r"\bT_[0-9a-f]{5}(?![0-9a-f])"  # pandas' Styler
    r"|\b[a-z](?=[a-f]*[0-9])[0-9a-f]{10}\b"  # matplotlib's SVG
    r"|(?<![\w.])(?=[0-9]{0,64}[a-f])(?=[a-f]{0,64}[0-9])[0-9a-f]{16,64}\b"
    r"|(?<![\w-])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"  # plotly, widgets
)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,([A-Za-z0-9+/=]+)")
_NOT_SHOWN = re.compile(r"<\?xml[^>]{0,300}>|<!DOCTYPE[^>]{0,300}>")


def html_differences(old: str, new: str, terms: Terms) -> list[Difference]:
    """Return how two pieces of HTML differ: tables as tables, pictures in them as pictures, all else as text.

    Args:
        old: the HTML then.
        new: the HTML now.
        terms: how close numbers must be, and when the cells ran.
    """
    pictures = _PICTURE.findall(old), _PICTURE.findall(new)
    if any(pictures) and len(pictures[0]) == len(pictures[1]):
        pairs = zip(*pictures, strict=True)
        found = [difference for pair in pairs for difference in encoded_differences(*pair, terms)]
        return found or html_differences(_PICTURE.sub("picture", old), _PICTURE.sub("picture", new), terms)
    if max(len(old), len(new)) > _MAX_TEXT:
        return text_differences(old, new, terms, "result")
    ours, theirs = (_with_numbered_ids(terms.rules.sanitized(text)) for text in (old, new))
    try:
        (old_tables, old_rest), (new_tables, new_rest) = tables_of(ours), tables_of(theirs)
    except TooLarge:
        return text_differences(ours, theirs, terms, "result")
    if len(old_tables) != len(new_tables):
        return text_differences(ours, theirs, terms, "result")
    found = [
        difference
        for old_table, new_table in zip(old_tables, new_tables, strict=True)
        for difference in table_differences(old_table, new_table, terms)
    ]
    # The line below a table counts its rows: once they are told, it tells nothing more.
    return found or text_differences(old_rest, new_rest, terms, "result")


def svg_differences(old: str, new: str, terms: Terms) -> list[Difference]:
    """Return how two SVG pictures differ, by their text without ids and metadata.

    Args:
        old: the SVG then.
        new: the SVG now.
        terms: how close numbers must be.
    """
    if max(len(old), len(new)) > _MAX_TEXT:
        return text_differences(old, new, terms, "result")
    return text_differences(_svg(old), _svg(new), terms, "result")


def _svg(text: str) -> str:
    head, start, rest = text.partition("<metadata>")
    _, end, tail = rest.partition("</metadata>")
    return _with_numbered_ids(_NOT_SHOWN.sub("", head + tail if start and end else text))


def _with_numbered_ids(text: str) -> str:
    """Return the text with each id that is made up replaced by the number of its first appearance."""
    numbers: dict[str, str] = {}
    return _IDS.sub(lambda match: numbers.setdefault(match[0], f"id_{len(numbers)}_"), text)

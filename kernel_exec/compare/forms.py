"""One form of an output: what compares values of its MIME type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel_exec.compare.difference import Difference, changed, short
from kernel_exec.compare.images import encoded_differences
from kernel_exec.compare.markup import html_differences, svg_differences
from kernel_exec.compare.structure import unlike
from kernel_exec.compare.terms import Terms
from kernel_exec.compare.texts import text_differences
from kernel_exec.recording.cells import is_json

_WIDGET = "application/vnd.jupyter.widget-view+json"
"""Names a model by an id that is made up in each kernel: that there is one is all that can be compared."""

_Compare = Callable[[Any, Any, Terms], list[Difference]]


def form_differences(mime: str, old: Any, new: Any, terms: Terms) -> list[Difference]:
    """Return how two values of a MIME type differ.

    Args:
        mime: the type.
        old: the value then: data for JSON, a string for all else, unless the notebook is broken.
        new: the value now.
        terms: how close they must be.
    """
    if not isinstance(old, str) or not isinstance(new, str):
        return [] if mime == _WIDGET else json_differences(old, new, terms)
    if old == new:
        return []
    if (compare := _compare(mime)) is not None:
        return compare(old, new, terms)
    return [Difference("data", f"{len(old):,} characters of {short(mime, 60)} -> {len(new):,} others")]


def json_differences(old: Any, new: Any, terms: Terms) -> list[Difference]:
    """Return how JSON differs, the first values of it: keys in any order, numbers within tolerance."""
    return [
        Difference("data", f"{value.place}: {changed(value.old, value.new)}", short(value.old), short(value.new))
        for value in unlike(old, new, terms)
    ]


def _result_differences(old: str, new: str, terms: Terms) -> list[Difference]:
    return text_differences(old, new, terms, "result")


_COMPARES: dict[str, _Compare] = {
    "application/javascript": _result_differences,
    "application/x-latex": _result_differences,
    "image/svg+xml": svg_differences,
    "text/html": html_differences,
}


def _compare(mime: str) -> _Compare | None:
    if mime in _COMPARES:
        return _COMPARES[mime]
    if is_json(mime):
        return json_differences
    if mime.startswith("image/"):
        return encoded_differences
    return _result_differences if mime.startswith("text/") else None

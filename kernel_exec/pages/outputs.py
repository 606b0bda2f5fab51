"""Outputs as HTML. Whatever a recording holds, it is shown and does nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import nh3

from kernel_exec.pages.ansi import ansi_html

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
LONG = 2**20
"""Characters of one text that are shown."""
LARGE = 32 * 2**20
"""Characters of one picture in base64 that are shown."""
_RICHEST_FIRST = (
    "text/html",
    "image/svg+xml",
    *IMAGES,
    "text/markdown",
    "text/latex",
    "application/json",
    "text/plain",
)

_TAGS = nh3.ALLOWED_TAGS - {
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "iframe",
    "object",
    "embed",
    "base",
    "meta",
}
_ATTRIBUTES = {
    **{tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()},
    "*": {"class", "title", "dir", "lang", "align", "border"},
    "img": {"src", "alt", "width", "height"},
    "a": {"href", "title"},
}


def _kept(tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute that may stay: of addresses those of links, and pictures that are here."""
    if name in {"src", "href"}:
        is_picture = value.startswith(tuple(f"data:{mime};base64," for mime in IMAGES))
        if (tag, name) == ("img", "src"):
            return value if is_picture else None
        return None if value.startswith("data:") else value
    return value


_cleaner = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    clean_content_tags={"script", "style"},
    url_schemes={"data", "https", "http", "mailto"},
    attribute_filter=_kept,
    link_rel="noopener noreferrer",
)


def outputs_html(outputs: Iterable[Any]) -> str:
    """Return the outputs of a cell as HTML, in their order."""
    return "".join(output_html(output) for output in outputs)


def output_html(output: Any) -> str:
    """Return one output as HTML; what is none is shown as the text that it is."""
    if not isinstance(output, Mapping):
        return _text(repr(output), "other")
    match output.get("output_type"):
        case "stream":
            return _text(joined(output.get("text")), "stderr" if output.get("name") == "stderr" else "stdout")
        case "error":
            lines = output.get("traceback")
            traceback = "\n".join(map(str, lines)) if isinstance(lines, list) and lines else ""
            return _text(traceback or f"{output.get('ename')}: {output.get('evalue')}", "error")
        case "display_data" | "execute_result":
            return bundle_html(output.get("data"))
        case _:
            return _text(json.dumps(output, default=repr), "other")


def bundle_html(data: Any) -> str:
    """Return a MIME bundle as HTML: the richest form that can be shown without running anything."""
    if not isinstance(data, Mapping):
        return _text(repr(data), "other")
    for mime in _RICHEST_FIRST:
        if mime in data and (shown := _shown(mime, data[mime])):
            return shown
    return _text(f"[{', '.join(map(str, data)) or 'nothing'}]", "other")


def clean(html: str) -> str:
    """Return HTML without what could run, load, or reach beyond its place."""
    return _cleaner.clean(html)


def joined(value: Any) -> str:
    """Return the text that a notebook stores as a string or as lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown(mime: str, value: Any) -> str:
    """Return data of one type as HTML; "" when it cannot be shown."""
    if mime in IMAGES:
        return _image(mime, joined(value))
    if mime == "image/svg+xml":
        # In an image no script runs, and nothing is loaded (https://www.w3.org/TR/SVG2/conform.html#secure-static-mode).
        return _image(mime, base64.b64encode(joined(value).encode("utf-8", "replace")).decode())
    if mime == "text/html":
        cleaned = clean(joined(value)[:LONG])
        return f'<div class="html">{cleaned}</div>' if cleaned.strip() else ""
    if mime == "application/json":
        return _text(json.dumps(value, indent=1, ensure_ascii=False, default=repr), "json")
    if mime == "text/markdown":
        from kernel_exec.pages.cells import markdown_html

        return markdown_html(joined(value)[:LONG])
    return _text(joined(value), "plain")


def _image(mime: str, data: str) -> str:
    text = "".join(data.split())
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    if len(text) > LARGE:
        return _text(f"[{mime}, {len(text):,} characters]", "other")
    return f'<img class="picture" alt="{mime}" src="data:{mime};base64,{text}">'


def _text(text: str, kind: str) -> str:
    more = len(text) - LONG
    shown = text[:LONG] + (f"\n... ({more:,} more characters)" if more > 0 else "")
    return f'<pre class="{kind}">{ansi_html(shown)}</pre>'


def escaped(text: str) -> str:
    """Return text for HTML."""
    return escape(text, quote=True)

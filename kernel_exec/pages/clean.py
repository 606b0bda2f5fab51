"""HTML by others, reduced to what shows something and does nothing. Pure."""

from __future__ import annotations

import re

import nh3

from kernel_exec.pages.tidy import RAW, tidy

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
"""What an image element may show: in it no script runs, and nothing is loaded
(https://www.w3.org/TR/SVG2/conform.html#secure-static-mode)."""

_TAGS = nh3.ALLOWED_TAGS - {"area", "map"}
"""No forms, frames, styles, SVG or MathML: nothing that acts, and nothing that is parsed by other rules."""
_ATTRIBUTES = {
    **{tag: set(names) - {"cite", "headers"} for tag, names in nh3.ALLOWED_ATTRIBUTES.items()},
    # No names and no ids: scripts of the page would find them in the place of its own.
    "*": {"title", "dir", "lang", "align"},
    "img": {"src", "alt", "title", "width", "height"},
    "a": {"href", "title"},
    "details": {"open"},
}
_CLASSES = {"table": {"dataframe"}}
"""Classes that the page knows: with others, an output could look like a part of the page."""
_PICTURE = re.compile(rf"data:(?:{'|'.join(map(re.escape, PICTURES))});base64,[A-Za-z0-9+/=\s]*")
_LINK = re.compile(r"(?:https?://|mailto:|#)[^\x00-\x20]*|[^\x00-\x20:/?#\\]+(?:[/?#][^\x00-\x20]*)?", re.IGNORECASE)
"""Where a link may lead, once somebody follows it: elsewhere, within the page, or to a file beside it."""


def _kept(tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute that may stay: of addresses those of links, and pictures that are here."""
    match name:
        case "src":
            return value if tag == "img" and _PICTURE.fullmatch(value) else None
        case "href":
            return value if tag == "a" and _LINK.fullmatch(value.strip()) else None
        case _:
            return value


_cleaner = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    clean_content_tags=set(RAW),
    url_schemes={"data", "https", "http", "mailto"},
    attribute_filter=_kept,
    allowed_classes=_CLASSES,
    link_rel="noopener noreferrer",
)


def clean(html: str) -> str:
    """Return HTML without what could run, load, or reach beyond its place.

    Raises:
        TooDeepError: it is nested too deeply.
    """
    # Half a character of UTF-16 may stand in JSON, and nowhere else.
    return _cleaner.clean(tidy(html.encode("utf-8", "replace").decode(), _TAGS))

"""Outputs as HTML. Whatever a recording holds, it is shown and does nothing."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from kernel_exec.pages.ansi import ansi_html, plain
from kernel_exec.pages.clean import PICTURES, clean
from kernel_exec.pages.tidy import TooDeepError

LONG = 2**20
"""Characters of one text that are shown."""
TALL = 60
"""Lines of one text beyond which it has a scroll bar of its own."""
LARGE = 32 * 2**20
"""Characters of one picture in base64 that are shown."""
WIDE = 2**14
"""Pixels of a picture's edge beyond which it is only named: drawn, it takes a gigabyte."""
_RICHEST_FIRST = (
    "text/html",
    "image/svg+xml",
    *PICTURES[:-1],
    "text/markdown",
    "text/latex",
    "application/json",
    "text/plain",
)
_SCRIPT = re.compile(r"<script\b", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def outputs_html(outputs: Iterable[Any], *, nonce: str = "") -> str:
    """Return the outputs of a cell as HTML, in their order.

    Args:
        outputs: as a notebook has them; nothing of them is believed.
        nonce: of the page's policy, to have HTML with scripts run in frames of its own; "" to run none.
    """
    return "".join(output_html(output, nonce=nonce) for output in outputs)


def output_html(output: Any, *, nonce: str = "") -> str:
    """Return one output as HTML; what is none is shown as the text that it is. Arguments as for `outputs_html`."""
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
            return bundle_html(output.get("data"), nonce=nonce)
        case _:
            return _text(json.dumps(output, default=repr), "other")


def bundle_html(data: Any, *, nonce: str = "") -> str:
    """Return a MIME bundle as HTML: the richest form that can be shown. Arguments as for `outputs_html`."""
    if not isinstance(data, Mapping):
        return _text(repr(data), "other")
    left_out = ""
    for mime in _RICHEST_FIRST:
        try:
            if mime in data and (shown := _shown(mime, data[mime], nonce)):
                return left_out + shown
        except TooDeepError as error:
            left_out = _text(f"[{mime}: {error}]", "other")
    return left_out or _text(f"[{', '.join(map(str, data)) or 'nothing'}]", "other")


def joined(value: Any) -> str:
    """Return the text that a notebook stores as a string or as lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def escaped(text: str) -> str:
    """Return text for HTML, without controls."""
    return escape(plain(text), quote=True)


def picture_uri(mime: str, value: Any) -> str:
    """Return a picture of a MIME bundle as a URI that holds it; "" when it is none, or too large to be drawn."""
    if mime == "image/svg+xml":
        text = base64.b64encode(joined(value).encode("utf-8", "replace")).decode()
    else:
        text = "".join(joined(value).split())
    if mime not in PICTURES or len(text) > LARGE or not _BASE64.fullmatch(text) or _is_wide(mime, text):
        return ""
    return f"data:{mime};base64,{text}"


def _shown(mime: str, value: Any, nonce: str) -> str:
    """Return data of one type as HTML; "" when it cannot be shown."""
    if mime in PICTURES:
        uri = picture_uri(mime, value)
        return f'<img class="picture" loading="lazy" decoding="async" alt="{mime}" src="{uri}">' if uri else ""
    if mime == "text/html":
        html = joined(value)
        if nonce and _SCRIPT.search(html):
            return _frame(html, nonce)
        cleaned = clean(html[:LONG])
        return f'<div class="html">{cleaned}</div>' if cleaned.strip() else ""
    if mime == "application/json":
        return _text(json.dumps(value, indent=1, ensure_ascii=False, default=repr), "json")
    if mime == "text/markdown":
        from kernel_exec.pages.markdown import markdown_html

        return markdown_html(joined(value))
    return _text(joined(value), "plain")


def _frame(html: str, nonce: str) -> str:
    """Return HTML in a frame that has an origin of its own, where its scripts run; all else is the page's policy."""
    # Without quotes, so that a script that writes scripts is still one.
    allowed = _SCRIPT.sub(f"<script nonce={nonce} ", html)
    source = escape(allowed, quote=True)
    return f'<iframe class="frame" sandbox="allow-scripts" loading="lazy" srcdoc="{source}"></iframe>'


def _is_wide(mime: str, text: str) -> bool:
    """Whether a picture says that it is larger than can be drawn; a PNG says it in its first chunk."""
    if mime != "image/png":
        return False
    try:
        head = base64.b64decode(text[:32])
    except (binascii.Error, ValueError):
        return False
    return max(int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) > WIDE


def _text(text: str, kind: str) -> str:
    if not text:
        return ""
    more = len(text) - LONG
    shown = text[:LONG] + (f"\n... ({more:,} more characters)" if more > 0 else "")
    tall = " tall" if shown.count("\n") > TALL else ""
    return f'<pre class="{kind}{tall}">{ansi_html(shown)}</pre>'

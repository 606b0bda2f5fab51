"""Markdown as HTML that does nothing. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Any
from urllib.parse import unquote

from kernel_exec.pages.clean import clean
from kernel_exec.pages.outputs import LONG, escaped, picture_uri
from kernel_exec.pages.tidy import TooDeepError

_ATTACHED = re.compile(r'(?<=src=")attachment:([^"]{1,1000})(?=")')
_LONG_TEXT = 200_000
"""Characters beyond which it is shown as the text that it is: some of it takes quadratic time."""
_NONE: Mapping[str, Any] = {}


def markdown_html(text: str, attachments: Mapping[str, Any] = _NONE) -> str:
    """Return Markdown as HTML that does nothing.

    Args:
        text: the Markdown; HTML in it is shown as far as it does nothing.
        attachments: pictures that it names, each a MIME bundle.
    """
    if len(text) > _LONG_TEXT:
        return _raw(text)
    try:
        html = _ATTACHED.sub(lambda match: _attached(match[1], attachments), _markdown()(text))
        return f'<div class="html text">{clean(html)}</div>'
    except (RecursionError, TooDeepError):  # quotes in quotes, a thousand deep
        return _raw(text)


def _raw(text: str) -> str:
    return f'<pre class="raw">{escaped(text[:LONG])}</pre>'


def _attached(name: str, attachments: Mapping[str, Any]) -> str:
    name = unescape(name)
    bundle = attachments.get(name, attachments.get(unquote(name)))
    pairs = bundle.items() if isinstance(bundle, Mapping) else ()
    return next((uri for mime, value in pairs if (uri := picture_uri(str(mime), value))), "")


@functools.cache
def _markdown() -> Callable[[str], str]:
    import mistune  # takes a while

    # What is harmful is `clean`'s to know: this one takes attachments for it.
    renderer = mistune.HTMLRenderer(escape=False, allow_harmful_protocols=True)
    render = mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough", "url"])
    return lambda text: str(render(text))

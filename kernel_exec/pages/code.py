"""Code as HTML, with its syntax marked."""

from __future__ import annotations

import functools
from collections.abc import Callable

from kernel_exec.pages.ansi import plain
from kernel_exec.pages.outputs import LONG, escaped

_LONG_CODE = 100_000
"""Characters of code beyond which its syntax is not marked: it takes a second for each megabyte."""


def code_html(source: str, language: str = "python") -> str:
    """Return code as HTML.

    Args:
        source: the code.
        language: as notebooks name it; of one that is not known nothing is marked.
    """
    shown = plain(source[:LONG]) + ("\n..." if len(source) > LONG else "")
    marked = _highlighter(language)(shown) if len(source) <= _LONG_CODE else escaped(shown)
    return f'<div class="source"><pre>{marked}</pre></div>'


@functools.lru_cache(maxsize=8)
def _highlighter(language: str) -> Callable[[str], str]:
    from pygments import highlight  # takes a while
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name("python" if language == "ipython" else language, stripnl=False)
    except (ClassNotFound, ImportError, ValueError):
        return escaped
    formatter = HtmlFormatter(nowrap=True)
    return lambda source: str(highlight(source, lexer, formatter)).rstrip("\n")

"""Cells as HTML."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from kernel_exec.pages.outputs import clean, escaped, joined, outputs_html


def cell_html(cell: Mapping[str, Any]) -> str:
    """Return a cell as HTML: its source, and its outputs.

    Args:
        cell: as a notebook has it; nothing of it is believed.
    """
    source = joined(cell.get("source", ""))
    if cell.get("cell_type") == "markdown":
        return f'<section class="markdown">{markdown_html(source)}</section>'
    if cell.get("cell_type") != "code":
        return f'<section class="raw"><pre>{escaped(source)}</pre></section>'
    outputs = cell.get("outputs")
    count = cell.get("execution_count")
    prompt = f"In [{count if isinstance(count, int) else ' '}]:"
    shown = outputs_html(outputs if isinstance(outputs, list) else ())
    return (
        f'<section class="code"><div class="prompt">{prompt}</div>{code_html(source)}'
        f'<div class="outputs">{shown}</div></section>'
    )


def code_html(source: str) -> str:
    """Return Python code as HTML, with its syntax marked."""
    return f'<div class="source"><pre>{_highlighter()(source)}</pre></div>'


def markdown_html(text: str) -> str:
    """Return Markdown as HTML that does nothing."""
    return f'<div class="html">{clean(_markdown()(text))}</div>'


@functools.cache
def _highlighter() -> Callable[[str], str]:
    from pygments import highlight  # takes a while
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import Python3Lexer

    lexer, formatter = Python3Lexer(), HtmlFormatter(nowrap=True)
    return lambda source: str(highlight(source, lexer, formatter))


@functools.cache
def _markdown() -> Callable[[str], str]:
    import mistune  # takes a while

    render = mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "url"])
    return lambda text: str(render(text))

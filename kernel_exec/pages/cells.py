"""Cells as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from kernel_exec.pages.code import code_html
from kernel_exec.pages.facts import Artifact, Facts, bytes_text, seconds_text
from kernel_exec.pages.markdown import markdown_html
from kernel_exec.pages.outputs import LONG, escaped, outputs_html
from kernel_exec.recording.source import SourceCell

_MANY = 20
"""Artifacts of a cell that are named."""


def cell_html(cell: SourceCell, facts: Facts, *, anchor: str, language: str = "python", nonce: str = "") -> str:
    """Return a cell as HTML: its source, its outputs, and how it went.

    Args:
        cell: nothing of it is believed.
        facts: what is known of it.
        anchor: id of the element.
        language: of its code.
        nonce: as for `outputs_html`.
    """
    kind = f"event {facts.event}" if facts.event else cell.cell_type
    return (
        f'<article id="{anchor}" class="cell {kind} {facts.status}"><div class="count">{_count(cell)}</div>'
        f'<div class="body">{_body(cell, language, nonce)}{_footer(facts)}</div></article>'
    )


def _count(cell: SourceCell) -> str:
    return f"[{cell.execution_count}]" if cell.execution_count is not None else ""


def _body(cell: SourceCell, language: str, nonce: str) -> str:
    if cell.cell_type == "code":
        source = code_html(cell.source, language) if cell.source.strip() else ""
        outputs = outputs_html(cell.outputs, nonce=nonce)
        return f'{source}<div class="outputs">{outputs}</div>' if outputs else source
    if cell.cell_type == "markdown":
        return markdown_html(cell.source, cell.attachments)
    return f'<pre class="raw">{escaped(cell.source[:LONG])}</pre>'


def _footer(facts: Facts) -> str:
    parts = [*_state(facts), *_measures(facts), *map(_file, facts.artifacts[:_MANY]), *_more(facts.artifacts)]
    return f'<div class="facts">{"".join(parts)}</div>' if parts else ""


def _state(facts: Facts) -> list[str]:
    if not facts.status:
        return []
    since = f' data-since="{facts.started.isoformat()}"' if facts.started and facts.status == "running" else ""
    parts = [f'<span class="status {facts.status}"{since}>{facts.status}</span>']
    if facts.reason:
        parts.append(f"<span>{escaped(facts.reason)}</span>")
    if facts.lost:
        parts.append('<span class="lost">state lost</span>')
    return parts


def _measures(facts: Facts) -> list[str]:
    parts = []
    if facts.duration is not None:
        parts.append(f'<span title="duration">{seconds_text(facts.duration)}</span>')
    if facts.peak_memory:
        parts.append(f'<span title="peak memory">{bytes_text(facts.peak_memory)}</span>')
    return parts


def _file(artifact: Artifact) -> str:
    size = f" {bytes_text(artifact.size)}" if artifact.size is not None and artifact.change != "deleted" else ""
    return f'<span class="file" title="{escaped(artifact.change)}"><b>{escaped(artifact.path)}</b>{size}</span>'


def _more(artifacts: Sequence[Artifact]) -> list[str]:
    more = len(artifacts) - _MANY
    return [f"<span>and {more:,} more files</span>"] if more > 0 else []

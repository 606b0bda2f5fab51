"""What a person wants to know of a session at a glance, as HTML. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kernel_exec.pages.facts import STATUSES, Artifact, Facts, bytes_text, seconds_text
from kernel_exec.pages.outputs import escaped
from kernel_exec.recording.source import Program, SourceCell

_HEADING = re.compile(r"^ {0,3}#{1,2}[ \t]+(.{1,200})", re.MULTILINE)
_TEXT = re.compile(r"[`*_\[\]<>#]|\]\([^)]*\)")
_PROBLEMS = frozenset({"error", "timeout", "interrupted", "died", "aborted", "denied", "unfinished"})
TITLED = 5
"""Cells among which a heading is looked for that is the title."""
_MANY = 500
"""Lines of a list that are shown."""


def title_of(program: Program, fallback: str) -> str:
    """Return the title of a session: what its metadata says, else its first heading, else the fallback."""
    told = program.metadata.get("title") or program.facts.get("name")
    if isinstance(told, str) and told.strip():
        return told.strip()[:200]
    return next((heading for cell in program.cells[:TITLED] if (heading := _heading(cell))), fallback)


def header_html(program: Program, facts: Sequence[Facts], *, title: str, name: str, state: str = "") -> str:
    """Return the head of a page.

    Args:
        program: the session.
        facts: of each of its cells.
        title: its title.
        name: of its file.
        state: what it does now; "" for a page that does not change.
    """
    return (
        f'<header><h1>{escaped(title)}</h1><p class="sub">{_subtitle(program, facts, name)}</p>'
        f'<p class="chips">{_state(state, facts)}{_counts(facts)}{_totals(facts)}</p>'
        f"{_problems(facts)}{_files(facts)}{_environment(program)}{_notes(program.notes)}</header>"
    )


def anchor(index: int) -> str:
    """Return the id of the element of a cell."""
    return f"cell-{index}"


def _heading(cell: SourceCell) -> str:
    found = _HEADING.search(cell.source) if cell.cell_type == "markdown" else None
    return _TEXT.sub("", found[1]).strip() if found else ""


def _subtitle(program: Program, facts: Sequence[Facts], name: str) -> str:
    origin = _mapping(program.facts.get("origin")).get("notebook")
    spec = _mapping(program.metadata.get("kernelspec")).get("display_name")
    started = min((fact.started for fact in facts if fact.started), default=None)
    parts = [
        name,
        f"a replay of {origin}" if isinstance(origin, str) else "",
        spec if isinstance(spec, str) else "",
        _when(started),
    ]
    return " · ".join(f"<span>{escaped(part[:300])}</span>" for part in parts if part)


def _when(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else ""


def _state(state: str, facts: Sequence[Facts]) -> str:
    """Return what the session does now, with what its script tells beside it: the memory of the last cell that ran."""
    memory = next((fact.peak_memory for fact in reversed(facts) if fact.peak_memory), 0)
    told = f' data-state="{state}" data-memory="{bytes_text(memory) if memory else ""}"'
    return f'<span class="live {state}"{told}>{state}</span>' if state else ""


def _counts(facts: Sequence[Facts]) -> str:
    counted = Counter(fact.status for fact in facts if fact.status)
    chips = (f'<span class="status {status}">{counted[status]:,} {status}</span>' for status in STATUSES)
    return "".join(chip for status, chip in zip(STATUSES, chips, strict=True) if counted[status])


def _totals(facts: Sequence[Facts]) -> str:
    peak = max((fact.peak_memory for fact in facts if fact.peak_memory), default=0)
    events = Counter(fact.event for fact in facts)
    parts = [
        _many(len(facts), "cell"),
        f"ran {seconds_text(sum(fact.duration or 0 for fact in facts))}",
        f"peak memory {bytes_text(peak)}" if peak else "",
        _many(events["restart"], "restart") if events["restart"] else "",
        _many(events["resume"], "resumption") if events["resume"] else "",
    ]
    return "".join(f"<span>{part}</span>" for part in parts if part)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _problems(facts: Sequence[Facts]) -> str:
    links = [f'<a href="#{anchor(i)}">{fact.status}</a>' for i, fact in enumerate(facts) if fact.status in _PROBLEMS]
    return f'<p class="problems">Look at: {" ".join(links[:_MANY])}</p>' if links else ""


def _files(facts: Sequence[Facts]) -> str:
    last: dict[str, Artifact] = {artifact.path: artifact for fact in facts for artifact in fact.artifacts}
    files = [last[path] for path in sorted(last) if last[path].change != "deleted"]
    total = bytes_text(sum(file.size or 0 for file in files))
    rows = ((file.path, "" if file.size is None else bytes_text(file.size)) for file in files)
    return _folded(f"{_many(len(files), 'file')}, {total}", _table(rows)) if files else ""


def _environment(program: Program) -> str:
    told = _mapping(program.facts.get("environment"))
    info = _mapping(program.metadata.get("language_info"))
    plain = {key: value for key, value in told.items() if isinstance(value, str | int | float)}
    if not plain and isinstance(info.get("version"), str):
        plain = {str(info.get("name")): info["version"]}
    nested = {key: value for key, value in told.items() if isinstance(value, Mapping) and value}
    if not plain and not nested:
        return ""
    inner = "".join(_folded(f"{len(value):,} {key}", _table(value.items())) for key, value in nested.items())
    brief = ", ".join(f"{key} {plain[key]}" for key in ("python", "platform", "kernel") if key in plain)
    return _folded(f"Environment{': ' if brief else ''}{brief}", _table(plain.items()) + inner)


def _notes(notes: Sequence[str]) -> str:
    return _folded("Notes", "".join(f"<p>{escaped(note)}</p>" for note in notes)) if notes else ""


def _folded(summary: str, inner: str) -> str:
    return f"<details><summary>{escaped(summary[:300])}</summary>{inner}</details>"


def _table(rows: Iterable[tuple[Any, Any]]) -> str:
    cells = [f"<tr><td>{escaped(str(a)[:500])}</td><td>{escaped(str(b)[:500])}</td></tr>" for a, b in rows]
    more = f"<p>and {len(cells) - _MANY:,} more</p>" if len(cells) > _MANY else ""
    return f'<table class="plain">{"".join(cells[:_MANY])}</table>{more}' if cells else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

"""Results as text for a terminal. Pure functions; nothing that they return can drive the terminal, but for colours."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kernel_exec.cli.tables import Table, is_number, table_of
from kernel_exec.cli.tame import RESET, tamed
from kernel_exec.results import Artifact, ExecutionResult
from kernel_exec.tracebacks import in_library
from kernel_exec.wire.terminal import strip_ansi

if TYPE_CHECKING:
    from rich.console import RenderableType

DIM, RED = "\x1b[2m", "\x1b[31m"
MAX_MARKDOWN = 50_000
SHOWN_ARTIFACTS = 10


def dim(text: str) -> str:
    """Return what the console itself has to say."""
    return f"{DIM}{tamed(text)}{RESET}\n"


def readable(data: Mapping[str, Any], *, width: int) -> str:
    """Return a MIME bundle as text that ends without a newline; "" for an empty one.

    Args:
        data: what was displayed.
        width: columns of the terminal.
    """
    markdown, html, plain = data.get("text/markdown"), data.get("text/html"), data.get("text/plain")
    if isinstance(markdown, str):
        return _markdown(markdown, width)
    if isinstance(html, str) and (table := table_of(html)) and (drawn := _table(table, width)):
        return drawn
    if isinstance(plain, str):
        return tamed(plain)
    return tamed(f"[{', '.join(sorted(data))}]") if data else ""


def short_traceback(frames: Sequence[str]) -> list[str]:
    """Return a traceback without the frames that lie in libraries.

    Args:
        frames: as the kernel sent them: a heading, the frames, what was raised; several times where one error led
            to another.
    """
    kept: list[str] = []
    for is_library, group in groupby(frames, lambda frame: in_library(strip_ansi(frame))):
        texts = list(group)
        kept += [f"{DIM}... {len(texts)} more in libraries{RESET}"] if is_library else map(tamed, texts)
    return kept


def error_text(name: str, value: str, frames: Sequence[str]) -> str:
    """Return an error as text: its shortened traceback, or what was raised where there is none."""
    return "\n".join(short_traceback(frames)) if frames else f"{RED}{tamed(f'{name}: {value}')}{RESET}"


def ending(result: ExecutionResult, *, error_shown: bool) -> str:
    """Return what there is to say when a cell has ended, beside its output: lines, or ""."""
    lines = [] if error_shown or not result.error else [f"{RED}{tamed(str(result.error))}{RESET}\n"]
    lines += [dim(f"picture: {image.path}") for image in result.images if image.path]
    lines += [dim(f"file {told(artifact)}") for artifact in result.artifacts[:SHOWN_ARTIFACTS]]
    if len(result.artifacts) > SHOWN_ARTIFACTS:
        lines.append(dim(f"and {len(result.artifacts) - SHOWN_ARTIFACTS} more files"))
    lines += [dim(f"note: {note}") for note in result.notes]
    lines += [] if result.state_preserved else [dim("a fresh kernel: all variables are lost")]
    return "".join(lines)


def told(artifact: Artifact) -> str:
    """Return what happened to a file, in a few words."""
    size = "" if artifact.change == "deleted" else f", {artifact.size:,} bytes"
    return f"{artifact.change}: {_in_one_line(str(artifact.path))}{size}"


def _in_one_line(name: str) -> str:
    return name if name.isprintable() else ascii(name)


@cache
def has_rich() -> bool:
    """Whether the extra for tables and Markdown is there."""
    return find_spec("rich") is not None


def _markdown(text: str, width: int) -> str:
    if not has_rich() or len(text) > MAX_MARKDOWN:
        return tamed(text)
    from rich.markdown import Markdown

    return _drawn(Markdown(strip_ansi(tamed(text)), hyperlinks=False), width)


def _table(table: Table, width: int) -> str | None:
    """Return a table drawn with lines; None when it cannot be, or does not fit."""
    if not has_rich():
        return None
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawing
    from rich.text import Text

    drawing = Drawing(box=box.SIMPLE_HEAD, show_edge=False)
    for index, name in enumerate(table.head):
        numbers = all(is_number(row[index].strip()) for row in table.rows)
        drawing.add_column(Text(_plain(name)), justify="right" if numbers else "left", no_wrap=True)
    for row in table.rows:
        drawing.add_row(*(Text(_plain(cell)) for cell in row))
    if Console(width=10_000).measure(drawing).minimum > width:
        return None
    return _drawn(drawing, width) + (f"\n{_plain(table.caption)}" if table.caption else "")


def _plain(text: str) -> str:
    return " ".join(strip_ansi(tamed(text)).split())


def _drawn(thing: RenderableType, width: int) -> str:
    """Return what rich makes of something."""
    from rich.console import Console

    paper = io.StringIO()
    Console(file=paper, width=width, force_terminal=True, color_system="standard", highlight=False).print(thing)
    return tamed("\n".join(line.rstrip() for line in paper.getvalue().splitlines())).strip("\n")

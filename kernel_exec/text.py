"""What a model should read of a cell: the error first and short, then everything in its order, within the limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernel_exec.glyphs import without_warnings
from kernel_exec.results import ErrorInfo, Output
from kernel_exec.tracebacks import printed_group, short, without_cell_files
from kernel_exec.wire.budget import description_of
from kernel_exec.wire.terminal import strip_ansi

MANY_FILES = 20
"""Files that a text names."""


def text_of(
    outputs: Sequence[Output], error: ErrorInfo | None, files: Sequence[str] = (), undrawn: Sequence[str] = ()
) -> str:
    """Return the whole text: the error in short, then all outputs in the order in which they came, then what it did.

    Args:
        outputs: what the cell put out.
        error: why it did not end well.
        files: what it did to files, each in words.
        undrawn: what characters could not be drawn, in sentences. They stand for matplotlib's warnings, which repeat
            themselves for each character.
    """
    parts: list[str] = []
    if error:
        outputs, more = _without(error, outputs)
        parts = [short(error), *more]
    parts += [_readable(output) for output in outputs]
    parts += [f"[{sentence}]" for sentence in undrawn]
    if files:
        more_files = f", and {len(files) - MANY_FILES:,} more" if len(files) > MANY_FILES else ""
        parts.append(f"[files: {', '.join(files[:MANY_FILES])}{more_files}]")
    return "\n".join(part.rstrip("\n") for part in parts if part.strip())


def cut(text: str, limit: int, places: Sequence[str]) -> str:
    """Return head and tail of a text that is too long, and a line between them that says so.

    Args:
        text: the text.
        limit: characters that may be returned.
        places: the files that all of it is in.
    """
    where = f"; all of it is in {' and '.join(places)}" if places else ""
    line = f"\n[... {len(text):,} characters, of which these are the first and the last{where} ...]\n"
    room = limit - len(line)
    if room < 0:  # too little for that: the end of the line, with the name of the file, says most
        return line[-limit:]
    head = room // 2
    return text[:head] + line + text[len(text) - (room - head) :]


def _without(error: ErrorInfo, outputs: Sequence[Output]) -> tuple[list[Output], list[str]]:
    """Return the outputs without what they say of the error, and what of that is not in its traceback."""
    rest = [output for output in outputs if not _tells(output, error)]
    if error.traceback:
        return rest, []
    for at in reversed(range(len(rest))):  # IPython prints what it sends no traceback for
        if rest[at]["output_type"] == "stream" and rest[at]["name"] == "stderr":
            text, more = printed_group(_readable(rest[at]))
            rest[at] = {**rest[at], "text": text.removesuffix(f"{error}\n")}
            return rest, more
    return rest, []


def _tells(output: Output, error: ErrorInfo) -> bool:
    if output["output_type"] != "error":
        return False
    told = _error_of(output)
    return told.traceback == error.traceback or (told.name, told.value) == (error.name, error.value)


def _error_of(output: Output) -> ErrorInfo:
    return ErrorInfo(output["ename"], strip_ansi(output["evalue"]), tuple(map(strip_ansi, output["traceback"])))


def _readable(output: Output) -> str:
    if output["output_type"] == "stream":
        text = strip_ansi(output["text"])
        return without_cell_files(without_warnings(text)) if output["name"] == "stderr" else text
    if output["output_type"] == "error":
        return short(_error_of(output))
    data: dict[str, Any] = output["data"]
    if description := description_of(output):
        return description
    for mime in ("text/markdown", "text/plain", "text/html", "application/json"):
        if mime in data and not any(kind.startswith("image/") for kind in data):
            return str(data[mime])
    return f"[{', '.join(sorted(data))}]" if data else ""

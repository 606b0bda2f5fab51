"""What a cell shows, read from a notebook that may hold anything: wrong types become text, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from kernel_exec.compare.difference import short
from kernel_exec.compare.rules import Rules
from kernel_exec.recording.cells import is_json

MAX_OUTPUTS = 2_000
"""Outputs of a cell that are compared; of others, how many there are."""

_NAMES = {"execute_result": "result", "display_data": "display"}
_STREAMS = frozenset({"stdout", "stderr"})
_IGNORED_AS = {"stdout": "stdout", "stderr": "stderr", "result": "results", "display": "displays", "error": "errors"}


@dataclass(slots=True)
class Shown:
    """One output; of streams, all that came between two other outputs.

    Attributes:
        name: "stdout", "stderr", "result", "display" or "error".
        index: where it is, or begins, among the cell's outputs.
        bundle: what it holds by MIME type; text is one string, unless the notebook has something else in its place. Of
            an error, `ename` and `evalue`.
        facts: what our kernels say beside it: type, shape, types of columns; "" where nothing is said.
    """

    name: str
    index: int
    bundle: dict[str, Any] = field(default_factory=dict)
    facts: str = ""

    def __str__(self) -> str:
        """Return what it is, for a message."""
        if self.name == "error":
            return f"error {short(': '.join(self.bundle.values()), 80)}"
        text = self.bundle.get("text/plain") or self.bundle.get("text")
        shown = repr(short(text.strip(), 60)) if isinstance(text, str) else short(", ".join(self.bundle), 60)
        return f"{self.name} {shown}"


def shown_by(cell: Mapping[str, Any], rules: Rules) -> list[Shown]:
    """Return what a cell shows, in order, but for what the rules ignore.

    Of neighbouring streams all stdout is one and all stderr is one, as how they were chunked and interleaved is chance.
    """
    outputs = cell.get("outputs")
    items = enumerate(outputs) if isinstance(outputs, list) else ()
    every = [item for index, output in items if (item := _shown(index, output)) is not None]
    wanted = [item for item in every if _IGNORED_AS[item.name] not in rules.ignore]
    if "images" in rules.ignore:
        for item in wanted:
            item.bundle = {mime: value for mime, value in item.bundle.items() if not mime.startswith("image/")}
    shown = [item for item in _merged(wanted) if item.bundle]
    if len(shown) > MAX_OUTPUTS:
        beyond = f"{len(shown) - MAX_OUTPUTS:,} more outputs"
        shown[MAX_OUTPUTS:] = [Shown("display", shown[MAX_OUTPUTS].index, {"text/plain": beyond})]
    return shown


def one_text(value: Any) -> str:
    """Return what a notebook holds as text: a string, lines, or whatever it is in words."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value if isinstance(value, str) else short(value)


def _shown(index: int, output: Any) -> Shown | None:
    if not isinstance(output, dict):
        return None
    kind, name = output.get("output_type"), output.get("name")
    if kind == "stream" and isinstance(name, str) and name in _STREAMS:
        return Shown(name, index, {"text": one_text(output.get("text", ""))})
    if kind == "error":
        return Shown("error", index, {key: one_text(output.get(key, "")) for key in ("ename", "evalue")})
    if isinstance(kind, str) and kind in _NAMES:
        data = output.get("data")
        bundle = {str(mime): _value(str(mime), value) for mime, value in data.items()} if isinstance(data, dict) else {}
        return Shown(_NAMES[kind], index, bundle, _facts(output.get("metadata")))
    return None


def _value(mime: str, value: Any) -> Any:
    lines = isinstance(value, list) and all(isinstance(line, str) for line in value)
    return "".join(value) if lines and not is_json(mime) else value


def _facts(metadata: Any) -> str:
    """Return the head of the description that our kernels give: what is above the values themselves."""
    ours = metadata.get("kernel_exec") if isinstance(metadata, dict) else None
    text = ours.get("text") if isinstance(ours, dict) else None
    if not isinstance(text, str):
        return ""
    for start in ("\nrows:", "\nvalues:"):
        if start in text:
            return text.partition(start)[0]
    return text.partition("\n")[0]


def _merged(items: list[Shown]) -> Iterator[Shown]:
    for streams, group in groupby(items, key=lambda item: item.name in _STREAMS):
        if not streams:
            yield from group
            continue
        pieces = list(group)
        for name in sorted(_STREAMS, reverse=True):
            same = [piece for piece in pieces if piece.name == name]
            if text := "".join(piece.bundle["text"] for piece in same):
                yield Shown(name, same[0].index, {"text": text})

"""What a model should read of a table or an array: its shape, its types, a few values. Bounded in size and in work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

ROWS = 5
COLUMNS = 30
_WIDTH = 60
_LONG = 10_000


def describe(value: Any) -> str | None:
    """Return the description of a data frame, a series or an array; None for anything else, or where it fails."""
    for library, name, function in _KNOWN:
        kind = getattr(sys.modules.get(library), name, None)
        if kind is not None and type(value) is kind:
            try:
                return function(value)[:_LONG]
            except Exception:
                return None  # what the library itself says is shown instead
    return None


def describing(format: Callable[..., Any]) -> Callable[..., Any]:  # noqa: A002 - what IPython calls it
    """Return a `DisplayFormatter.format` that puts descriptions into the metadata of displays."""

    def with_description(obj: Any, *args: Any, **kwargs: Any) -> Any:
        data, metadata = format(obj, *args, **kwargs)
        text = describe(obj) if data else None
        return data, {**metadata, "kernel_exec": {"text": text}} if text else metadata

    return with_description


def _frame(frame: Any) -> str:
    rows, columns = frame.shape
    shown = frame.iloc[:ROWS, :COLUMNS]
    types = [f"  {str(name)[:_WIDTH]}: {dtype}" for name, dtype in zip(shown.columns, shown.dtypes, strict=True)]
    if columns > COLUMNS:
        types.append(f"  ... {columns - COLUMNS} more")
    head = f"DataFrame, {rows} rows x {columns} columns"
    first = f"first {len(shown)} rows:" if rows > ROWS else "rows:"
    return "\n".join([head, *types, first, _printed(shown)])


def _series(series: Any) -> str:
    name = f" {str(series.name)[:_WIDTH]!r}" if series.name is not None else ""
    first = f"first {ROWS}:" if len(series) > ROWS else "values:"
    return f"Series{name}, {len(series)} x {series.dtype}\n{first}\n{_printed(series.iloc[:ROWS])}"


def _printed(shown: Any) -> str:
    with sys.modules["pandas"].option_context("display.max_colwidth", _WIDTH, "display.width", 200):
        return str(shown.to_string())


def _array(array: Any) -> str:
    shape = " x ".join(map(str, array.shape)) or "a scalar"
    text = sys.modules["numpy"].array2string(array, threshold=20, edgeitems=3, max_line_width=120)
    return f"array, {shape}, {array.dtype}\n{text[:2000]}"


_KNOWN: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("pandas", "DataFrame", _frame),
    ("pandas", "Series", _series),
    ("numpy", "ndarray", _array),
)

"""What the user's variables are, told without running any code of theirs.

Only exact builtin types are looked into, and known types of known libraries; of everything else only the name of its
class is said, which is read where no metaclass can interfere. Classes are compared by identity alone, as `==` and
`in` ask the metaclass. All work is bounded, whatever the value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

WIDTH = 120
"""Characters of a preview, at the most."""
ITEMS = 8
DEPTH = 3
BITS = 1024
"""Integers beyond are not written out: that takes time in the square of their length."""

_qualname = vars(type)["__qualname__"].__get__
_module = vars(type)["__module__"].__get__
_attributes: Callable[[ModuleType], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__
_TEXTS = frozenset(map(id, (str, bytes, bytearray)))
_BRACKETS = {
    id(kind): (kind, brackets)
    for kind, brackets in ((list, "[]"), (tuple, "()"), (dict, "{}"), (set, "{}"), (frozenset, "{}"))
}
_ATOMS = frozenset(map(id, (bool, float, complex, range, type(None), type(...), type(NotImplemented))))
_FUNCTIONS = frozenset(map(id, (FunctionType, BuiltinFunctionType)))

Describe = Callable[[Any], "Facts"]


class Facts(NamedTuple):
    """Shape, size in bytes and preview of a value."""

    shape: list[int] | None
    size: int | None
    preview: str


def variables(namespace: Mapping[str, Any], hidden: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what user code has named, in the order of definition; modules and names with an underscore left out.

    Args:
        namespace: all names.
        hidden: those that IPython has put there, and what they meant then.
    """
    known = _known_types()
    missing = object()
    return [
        {"name": name, "type": type_name(type(value)), **describe(value, known)._asdict()}
        for name, value in list(namespace.items())
        if type(name) is str
        and not name.startswith("_")
        and hidden.get(name, missing) is not value
        and not issubclass(type(value), ModuleType)
    ]


def describe(value: Any, known: Mapping[int, Describe]) -> Facts:
    """Return what can be said of a value; `known` has the describers of known types, by their ids."""
    kind = type(value)
    if id(kind) in known:
        try:
            return known[id(kind)](value)
        except Exception:  # its library is in a state that it should not be in
            return Facts(None, None, _anonymous(value))
    if id(kind) in _TEXTS or id(kind) in _BRACKETS:
        return Facts([len(value)], sys.getsizeof(value), preview(value))
    sized = id(kind) in _ATOMS or kind is int
    return Facts(None, sys.getsizeof(value) if sized else None, preview(value))


def preview(value: Any, depth: int = DEPTH) -> str:
    """Return one short line that shows a value."""
    return _cut(_shown(value, depth))


def type_name(kind: type) -> str:
    """Return the name of a class with its module; a class that its library offers at the top is named so."""
    name, module = _qualname(kind), _module(kind)
    if type(name) is not str or type(module) is not str:
        return "?"
    if module == "builtins":
        return name
    top = module.partition(".")[0]
    return f"{top}.{name}" if offered(top, name) is kind else f"{module}.{name}"


def offered(module: str, name: str) -> Any:
    """Return what a loaded module has under a name, without the code that a module may run for that."""
    found = sys.modules.get(module)
    return _attributes(found).get(name) if type(found) is ModuleType else None


# Builtins


def _shown(value: Any, depth: int) -> str:
    kind = type(value)
    if id(kind) in _ATOMS:
        return repr(value)
    if kind is int:
        return repr(value) if value.bit_length() <= BITS else f"<int of {value.bit_length()} bits>"
    if id(kind) in _TEXTS:
        return repr(value[:WIDTH])
    if id(kind) in _BRACKETS:
        return _container(value, depth)
    if id(kind) in _FUNCTIONS:
        return f"<function {value.__name__}>" if type(value.__name__) is str else _anonymous(value)
    return f"<class {type_name(value)}>" if issubclass(kind, type) else _anonymous(value)


def _container(value: Any, depth: int) -> str:
    kind, brackets = _BRACKETS[id(type(value))]
    if not value:
        return brackets if kind in (list, tuple, dict) else f"{kind.__name__}()"
    inside = _items(value, depth - 1) if depth else "..."
    comma = "," if kind is tuple and len(value) == 1 else ""
    text = f"{brackets[0]}{inside}{comma}{brackets[1]}"
    return f"frozenset({text})" if kind is frozenset else text


def _items(value: Any, depth: int) -> str:
    try:
        first = list(islice(value.items() if type(value) is dict else value, ITEMS))
    except RuntimeError:  # the running cell is changing it
        return "..."
    if type(value) is dict:
        shown = [f"{_cut(_shown(key, depth))}: {_cut(_shown(item, depth))}" for key, item in first]
    else:
        shown = [_cut(_shown(item, depth)) for item in first]
    return ", ".join([*shown, *(["..."] if len(value) > ITEMS else [])])


def _anonymous(value: Any) -> str:
    return f"<{type_name(type(value))} object>"


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


# Known types of known libraries


def _known_types() -> dict[int, Describe]:
    """The ids of the types that are loaded, and what describes each."""
    described = {
        ("numpy", "ndarray"): _array,
        ("pandas", "DataFrame"): _frame,
        ("pandas", "Series"): _series,
        ("pandas", "Index"): _series,
        ("pandas", "RangeIndex"): _series,
        ("pandas", "DatetimeIndex"): _series,
        ("pyarrow", "Table"): _table,
        ("pyarrow", "RecordBatch"): _table,
        ("datetime", "date"): _printed,
        ("datetime", "timedelta"): _printed,
        ("decimal", "Decimal"): _printed,
    }
    found = [(offered(*place), describer) for place, describer in described.items()]
    scalars = offered("numpy", "sctypeDict")
    found += [(kind, _printed) for kind in (scalars.values() if type(scalars) is dict else ())]
    return {id(kind): describer for kind, describer in found if issubclass(type(kind), type)}


def _array(value: Any) -> Facts:
    first = value.flat[:ITEMS] if value.dtype.kind in "biufcSUmM" else value.flat[:0]
    values = (first.astype(str) if value.dtype.kind in "mM" else first).tolist()
    return Facts(list(value.shape), value.nbytes, _described(value.dtype, values, value.size))


def _printed(value: Any) -> Facts:
    """A scalar whose class is known to show nothing but itself."""
    holds_objects = getattr(value, "dtype", None) is not None and value.dtype.hasobject
    return Facts(None, sys.getsizeof(value), _anonymous(value) if holds_objects else _cut(repr(value)))


def _frame(value: Any) -> Facts:
    rows, columns = value.shape
    size = int(value.memory_usage(deep=False).sum())
    names = _cut(", ".join(_label(name) for name in value.columns[:ITEMS].tolist()))
    return Facts([rows, columns], size, _cut(f"{rows} rows x {columns} columns: {names}"))


def _series(value: Any) -> Facts:
    dtype = value.dtype
    known = type_name(type(dtype)).startswith(("numpy.", "pandas.")) and _is_known_zone(getattr(dtype, "tz", None))
    values = getattr(value, "iloc", value)[:ITEMS].tolist() if known else []
    return Facts([len(value)], int(value.memory_usage(deep=False)), _described(dtype, values, len(value)))


def _is_known_zone(zone: Any) -> bool:
    """Anybody can write a time zone, and its code runs where a time is shown."""
    kinds = (type(None), offered("zoneinfo", "ZoneInfo"), offered("datetime", "timezone"))
    return any(type(zone) is kind for kind in kinds)


def _table(value: Any) -> Facts:
    names = ", ".join(value.schema.names[:ITEMS])
    text = f"{value.num_rows} rows x {value.num_columns} columns: {names}"
    return Facts([value.num_rows, value.num_columns], value.nbytes, _cut(text))


def _described(dtype: Any, values: Iterable[Any], count: int) -> str:
    shown = [_label(item) for item in values]
    more = ["..."] if count > len(shown) else []
    return _cut(f"{_cut(str(dtype))}: {', '.join([*shown, *more])}")


def _label(value: Any) -> str:
    """A label or a value, as briefly as it is unambiguous."""
    if type(value) is str and value.isprintable():
        return value[:WIDTH]
    if type_name(type(value)).startswith(("pandas.", "datetime.")):
        return str(value)
    return _shown(value, 0)

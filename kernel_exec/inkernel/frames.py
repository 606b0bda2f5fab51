"""Data frames as Arrow tables: what pandas' own metadata in a table does not keep, and what cannot be kept at all.

Kernel and host may have different versions of pandas: that of the sender decides what would be another frame, by
looking at what would come back to itself, and says beside the table what depends on the version.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from .libraries import Refused, library
from .previews import type_name

Meta = dict[str, Any]
PROBE = 5
"""Rows that the sender turns back into a frame, to see whether they are what they were."""

_AXES = ("index", "columns")
_FILLERS = {"None": None, "nan": float("nan")}
_OBJECTS = frozenset(map(id, (str, bytes, bool, date)))
"""What comes back as the same objects, when a column holds one kind of them."""
_NULLS = frozenset(map(id, (type(None), float)))
_DTYPES = (
    *("StringDtype", "BooleanDtype", "CategoricalDtype", "DatetimeTZDtype", "PeriodDtype", "IntervalDtype"),
    *(f"{sign}Int{bits}Dtype" for sign in ("", "U") for bits in (8, 16, 32, 64)),
    *("Float32Dtype", "Float64Dtype", "ArrowDtype"),
)


def pack(frame: Any) -> tuple[Meta, Any]:
    """Return what is to be said beside it, and the table.

    Raises:
        Refused: it would come back as another one.
    """
    pd, pa = library("pandas"), library("pyarrow")
    _check(pd, pa, frame)
    meta = {
        "objects": {
            str(position): _null_of(frame.iloc[:, position], f"column {position}")
            for position, dtype in enumerate(frame.dtypes)
            if dtype == "object"
        },
        "axes": {axis: _axis(pd, getattr(frame, axis), axis) for axis in _AXES},
    }
    try:
        table = pa.Table.from_pandas(frame, nthreads=1)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise Refused(f"Arrow cannot hold it ({error}): convert or drop that column") from None
    _compare(frame.iloc[:PROBE], unpack(meta, table.slice(0, PROBE)))
    return meta, table


def unpack(meta: Meta, table: Any) -> Any:
    """Return the frame.

    Raises:
        Exception: of any kind, when table and description do not fit.
    """
    pd, pa = library("pandas"), library("pyarrow")
    for column in table.schema.pandas_metadata["columns"]:
        # Libraries register dtypes whose classes read a column in their own way.
        _check_dtype(pd, pa, "a column", pd.api.types.pandas_dtype(column["numpy_type"]))
    frame = table.to_pandas()
    for position, null in meta["objects"].items():
        column = frame.iloc[:, int(position)]
        frame.isetitem(int(position), column.astype(object).where(column.notna(), _FILLERS[null]))
    for axis in _AXES:
        match meta["axes"][axis]:
            case ["object"]:
                setattr(frame, axis, getattr(frame, axis).astype(object))
            case ["freq", str(freq)]:
                getattr(frame, axis).freq = freq
            case ["range", int(start), int(stop), int(step)]:
                setattr(frame, axis, pd.RangeIndex(start, stop, step, name=getattr(frame, axis).name))
    return frame


def steps(meta: Meta, frame: str) -> list[str]:
    """Return the lines of Python that do to the variable `frame`, a table's frame, what `unpack` does."""
    lines = []
    for position, null in meta["objects"].items():
        column, filler = f"{frame}.iloc[:, {position}]", {"None": "None", "nan": 'float("nan")'}[null]
        fixed = f"{column}.astype(object).where({column}.notna(), {filler})"
        lines.append(f"{frame}.isetitem({position}, {fixed})")
    for axis in _AXES:
        labels = f"{frame}.{axis}"
        match meta["axes"][axis]:
            case ["object"]:
                lines.append(f"{labels} = {labels}.astype(object)")
            case ["freq", freq]:
                lines.append(f"{labels}.freq = {freq!r}")
            case ["range", *bounds]:
                made = ", ".join(map(repr, bounds))
                lines.append(f'{labels} = __import__("pandas").RangeIndex({made}, name={labels}.name)')
    return lines


def _axis(pd: Any, index: Any, axis: str) -> list[Any]:
    """What the metadata in the table does not keep of the labels of an axis."""
    if type(index) in (pd.DatetimeIndex, pd.TimedeltaIndex) and index.freq is not None:
        return ["freq", index.freqstr]
    if type(index) is pd.RangeIndex and axis == "columns":
        return ["range", index.start, index.stop, index.step]
    return ["object"] if type(index) is pd.Index and index.dtype == "object" else []


def _check(pd: Any, pa: Any, frame: Any) -> None:
    """Refuse what Arrow would change without a word."""
    for position, dtype in enumerate(frame.dtypes):
        _check_dtype(pd, pa, f"column {position}", dtype)
        if type(dtype) in (pd.Float32Dtype, pd.Float64Dtype):
            values = frame.iloc[:, position].to_numpy(dtype="float64", na_value=0.0)
            if pd.isna(values).any():
                raise Refused(f"column {position} has NaN beside <NA>, and Arrow has one of them only: fill one")
    for level in _levels(pd, frame.index):
        _check_dtype(pd, pa, "the index", level.dtype)
        if level.dtype == "object" and _null_of(level, "the index") == "None":
            raise Refused("the index has None among its labels: use another one")
    for level in _levels(pd, frame.columns):
        _check_labels(pd, level)
    if not frame.columns.is_unique:
        raise Refused("it has two columns of the same name: rename one")
    if any(name is not None and type(name) is not str for name in (*frame.index.names, *frame.columns.names)):
        raise Refused("a level of its index or columns has a name that is no string: use df.rename_axis")
    if frame.attrs:
        raise Refused("it has attrs, which need not survive: take them apart, and clear df.attrs")


def _levels(pd: Any, index: Any) -> list[Any]:
    return list(index.levels) if type(index) is pd.MultiIndex else [index]


def _check_dtype(pd: Any, pa: Any, what: str, dtype: Any) -> None:
    """Refuse a dtype whose class may be anybody's: its code would run."""
    kind = type(dtype)
    if not issubclass(kind, library("numpy").dtype) and not any(getattr(pd, name, None) is kind for name in _DTYPES):
        raise Refused(f"{what} is of the dtype {type_name(kind)}: convert it with astype")
    if kind is pd.ArrowDtype and isinstance(dtype.pyarrow_dtype, pa.BaseExtensionType):
        raise Refused(f"{what} is of an extension type of Arrow: convert it with astype")
    if kind is pd.CategoricalDtype and dtype.categories is not None:
        _check_dtype(pd, pa, f"the categories of {what}", dtype.categories.dtype)
        if dtype.categories.dtype == "object":
            _null_of(dtype.categories, f"the categories of {what}")


def _null_of(values: Any, what: str) -> str:
    """Return what stands for missing values among objects; their types alone are looked at.

    Raises:
        Refused: they are of several kinds, or the objects of one that would come back as others.
    """
    objects = values.to_numpy().tolist()
    kinds = {id(type(value)): type(value) for value in objects}
    found = [kind for kind in kinds if kind not in _NULLS]
    numbers = any(type(value) is float and not math.isnan(value) for value in objects)
    if numbers or len(found) > 1 or not _OBJECTS.issuperset(found):
        names = " and ".join(sorted(map(type_name, kinds.values())))
        raise Refused(f"{what} holds objects ({names}), not only strings, bytes, bools or dates: convert it")
    if _NULLS.issubset(kinds):
        raise Refused(f"{what} has several kinds of missing values: use one of None and NaN")
    return "None" if id(type(None)) in kinds else "nan"


def _check_labels(pd: Any, labels: Any) -> None:
    dtype = labels.dtype
    strings = type(dtype) is pd.StringDtype or all(type(label) is str for label in labels.tolist())
    if not strings and not (type(labels) is not pd.CategoricalIndex and dtype.kind in "iufM"):
        raise Refused("its column labels are not all strings, all numbers or all dates: use df.columns.map(str)")


def _compare(before: Any, after: Any) -> None:
    for position, (old, new) in enumerate(zip(before.dtypes, after.dtypes, strict=True)):
        if old != new:
            raise Refused(f"column {position} is {old} and would come back as {new}: convert it with astype")
    for axis in _AXES:
        old, new = getattr(before, axis), getattr(after, axis)
        if axis == "index" and type_name(type(old)) == "pandas.RangeIndex":  # counted anew where a part is taken
            continue
        same = type(old) is type(new) and old.dtype == new.dtype and old.names == new.names and old.equals(new)
        if not same or getattr(old, "freq", None) != getattr(new, "freq", None):
            raise Refused(f"its {axis} ({type_name(type(old))}, {old.dtype}) would come back as another one: reset it")

"""Values on their way between kernel and host: the one module that both sides load, as both must agree.

A value becomes a description (JSON) and binary buffers. Only exact types are taken, so that no code of a class of the
user's runs, and what would come out as another value than it went in is refused. Nothing is pickled and nothing is
evaluated, and a description with its buffers is believed only as far as it fits.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from . import frames, ipc
from .libraries import Refused, library
from .previews import offered, type_name

Meta = dict[str, Any]
Encoded = tuple[Meta, list[Any]]
DEPTH = 100
"""Levels of lists and dictionaries in each other, at the most."""

HEADER = 10_000
"""Bytes of the description of an array that numpy reads without being asked to trust it."""

_SCALARS = frozenset(map(id, (type(None), bool, int, float, str)))


def encode(value: Any) -> Encoded:
    """Return a description of the value and its buffers.

    Raises:
        Refused: it would not come out as it went in; the message says why, and what to do.
    """
    kind = type(value)
    if kind is bytes:
        return {"kind": "bytes"}, [value]
    if id(kind) in _SCALARS or kind is list or kind is dict:
        return {"kind": "json"}, [_json(value)]
    for module, encoders in _LIBRARIES.items():
        for names, encoder in encoders:
            if any(offered(module, name) is kind for name in names):
                return encoder(value)
    if type_name(kind).startswith("numpy.") and _is_numpy_scalar(kind):
        return _encode_scalar(value)
    raise Refused(f"it is a {type_name(kind)}: {_advice(type_name(kind))}")


def decode(meta: Meta, buffers: Sequence[Any]) -> Any:
    """Return the value that was encoded.

    Raises:
        Refused: numpy, pandas or pyarrow is needed and missing.
        Exception: of any kind, when description and buffers do not fit.
    """
    return _DECODERS[meta["kind"]](meta, buffers)


def _advice(name: str) -> str:
    advice = {
        "tuple": "only lists come out as they went in; use list(x)",
        "set": "use sorted(x) or list(x)",
        "frozenset": "use sorted(x) or list(x)",
        "complex": "use numpy.complex128(x)",
        "bytearray": "use bytes(x)",
        "numpy.matrix": "use numpy.asarray(x)",
        "numpy.memmap": "use numpy.array(x)",
        "numpy.ma.MaskedArray": "use x.filled() and x.mask",
        "polars.DataFrame": "use x.to_arrow()",
    }
    return advice.get(
        name,
        "only JSON-able builtins, bytes, numpy arrays and scalars, pandas data frames, series and indexes, and "
        "Arrow tables are taken; make one of these of it",
    )


# Builtins


def _json(value: Any) -> bytes:
    try:
        return json.dumps(_plain(value, DEPTH)).encode("ascii")
    except (ValueError, RuntimeError) as error:  # an integer of too many digits; a cell that changes it meanwhile
        raise Refused(f"it cannot be written as JSON: {error}") from None


def _plain(value: Any, depth: int) -> Any:
    """Return a copy of a value, certain to be of exact builtins that JSON has."""
    kind = type(value)
    if id(kind) in _SCALARS:
        return value
    if kind is not list and kind is not dict:
        raise Refused(f"it holds a {type_name(kind)}: {_advice(type_name(kind))}")
    if not depth:
        raise Refused(f"it is nested deeper than {DEPTH} levels, or holds itself: take its parts one by one")
    if kind is list:
        items = value.copy()
        return items if set(map(_type_id, items)) <= _SCALARS else [_plain(item, depth - 1) for item in items]
    for key in (items := value.copy()):
        if type(key) is not str:
            raise Refused(f"it has a key that is a {type_name(type(key))}, and JSON has only strings: use str(key)")
    return {key: _plain(item, depth - 1) for key, item in items.items()}


def _type_id(value: Any) -> int:
    return id(type(value))


def _decode_json(meta: Meta, buffers: Sequence[Any]) -> Any:
    return json.loads(bytes(buffers[0]))


def _decode_bytes(meta: Meta, buffers: Sequence[Any]) -> bytes:
    return bytes(buffers[0])


# numpy: the header of an .npy file, and the data


def _encode_array(value: Any) -> Encoded:
    numpy = library("numpy")
    dtype = value.dtype
    if dtype.hasobject or dtype.kind not in "biufcSUMmV":
        raise Refused(f"its dtype is {dtype}, which holds Python objects or is not numpy's own: use another dtype")
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    data = value if value.flags.forc else numpy.ascontiguousarray(value)
    return {"kind": "array"}, [_header(dtype, value.shape, fortran), _bytes_of(data.T if fortran else data)]


def _header(dtype: Any, shape: tuple[int, ...], fortran: bool) -> bytes:  # noqa: FBT001 - a flag of the format
    npy, file = library("numpy.lib.format"), io.BytesIO()
    try:
        descr = npy.dtype_to_descr(dtype)
        npy.write_array_header_2_0(file, {"descr": descr, "fortran_order": fortran, "shape": shape})
    except ValueError as error:  # names of fields that are no Latin
        raise Refused(f"its dtype cannot be written down: {error}") from None
    if npy.descr_to_dtype(descr) != dtype or dtype.metadata or len(file.getvalue()) > HEADER:
        raise Refused("its dtype cannot be written down without loss: use one with fewer parts or without metadata")
    return file.getvalue()


def _bytes_of(data: Any) -> memoryview:
    """The memory of a C-contiguous array; a memoryview does not know every dtype itself."""
    return memoryview(data.reshape(-1).view("u1")) if data.size and data.itemsize else memoryview(b"")


def _encode_scalar(value: Any) -> Encoded:
    meta, buffers = _encode_array(library("numpy").asarray(value))
    return {**meta, "kind": "scalar"}, buffers


def _is_numpy_scalar(kind: type) -> bool:
    numpy = library("numpy")
    return any(kind is known for known in numpy.sctypeDict.values())


def _decode_array(meta: Meta, buffers: Sequence[Any]) -> Any:
    numpy = library("numpy")
    npy, file = library("numpy.lib.format"), io.BytesIO(bytes(buffers[0]))
    if npy.read_magic(file) != (2, 0):
        raise ValueError("the array is in another version of the format")
    shape, fortran, dtype = npy.read_array_header_2_0(file)
    data = memoryview(buffers[1])
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != data.nbytes:
        raise ValueError("the array does not fit its data")
    if not data.nbytes:
        return numpy.empty(shape, dtype)
    # A copy, as what came over the wire cannot be written to.
    return numpy.ndarray(shape, dtype, data, order="F" if fortran else "C").copy(order="K")


def _decode_scalar(meta: Meta, buffers: Sequence[Any]) -> Any:
    array = _decode_array(meta, buffers)
    if array.shape != ():
        raise ValueError("a scalar has no dimensions")
    return array[()]


# Arrow


def _encode_table(value: Any) -> Encoded:
    for field in value.schema:
        if _has_extension(field.type):
            raise Refused(f"its column {field.name!r} is of the extension type {field.type}: cast it to its storage")
    return {"kind": "table"}, [ipc.write(value)]


def _encode_batch(value: Any) -> Encoded:
    meta, buffers = _encode_table(value)
    return {**meta, "kind": "batch"}, buffers


def _has_extension(kind: Any) -> bool:
    """Whether a type is, or holds, one that a class of somebody's may stand behind."""
    if isinstance(kind, library("pyarrow").BaseExtensionType):
        return True
    return any(_has_extension(kind.field(index).type) for index in range(kind.num_fields))


def _decode_table(meta: Meta, buffers: Sequence[Any]) -> Any:
    return ipc.read(buffers[0])


def _decode_batch(meta: Meta, buffers: Sequence[Any]) -> Any:
    table = ipc.read(buffers[0])
    if not table.num_rows:  # a table counts no batches that are empty
        return library("pyarrow").RecordBatch.from_pylist([], table.schema)
    (batch,) = table.to_batches()
    return batch


# pandas: an Arrow table with pandas' own metadata, and what that does not keep


def _encode_frame(value: Any) -> Encoded:
    meta, table = frames.pack(value)
    return {"kind": "frame", **meta}, [ipc.write(table)]


def _encode_series(value: Any) -> Encoded:
    name = value.name
    if name is not None and type(name) is not str and type(name) is not int:
        raise Refused(f"its name is a {type_name(type(name))}: rename it to a string")
    meta, buffers = _encode_frame(value.to_frame(name="values"))
    return {**meta, "kind": "series", "name": name}, buffers


def _encode_index(value: Any) -> Encoded:
    # With a column: a table without any does not know its length.
    column = {"values": library("numpy").zeros(len(value), bool)}
    meta, buffers = _encode_frame(library("pandas").DataFrame(column, index=value))
    return {**meta, "kind": "index"}, buffers


def _decode_frame(meta: Meta, buffers: Sequence[Any]) -> Any:
    return frames.unpack(meta, _decode_table(meta, buffers))


def _decode_series(meta: Meta, buffers: Sequence[Any]) -> Any:
    series = _decode_frame(meta, buffers).iloc[:, 0]
    series.name = meta["name"]
    return series


def _decode_index(meta: Meta, buffers: Sequence[Any]) -> Any:
    return _decode_frame(meta, buffers).index


_INDEXES = (
    "Index",
    "RangeIndex",
    "DatetimeIndex",
    "TimedeltaIndex",
    "PeriodIndex",
    "CategoricalIndex",
    "IntervalIndex",
    "MultiIndex",
)
_LIBRARIES: dict[str, list[tuple[tuple[str, ...], Callable[[Any], Encoded]]]] = {
    "numpy": [(("ndarray",), _encode_array)],
    "pandas": [(("DataFrame",), _encode_frame), (("Series",), _encode_series), (_INDEXES, _encode_index)],
    "pyarrow": [(("Table",), _encode_table), (("RecordBatch",), _encode_batch)],
}
_DECODERS: dict[str, Callable[[Meta, Sequence[Any]], Any]] = {
    "array": _decode_array,
    "batch": _decode_batch,
    "bytes": _decode_bytes,
    "frame": _decode_frame,
    "index": _decode_index,
    "json": _decode_json,
    "scalar": _decode_scalar,
    "series": _decode_series,
    "table": _decode_table,
}

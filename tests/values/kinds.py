"""Values by name: Python that makes each, in the kernel as well as here."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

KEPT = {
    "none": "None",
    "bool": "True",
    "int": "-3",
    "int of 4000 digits": "10**3999",
    "float": "1.5",
    "minus zero": "-0.0",
    "nan": "float('nan')",
    "infinity": "-float('inf')",
    "string": "'tab\\t, quotes \\'\" and 日本語'",
    "lone surrogate": "'\\ud800'",
    "long string": "'0123456789' * 100_000",
    "list": "[1, [2.5, None, 'x'], {}]",
    "many numbers": "list(range(100_000))",
    "dict": "{'a': {'b': [True, float('inf')]}, '': None}",
    "bytes": "b'\\x00\\xff'",
    "many bytes": "bytes(range(256)) * 1000",
    "array": "np.arange(6.0).reshape(2, 3)",
    "array of one": "np.array(3)",
    "empty array": "np.zeros((0, 3), 'i2')",
    "columns first": "np.asfortranarray(np.arange(6).reshape(2, 3))",
    "every second": "np.arange(20).reshape(4, 5)[::2, ::2]",
    "backwards": "np.arange(5)[::-1]",
    "broadcast": "np.broadcast_to(np.arange(3), (4, 3))",
    "big-endian": "np.arange(3, dtype='>i4')",
    "complex array": "np.array([1j, 2])",
    "half": "np.array([1, 2], 'f2')",
    "dates of numpy": "np.array(['2020-02-29', 'NaT'], 'M8[D]')",
    "spans of numpy": "np.array([1, 2], 'm8[ms]')",
    "fixed bytes": "np.array([b'a', b'bc'])",
    "fixed strings": "np.array(['ä', 'bc'])",
    "structured": "np.array([(1, 2.5, 'x')], [('a', 'i4'), ('b', 'f8'), ('c', 'U3')])",
    "numpy scalar": "np.float32(0.1)",
    "numpy bool": "np.True_",
    "numpy complex": "np.complex128(1j)",
    "numpy date": "np.datetime64('2020-01-01T12:00', 'ns')",
    "frame": "pd.DataFrame({'a': [1, 2], 'b': [0.5, float('nan')], 'c': ['x', None]})",
    "frame without rows": "pd.DataFrame({'a': pd.Series([], dtype='int8'), 'b': pd.Series([], dtype='category')})",
    "frame without columns": "pd.DataFrame(index=['x', 'y'])",
    "empty frame": "pd.DataFrame()",
    "numbered columns": "pd.DataFrame(np.eye(3))",
    "levels": "pd.DataFrame({'v': [1, 2]}, index=pd.MultiIndex.from_product([['a', 'b'], [1]], names=['x', None]))",
    "levels of columns": "pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([('a', 1), ('b', 2)]))",
    "same labels": "pd.DataFrame({'v': [1, 2]}, index=[7, 7])",
    "daily": "pd.DataFrame({'v': range(9)}, index=pd.date_range('2020', periods=9, name='day'))",
    "time zone": "pd.Series(pd.date_range('2020-03-28', periods=3, tz='Europe/Berlin'))",
    "offset": "pd.Series(pd.date_range('2020', periods=2, tz=datetime.timezone(datetime.timedelta(hours=2))))",
    "seconds": "pd.Series(np.array(['1066-10-14', 'NaT'], 'M8[s]'))",
    "spans": "pd.Series(pd.to_timedelta([1, None], unit='s'))",
    "categories": "pd.Series(pd.Categorical(['a', None], ['c', 'a', 'b'], ordered=True))",
    "integer categories": "pd.Series(pd.Categorical([1, 2], [2, 1, 3]))",
    "integers with NA": "pd.Series([1, None], dtype='Int64', name='n')",
    "floats with NA": "pd.Series([1.5, None], dtype='Float32')",
    "bools with NA": "pd.Series([True, None], dtype='boolean')",
    "strings with NA": "pd.Series(['a', None], dtype='string')",
    "strings as objects": "pd.Series(['a', None, 'b'] * 3, dtype=object)",
    "strings and NaN": "pd.Series(['a', float('nan')], dtype=object)",
    "bytes as objects": "pd.Series([b'a', None], dtype=object)",
    "bools as objects": "pd.Series([True, None], dtype=object)",
    "dates as objects": "pd.Series([datetime.date(2020, 1, 1), None], dtype=object)",
    "no objects": "pd.Series([None, None], dtype=object)",
    "arrow integers": "pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64()))",
    "periods": "pd.Series(pd.period_range('2020', periods=2, freq='M'))",
    "intervals": "pd.Series(pd.interval_range(0, 2))",
    "labels": "pd.Index(['x', 'y'], name='label')",
    "range": "pd.RangeIndex(2, 80, 2, name='r')",
    "days": "pd.date_range('2020', periods=9, tz='UTC')",
    "arrow table": "pa.table({'a': [1, None], 'b': [[1], []], 'c': [{'x': 1}, None]})",
    "arrow dictionaries": "pa.table({'d': pa.chunked_array([pa.array(['a', 'b']).dictionary_encode()] * 2)})",
    "arrow batch": "pa.record_batch({'a': pa.array([decimal.Decimal('1.50')])})",
    "empty batch": "pa.record_batch({'a': pa.array([], 'f4')})",
}
"""What comes out as it went in."""

REFUSED = {
    "tuple": ("(1, 2)", "list"),
    "tuple inside": ("{'a': [(1,)]}", "tuple"),
    "set": ("{1}", "sorted"),
    "numbers as keys": ("{1: 2}", "str"),
    "int of 5000 digits": ("10**5000", "digits"),
    "bytearray": ("bytearray(b'x')", "bytes"),
    "complex": ("1j", "numpy.complex128"),
    "object": ("object()", "object"),
    "function": ("len", "builtin_function"),
    "decimal": ("decimal.Decimal(1)", "decimal.Decimal"),
    "timestamp": ("pd.Timestamp('2020')", "pandas.Timestamp"),
    "deep": ("__import__('functools').reduce(lambda inner, _: [inner], range(1000), 0)", "nested"),
    "array of objects": ("np.array([1, 'a'], object)", "object"),
    "masked array": ("np.ma.masked_array([1], [True])", "filled"),
    "long strings of numpy": ("np.array(['a'], np.dtypes.StringDType())", "StringDType"),
    "wide structure": ("np.zeros(1, [(f'field{n}', 'i4') for n in range(2000)])", "fewer parts"),
    "mixed objects": ("pd.Series([1, 'a'])", "int and str"),
    "numbers as objects": ("pd.Series([1.5, float('nan')], dtype=object)", "objects"),
    "subclass of strings": ("pd.Series([np.str_('a')], dtype=object)", "numpy.str_"),
    "lists as objects": ("pd.Series([[1], [2]])", "objects"),
    "decimals": ("pd.Series([decimal.Decimal('1.0'), decimal.Decimal('1.25')])", "decimal.Decimal"),
    "two kinds of missing": ("pd.Series(['a', None, float('nan')], dtype=object)", "missing"),
    "NaN beside NA": ("pd.Series(pd.arrays.FloatingArray(np.array([np.nan, 1]), np.array([False, True])))", "NaN"),
    "sparse": ("pd.Series(pd.arrays.SparseArray([0, 0, 1]))", "Sparse"),
    "complex column": ("pd.DataFrame({'a': [1j]})", "Arrow cannot hold"),
    "same names": ("pd.DataFrame([[1, 2]], columns=['a', 'a'])", "same name"),
    "mixed labels": ("pd.DataFrame([[1, 2]], columns=['a', 1])", "labels"),
    "labelled by bools": ("pd.DataFrame([[1, 2]], columns=[True, False])", "labels"),
    "numbered level": ("pd.DataFrame({'v': [1]}, index=pd.Index([1], name=3))", "rename_axis"),
    "objects as categories": ("pd.Series(pd.Categorical([(1, 2)]))", "categories"),
    "custom days": (
        "pd.DataFrame({'v': [1, 2]}, pd.date_range('2020', periods=2, freq=pd.offsets.CDay(holidays=['2020-01-03'])))",
        "index",
    ),
    "extension of arrow": (
        "pa.table({'u': pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b'0123456789abcdef'], pa.binary(16)))})",
        "extension",
    ),
}
"""What would come out as something else, and a word of the reason."""


def make(source: str) -> Any:
    """Make the same value here."""
    return eval(source, {"np": np, "pd": pd, "pa": pa, "datetime": dt, "decimal": decimal})


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in every respect that matters: types, dtypes, missing values, order in memory."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        layout = isinstance(one, np.generic) or one.flags.f_contiguous >= other.flags.f_contiguous or one.ndim < 2
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes() and layout
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True, check_freq=True)
        return missing(one) == missing(other)
    if isinstance(one, pd.Series):
        return same(one.to_frame("v"), other.to_frame("v")) and one.name == other.name
    if isinstance(one, pd.Index):
        pd.testing.assert_index_equal(one, other, exact=True)
        return getattr(one, "freq", None) == getattr(other, "freq", None)
    if isinstance(one, pa.Table | pa.RecordBatch):
        return bool(one.equals(other, check_metadata=True))
    return repr(one) == repr(other)


def missing(frame: pd.DataFrame) -> list[type]:
    """The kinds of missing values, which pandas takes for equal."""
    return [type(value) for column in frame for value in frame[column].astype(object)[frame[column].isna()]]

"""Arrow tables as files of Arrow's IPC format, in memory.

Such a file is a stream of messages between two marks. Read as that stream, one message after the other, so that each
can be looked at before it is believed. https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

import struct
from typing import Any

from .libraries import library

MARK = 8
"""Bytes before the first message."""
ROWS = 10_000_000
"""Rows of a table that may take no room at all, as those of a column of nothing but nulls do."""

_DICTIONARY, _BATCH = 2, 3


def write(table: Any) -> memoryview:
    """Return a table or a record batch as a file, in memory that is asked for once."""
    pa = library("pyarrow")
    if isinstance(table, pa.Table):
        table = table.unify_dictionaries()
    measure = pa.MockOutputStream()
    _write(measure, table)
    memory = pa.allocate_buffer(measure.size())
    _write(pa.FixedSizeBufferWriter(memory), table)
    return memoryview(memory)


def read(data: Any) -> Any:
    """Return the table in a file that anybody may have made. Its columns lie in `data`, nothing is copied.

    Raises:
        Exception: of any kind, when it is none, or claims what is not in it.
    """
    pa = library("pyarrow")
    messages = pa.py_buffer(data).slice(MARK)
    for message in pa.ipc.MessageReader.open_stream(messages):
        if _is_compressed(bytes(message.metadata)):
            raise ValueError("the table is compressed: a little could become any size")
    table = pa.ipc.open_stream(messages).read_all()
    table.validate(full=True)  # lengths and offsets as well: what uses them would believe them
    if table.num_rows > ROWS + 8 * len(messages):
        raise ValueError("the table has rows that no data stands behind")
    return table


def _write(sink: Any, table: Any) -> None:
    with library("pyarrow").ipc.new_file(sink, table.schema) as writer:
        writer.write(table)


def _is_compressed(metadata: bytes) -> bool:
    """Does the description of a message (Message.fbs, a flatbuffer) name a compression of its body?"""
    message = _follow(metadata, 0)
    kind = metadata[_field(metadata, message, 1)]
    if kind not in (_DICTIONARY, _BATCH):
        return False
    header = _follow(metadata, _field(metadata, message, 2))
    batch = _follow(metadata, _field(metadata, header, 1)) if kind == _DICTIONARY else header
    return bool(_field(metadata, batch, 3))


def _field(data: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table lies; 0 when it has none."""
    fields = table - int(struct.unpack_from("<i", data, table)[0])
    place = 4 + 2 * number
    present = place < int(struct.unpack_from("<H", data, fields)[0])
    offset = int(struct.unpack_from("<H", data, fields + place)[0]) if present else 0
    return table + offset if offset else 0


def _follow(data: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", data, place)[0])

"""Files without the times at which they were written: of containers that hold such times beside what they are for."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO

_PDF = re.compile(rb"/(?:CreationDate|ModDate) ?\([^)]{0,60}\)|/ID ?\[[^\]]{0,200}\]")
_PROPERTIES = "docProps/core.xml"
"""Of an office document: who wrote it, and when."""


def timeless(data: bytes) -> object:
    """Return something that is equal for files that differ only by when they were written: PDF, gzip, ZIP and its kin.

    Args:
        data: the content of a file of any kind; of others it is returned.
    """
    if data.startswith(b"%PDF-"):
        return _PDF.sub(b"", data)
    if data.startswith(b"\x1f\x8b"):
        return data[:4] + data[8:]
    if data.startswith(b"PK\x03\x04"):
        return _members(data)
    return data


def _members(data: bytes) -> object:
    """Return names, sizes and checksums of what is packed; nothing is unpacked, as anybody may have packed it."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as file:
            packed = file.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, UnicodeError):
        return data
    return [(entry.filename, entry.file_size, entry.CRC) for entry in packed if entry.filename != _PROPERTIES]

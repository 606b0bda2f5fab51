"""Files without the times at which they were written: of containers that hold such times beside what they are for."""

from __future__ import annotations

import hashlib
import re
import tarfile
import zipfile
import zlib
from io import BytesIO

_PDF = re.compile(rb"/(?:CreationDate|ModDate) ?\([^)]{0,60}\)|/ID ?\[[^\]]{0,200}\]")
_PROPERTIES = "docProps/core.xml"
"""Of an office document: who wrote it, and when."""
_MAX_UNPACKED = 128 * 2**20
_MAX_MEMBERS = 10_000
_TAR = slice(257, 262)
"""Where a tar says what it is."""


def timeless(data: bytes) -> object:
    """Return something that is equal for files that differ only by when they were written: PDF, tar, gzip, ZIP.

    Args:
        data: the content of a file of any kind; of others it is returned.
    """
    if data.startswith(b"%PDF-"):
        return _PDF.sub(b"", data)
    if data.startswith(b"\x1f\x8b"):
        return _archived(_unpacked(data)) or data[:4] + data[8:]
    if data.startswith(b"PK\x03\x04"):
        return _members(data)
    return _archived(data) or data


def _members(data: bytes) -> object:
    """Return names, sizes and checksums of what is packed; nothing is unpacked, as anybody may have packed it."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as file:
            packed = file.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, UnicodeError):
        return data
    return [(entry.filename, entry.file_size, entry.CRC) for entry in packed if entry.filename != _PROPERTIES]


def _unpacked(data: bytes) -> bytes:
    """Return what a gzip holds; nothing where that is too much, or broken."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, _MAX_UNPACKED)
    except zlib.error:
        return b""
    return unpacked if unpacker.eof and not unpacker.unused_data else b""


def _archived(data: bytes) -> object:
    """Return names, types, rights and checksums of what a tar holds; None where it is none, or holds too many.

    All is read where it lies: nothing is written anywhere, and no link is followed.
    """
    if data[_TAR] != b"ustar":
        return None
    found: list[tuple[object, ...]] = []
    try:
        with tarfile.open(fileobj=BytesIO(data), mode="r:") as file:
            for entry in file:
                end = entry.offset_data + (entry.size if entry.isreg() else 0)
                if len(found) == _MAX_MEMBERS or entry.issparse() or end > len(data):
                    return None
                checksum = hashlib.sha256(memoryview(data)[entry.offset_data : end]).digest()
                found.append((entry.name, entry.type, entry.mode, entry.linkname, checksum))
    except (tarfile.TarError, ValueError, OSError, UnicodeError, RecursionError):
        return None
    return found

"""Files into the work directory and out of it, while the code of cells may swap whatever lies there.

Below the work directory no link is followed, and nothing but files and directories is read. Each file that is written
is there as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from kernel_exec.artifacts.signatures import Signature, signature
from kernel_exec.artifacts.tree import Place
from kernel_exec.errors import InvalidArgument, TransferError, WrongType
from kernel_exec.folder import Folder, IsNoFile, open_regular
from kernel_exec.recording import markdown_cell
from kernel_exec.settings import PathLike

MAX_DEPTH = 64
"""Levels of directories that are brought out."""
_CHUNK = 1 << 20
_NAMED = 5
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Sent:
    """What was brought in.

    Attributes:
        files: what lies where now.
        size: bytes, of all of them.
        sha256: of the only file, in hexadecimal; "" when there are several.
    """

    files: dict[Place, Signature] = field(default_factory=dict)
    size: int = 0
    sha256: str = ""

    def add(self, place: Place, found: Signature, size: int, sha256: str) -> None:
        """One more file is there."""
        self.sha256 = "" if self.files else sha256
        self.files[place] = found
        self.size += size


class Stopped(Exception):
    """Nobody waits any more."""


class Transfer:
    """Brings files in and out. Runs beside the event loop, and ends soon after `stop`.

    Args:
        workdir: the work directory.
    """

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self._stopped = False

    def stop(self) -> None:
        """Let go of what is being done; a file that is not whole does not appear."""
        self._stopped = True

    def send(self, source: Path | bytes, place: Place) -> Sent:
        """Bring a file, a directory or bytes in.

        Raises:
            TransferError: it cannot be read, or not be written there.
        """
        sent = Sent()
        if isinstance(source, bytes):
            with self._explained(f"bytes cannot be written to {'/'.join(place)!r} in the work directory"):
                self._write(place, iter([source] if source else []), 0o666, sent)
            return sent
        with self._explained(f"{str(source)!r} cannot be brought into the work directory"):
            if source.is_dir():
                self._send_folder(source, place, sent)
            else:
                self._send_file(source, place, sent)
        return sent

    def take_back(self, sent: Sent) -> None:
        """Remove what was brought in, as far as it is still there."""
        for place in sent.files:
            with contextlib.suppress(OSError):
                folder = Folder(self._workdir.joinpath(*place[:-1]), untrusted=self._workdir)
                with folder.opened() as at:
                    os.unlink(place[-1], dir_fd=at)

    def fetch(self, place: Place, target: Path, limit: int) -> Path:
        """Bring a file or a directory out; return where it is.

        Args:
            place: what, by its names from the work directory on.
            target: a file or directory of the host to become it; where there is a directory, it goes into that.
            limit: bytes that are brought out at the most.

        Raises:
            TransferError: it is not there, is a link or another thing that is not read, is too large, or cannot be
                written. Of a directory the rest has been brought out.
        """
        name = "/".join(place)
        out = target / place[-1] if target.is_dir() else target
        if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(self._workdir)):
            raise TransferError(f"{str(out)!r} is in the work directory itself, where cells may swap it: name another")
        fetched = _Fetched(self, limit)
        above = Folder(self._workdir.joinpath(*place[:-1]), untrusted=self._workdir)
        with self._explained(f"{name!r} cannot be brought out of the work directory"), above.opened() as folder:
            fetched.take(folder, place, out)
        if fetched.refused:
            more = len(fetched.refused) - _NAMED
            named = ", ".join(fetched.refused[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            raise TransferError(f"{name!r} was brought to {str(out)!r} without what is not read: {named}")
        return out

    def chunks(self, file: BinaryIO, limit: int | None = None) -> Iterator[bytes]:
        """Read a file piece by piece, `limit` bytes at the most."""
        left = limit
        while chunk := file.read(_CHUNK if left is None else min(_CHUNK, left)):
            if self._stopped:
                raise Stopped
            if left is not None:
                left -= len(chunk)
            yield chunk

    def _send_folder(self, source: Path, place: Place, sent: Sent) -> None:
        with Folder(self._workdir.joinpath(*place), untrusted=self._workdir).opened(make=True):
            pass  # it is there, also when nothing is in it
        with os.scandir(source) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    self._send_folder(Path(entry.path), (*place, entry.name), sent)
                elif entry.is_dir():
                    raise TransferError(f"{entry.path!r} is a link to a directory: send what it leads to by itself")
                else:
                    self._send_file(Path(entry.path), (*place, entry.name), sent)

    def _send_file(self, source: Path, place: Place, sent: Sent) -> None:
        with open(open_regular(source.resolve(strict=True)), "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR
            self._write(place, self.chunks(file), mode, sent)

    def _write(self, place: Place, chunks: Iterator[bytes], mode: int, sent: Sent) -> None:
        folder = Folder(self._workdir.joinpath(*place[:-1]), untrusted=self._workdir)
        folder.check()  # what is there and no directory stays
        with folder.opened(make=True) as inside:
            size, digest = write_whole(chunks, place[-1], mode, inside)
            sent.add(place, signature(os.stat(place[-1], dir_fd=inside, follow_symlinks=False)), size, digest)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except TransferError:
            raise
        except OSError as error:
            name = "" if error.filename is None else f": {os.fsdecode(error.filename)!r}"
            raise TransferError(f"{what} ({error.strerror}{name})") from error


class _Fetched:
    """One bringing out: what is left of the bytes, and what was refused."""

    def __init__(self, transfer: Transfer, limit: int) -> None:
        self._transfer = transfer
        self._limit = self._left = limit
        self.refused: list[str] = []

    def take(self, folder: int, place: Place, out: Path) -> None:
        """Bring out what lies in an open folder.

        Raises:
            IsNoFile: it is neither a file nor a directory.
            OSError: it cannot be read or written.
        """
        kind = stat.S_IFMT(os.stat(place[-1], dir_fd=folder, follow_symlinks=False).st_mode)
        if kind != stat.S_IFDIR:
            self._take_file(folder, place, out)
            return
        out.mkdir(parents=True, exist_ok=True)
        inside = os.open(place[-1], _LIST, dir_fd=folder)
        try:
            for name in sorted(os.listdir(inside)):
                try:
                    if len(place) >= MAX_DEPTH:
                        raise IsNoFile(0, "it lies too deep")
                    self.take(inside, (*place, name), out / name)
                except (IsNoFile, FileNotFoundError, PermissionError) as error:
                    self.refused.append(f"{'/'.join((*place, name))!r} ({error.strerror})")
        finally:
            os.close(inside)

    def _take_file(self, folder: int, place: Place, out: Path) -> None:
        with open(open_regular(place[-1], folder), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > self._left:
                raise TransferError(
                    f"{'/'.join(place)!r} has {size:,} bytes, and no more than {self._limit:,} are brought out at a "
                    f"time: raise limits.artifact_bytes"
                )
            out.parent.mkdir(parents=True, exist_ok=True)
            with Folder(out.parent).opened() as there:
                taken, _ = write_whole(self._transfer.chunks(file, self._left), out.name, 0o666, there)
            self._left -= taken


def write_whole(chunks: Iterator[bytes], name: str, mode: int, folder: int) -> tuple[int, str]:
    """Write a file in an open folder, in the place of what has its name; return its size and SHA-256.

    Raises:
        OSError: it cannot be written; then what had its name is still there.
    """
    hidden = f".{uuid.uuid4().hex}.kernel_exec"  # artifacts and recordings leave such names out
    size, digest = 0, hashlib.sha256()
    try:
        with open(os.open(hidden, _NEW, mode, dir_fd=folder), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        os.replace(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(hidden, dir_fd=folder)
        raise
    return size, digest.hexdigest()


def upload_cell(name: str, sent: Sent) -> dict[str, Any]:
    """Return the cell that tells of an upload in the recording."""
    files = f"{len(sent.files):,} files, " if not sent.sha256 else ""
    digest = f", SHA-256 `{sent.sha256}`" if sent.sha256 else ""
    facts = {"event": "upload", "path": name, "files": len(sent.files), "size": sent.size}
    facts |= {"sha256": sent.sha256} if sent.sha256 else {}
    text = f"**Uploaded** {name!r} ({files}{sent.size:,} bytes{digest})"
    return markdown_cell(uuid.uuid4().hex[:8], text, {"kernel_exec": facts})


def checked_target(target: PathLike) -> Path:
    """Return where something is to be brought to.

    Raises:
        InvalidArgument: it must be a directory, and is none.
        WrongType: it is no path.
    """
    if not isinstance(target, str | os.PathLike):
        raise WrongType(f"target must be a path of the host, not {type(target).__name__}")
    text = os.fsdecode(target)
    path = Path(text).expanduser().absolute()
    if text.endswith("/") and not path.is_dir():
        raise InvalidArgument(f"target {text!r} is to be a directory, and there is none: make it first")
    return path


def checked_source(source: object) -> Path | bytes:
    """Return what is to be brought in.

    Raises:
        WrongType: it is neither bytes nor a path.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not isinstance(source, str | os.PathLike):
        raise WrongType(f"source must be a path of the host, or bytes, not {type(source).__name__}")
    return Path(os.fsdecode(source)).expanduser().absolute()


def checked_filename(filename: str | None, own: Collection[Path], workdir: Path) -> str | None:
    """Return the name of a file that is to keep the code of a cell.

    Args:
        filename: relative to the work directory; None for none.
        own: what nobody else may write.
        workdir: the work directory.

    Raises:
        InvalidArgument, WrongType: it leads elsewhere, or is none.
    """
    if filename is None:
        return None
    if not isinstance(filename, str):
        raise WrongType(f"filename must be a string such as 'analysis.py', not {type(filename).__name__}")
    path = PurePosixPath(filename)
    if path.is_absolute() or not path.parts or ".." in path.parts or not filename.isprintable():
        raise InvalidArgument(f"filename must be the name of a file in the work directory, not {filename!r}")
    if any((workdir / path).is_relative_to(taken) for taken in own):
        raise InvalidArgument(f"filename cannot be {filename!r}: the session is recorded there")
    return str(path)


def checked_place(name: PathLike | None, workdir: Path, source: Path | bytes | None = None) -> Place:
    """Return the names from the work directory on.

    Args:
        name: relative to the work directory, or below it; None for the source's own.
        workdir: the work directory.
        source: what is to be there.

    Raises:
        InvalidArgument, WrongType: it leads elsewhere, or is none.
    """
    if name is None and isinstance(source, Path):
        name = source.name
    if not isinstance(name, str | os.PathLike):
        raise WrongType(f"name must say where it is in the work directory, as a string, not {type(name).__name__}")
    path = PurePosixPath(os.fsdecode(name))
    if path.is_absolute():
        if not path.is_relative_to(workdir):
            raise InvalidArgument(f"name must be relative to the work directory {str(workdir)!r}, not {str(path)!r}")
        path = path.relative_to(workdir)
    if not path.parts or ".." in path.parts or "\0" in str(path):
        raise InvalidArgument(f"name must be that of something in the work directory, not {str(name)!r}")
    return path.parts

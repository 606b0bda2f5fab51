"""What is known of images, kept in the user's cache directory; and who makes one, so that nobody makes it twice.

Images are known by their ids, which say all of what is in them. What cannot be read or written is not known.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

from kernel_exec.errors import ImageError
from kernel_exec.kernels.images.python import Python, python_from

MOST = 500
"""Images that are remembered."""
_LOOK_AGAIN = 0.2

_known: dict[str, Python] = {}


def known(image: str) -> Python | None:
    """Return the Python of an image; None when it is not known.

    Args:
        image: its id.
    """
    if image not in _known:
        found = python_from(_read().get(image))
        if found is None:
            return None
        _known[image] = found
    return _known[image]


def remember(image: str, python: Python) -> None:
    """Keep what Python an image has, for this process and for others.

    Args:
        image: its id.
        python: what it has.
    """
    _known[image] = python
    kept = {**_read(), image: asdict(python)}
    with contextlib.suppress(OSError, ImageError):
        path = folder() / "images.json"
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".images-", delete=False) as file:
            json.dump(dict(list(kept.items())[-MOST:]), file)
        os.replace(file.name, path)


@contextlib.asynccontextmanager
async def only_one(what: str, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Hold the right to make an image; no other process of this user, and no other task, has it at the same time.

    Args:
        what: a few letters for what is made; things that share them are made one after the other.
        waiting: called when another one has it.

    Raises:
        ImageError: there is no place for the lock.
    """
    descriptor = os.open(folder() / f"{what}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        told = False
        while not _locked(descriptor):
            if not told:
                waiting()
                told = True
            await asyncio.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(descriptor)


def folder() -> Path:
    """Return the directory for all this; one in the temporary directory where the user's cannot be written.

    Raises:
        ImageError: there is no such directory.
    """
    import platformdirs

    usual = Path(platformdirs.user_cache_dir("kernel-exec", appauthor=False))
    for path in (usual, Path(tempfile.gettempdir()) / f"kernel-exec-{os.getuid()}"):
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.lstat().st_uid == os.getuid() and os.access(path, os.W_OK):
                return path
    raise ImageError(f"{usual} cannot be written: name a cache directory in XDG_CACHE_HOME that can")


def _read() -> dict[str, object]:
    try:
        found = json.loads((folder() / "images.json").read_bytes())
    except (OSError, ValueError, RecursionError, ImageError):
        return {}
    return found if isinstance(found, dict) else {}


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""What a mount below the work directory is mounted on.

An engine would make it as root; and where root's files look like another's inside, it cannot make any.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePosixPath

from kernel_exec.errors import KernelStartError
from kernel_exec.folder import Folder

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_point(source: Path, place: PurePosixPath, workdir: Path, inside: str) -> None:
    """Make a directory, or an empty file, for a mount below the work directory; what is there stays.

    Args:
        source: what is to be mounted.
        place: where it is to be inside.
        workdir: the work directory.
        inside: where that is inside.

    Raises:
        KernelStartError: it cannot be made.
    """
    *names, name = place.relative_to(inside).parts
    above = Folder(workdir.joinpath(*names), untrusted=workdir)
    try:
        above.check()  # what is there and no directory stays
        with above.opened(make=True) as folder, contextlib.suppress(FileExistsError):
            if source.is_dir():
                os.mkdir(name, dir_fd=folder)
            else:
                os.close(os.open(name, _NEW, 0o600, dir_fd=folder))
    except OSError as error:
        raise KernelStartError(
            f"{str(source)!r} cannot be mounted at {str(place)!r}, for which there must be one in the work directory "
            f"{str(workdir)!r} ({error.strerror}): make it, or name another place"
        ) from error

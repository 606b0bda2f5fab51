"""A directory for a while, which goes even when this process is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

# Its input ends when the other end is closed, whatever closes it; kernels that still write there end a little later.
_WATCH = 'cat; for pause in 0.2 1 3; do rm -rf -- "$0"; sleep "$pause"; done; rm -rf -- "$0"'


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """Make a directory, and remove it at the end, or when this process ends before."""
    with TemporaryDirectory(prefix=prefix) as folder:
        quiet = subprocess.DEVNULL
        command = ["/bin/sh", "-c", _WATCH, folder]
        watch = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True
        )
        try:
            yield Path(folder)
        finally:
            watch.kill()
            watch.communicate()

"""What a command may have left behind: processes and runtime directories that know its temporary directory."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path


def leftovers(temporary: Path) -> list[str]:
    """Return directories of sessions in `temporary`, and commands of processes that have it in their environment."""
    found = [str(path) for path in temporary.glob("kernel-exec-*")]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
            if f"TMPDIR={temporary}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return [name for name in found if name]


def nothing_is_left(temporary: Path, patience: float = 30.0) -> None:
    """Wait until nothing is left: what watches a process learns of its end a moment later."""
    deadline = time.monotonic() + patience
    while remains := leftovers(temporary):
        assert time.monotonic() < deadline, remains
        time.sleep(0.02)

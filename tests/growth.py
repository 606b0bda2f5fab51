"""By how much this process grows."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 2**20


@dataclass
class Grown:
    """What came of a call, and by how many bytes the resident memory of this process had grown at most."""

    result: Any
    bytes: int


def growth(call: Callable[[], Any]) -> Grown:
    """Call, and look."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _memory("VmRSS")
    result = call()
    return Grown(result, _memory("VmHWM") - before)


def _memory(name: str) -> int:
    status = Path(f"/proc/{os.getpid()}/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024

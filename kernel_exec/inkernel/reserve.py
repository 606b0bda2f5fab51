"""Memory that is kept back, so that the kernel can still tell that there is none left."""

from __future__ import annotations

import resource

SIZE = 8 << 20


class Reserve:
    """Taken before user code runs, given back when it was refused memory. Only where a limit is in force."""

    def __init__(self) -> None:
        self._limited = resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY
        self._held: bytearray | None = None

    def take(self) -> None:
        """Keep memory back, when there is some; nothing of it is touched, so that it only counts as reserved."""
        if self._limited and self._held is None:
            try:
                self._held = bytearray(SIZE)
            except MemoryError:
                return

    def give(self) -> None:
        """Give it back, for the error to be told."""
        self._held = None

"""How the making of images tells what it does."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Is called, in the caller's loop, with a line of what is done now."""


def silent(_: str) -> None:
    """Tell nobody."""

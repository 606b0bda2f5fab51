"""Values on their way."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A question that is not answered; `reason` is one word of "refused", "unknown", "busy", "failed"."""

    def __init__(self, message: str, reason: str = "refused") -> None:
        super().__init__(message)
        self.reason = reason


def encode(value: Any) -> tuple[dict[str, Any], list[Any]]:
    """Not there yet."""
    raise Refused("it cannot do that yet")


def decode(meta: dict[str, Any], buffers: list[Any]) -> Any:
    """Not there yet."""
    raise Refused("it cannot do that yet")

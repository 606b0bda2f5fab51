"""Text that can be sent: Python's strings may hold lone surrogates (names of files that are no UTF-8), UTF-8 may not.

A stock ipykernel fails where it sends such a text, and what came with it is lost: the rest of the output, or the
reply that everybody waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def sendable(text: str) -> str:
    """Return the text with lone surrogates shown as escapes, as Python shows them in a repr."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def sendable_packer(pack: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return a packer of messages that never fails on a lone surrogate, and never sends what is no UTF-8.

    Args:
        pack: makes JSON of a message's part.
    """

    def pack_sendable(part: Any) -> bytes:
        try:
            packed = pack(part)
            if not packed.isascii():
                packed.decode("utf-8")
        except UnicodeError:
            return pack(_cleaned(part))
        return packed

    return pack_sendable


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    return value

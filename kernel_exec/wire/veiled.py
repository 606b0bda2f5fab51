"""Messages without secrets: each is masked before anybody reads it, and text also where several messages share one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kernel_exec.secrets import Veil
from kernel_exec.wire.long_text import LongText
from kernel_exec.wire.messages import Message

_SHOWN = frozenset({"display_data", "execute_result", "update_display_data"})


class Veiled:
    """Masks what comes from one kernel.

    The end of a text that may be the beginning of a secret is held back: until more of the same stream comes, or its
    cell has ended.

    Args:
        veil: what masks.
    """

    def __init__(self, veil: Veil) -> None:
        self._veil = veil
        self._held: dict[tuple[str, str], Message] = {}  # the text that is held back, by request and stream

    def messages(self, message: Message) -> Iterator[Message]:
        """Yield what is to be read in the place of a message, in order."""
        if not self._veil:
            yield message
        elif message.msg_type == "stream" and isinstance(message.content.get("text"), str | LongText):
            yield from self._stream(message)
        else:
            if message.msg_type == "status" and message.content.get("execution_state") == "idle":
                yield from self.rest(message.parent_id)
            yield replace(message, content=self._veil.data(_with_texts(message)))

    def rest(self, parent_id: str | None = None) -> Iterator[Message]:
        """Yield what is held back of a request; None for all of them."""
        for key in [key for key in self._held if parent_id in (None, key[0])]:
            held = self._held.pop(key)
            yield replace(held, content={**held.content, "text": self._veil.text(held.content["text"])})

    def _stream(self, message: Message) -> Iterator[Message]:
        key = (message.parent_id, str(message.content.get("name")))
        before = self._held.pop(key, None)
        text = (before.content["text"] if before else "") + str(message.content["text"])
        at = len(text) - self._veil.held(text)
        if at < len(text):
            self._held[key] = replace(message, content={**message.content, "text": text[at:]})
        if at:
            yield replace(message, content={**message.content, "text": self._veil.text(text[:at])})


def _with_texts(message: Message) -> dict[str, object]:
    """Return the content of a message with its long texts as text."""
    data = message.content.get("data")
    if message.msg_type not in _SHOWN or not isinstance(data, dict):
        return message.content
    return {**message.content, "data": {m: str(v) if isinstance(v, LongText) else v for m, v in data.items()}}

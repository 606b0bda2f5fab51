"""One execution as its messages tell it."""

from __future__ import annotations

from typing import Any, Literal

from kernel_exec.wire.budget import is_count, shortened
from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.outputs import Outputs

ReplyStatus = Literal["ok", "error", "aborted"]

LONG_ERROR = 4 * 2**20
"""Characters of an error's text in a reply, beyond which it is shortened: replies stay in memory for a while."""
MANY_LINES = 10_000
"""Entries of an error's traceback in a reply, beyond which it is left out."""
LONG_STAMP = 256

_STAMPS = {"busy": "iopub.status.busy", "idle": "iopub.status.idle"}


class Cell:
    """What is known of one execute_request; it changes only by the messages that belong to it.

    It is finished when BOTH its execute_reply and its own `status: idle` have arrived: either can come first,
    and a client that stops at one of them loses output.

    Attributes:
        cell_id: id of the cell in the recording.
        source: the code as it was sent.
        msg_id: id of its request.
        outputs: what it put out.
        reply: status, error and payload of the execute_reply, or None until it comes.
        idle: True once its own idle came.
        execution_count: the kernel's number for it.
        stamps: the five timing stamps of nbformat's `metadata.execution`.
        given_away: how many messages with output a widget has taken instead.
    """

    def __init__(self, cell_id: str, source: str, msg_id: str, outputs: Outputs | None = None) -> None:
        self.cell_id = cell_id
        self.source = source
        self.msg_id = msg_id
        self.outputs = outputs or Outputs()
        self.reply: dict[str, Any] | None = None
        self.idle = False
        self.execution_count: int | None = None
        self.stamps: dict[str, str] = {}
        self.given_away = 0

    @property
    def size(self) -> int:
        """How many bytes are kept, roughly."""
        return self.outputs.size + (sum(map(_length, self.reply.values())) if self.reply else 0)

    @property
    def finished(self) -> bool:
        """True when nothing more can come but late output of threads and descriptors."""
        return self.idle and self.reply is not None

    @property
    def started(self) -> bool:
        """True when the kernel took the request up."""
        return bool(self.stamps) or self.reply is not None

    @property
    def reply_status(self) -> ReplyStatus | None:
        """How the kernel says that the execution ended; None until it says so."""
        if self.reply is None:
            return None
        status = self.reply.get("status")
        if status == "ok":
            return "ok"
        return "error" if status == "error" else "aborted"

    @property
    def asks_exit(self) -> bool:
        """True when the code asked the kernel to end (`exit()` and `quit()` send a payload that says so)."""
        return self.reply is not None and "payload" in self.reply

    def take_status(self, message: Message) -> None:
        """Take a status message of this cell.

        Raises:
            BadMessage: it has no state.
        """
        state = message.content.get("execution_state")
        if not isinstance(state, str):
            raise BadMessage("a status message has no state")
        if stamp := _STAMPS.get(state):
            self.stamps[stamp] = message.date
        self.idle = self.idle or state == "idle"

    def take_input(self, message: Message) -> None:
        """Take the execute_input message, which tells the execution count."""
        self.stamps["iopub.execute_input"] = message.date
        self._take_count(message.content)

    def take_reply(self, message: Message) -> None:
        """Take the execute_reply.

        Raises:
            BadMessage: it has no status, or is not the first.
        """
        if not isinstance(message.content.get("status"), str):
            raise BadMessage("an execute_reply has no status")
        if self.reply is not None:
            raise BadMessage("it answers a request that was answered already")
        started = message.metadata.get("started")
        if isinstance(started, str) and len(started) <= LONG_STAMP:
            self.stamps["shell.execute_reply.started"] = started
        self.stamps["shell.execute_reply"] = message.date
        self.reply = _kept(message.content)
        if self.reply_status != "aborted":
            self._take_count(message.content)

    def _take_count(self, content: dict[str, Any]) -> None:
        count = content.get("execution_count")
        if is_count(count):
            self.execution_count = count


def _kept(reply: dict[str, Any]) -> dict[str, Any]:
    """Return what is of use of an execute_reply; a text that is too long loses its middle, or its traceback."""
    kept: dict[str, Any] = {key: reply[key] for key in ("status", "ename", "evalue") if isinstance(reply.get(key), str)}
    lines = reply.get("traceback")
    if isinstance(lines, list) and len(lines) <= MANY_LINES:
        kept["traceback"] = [line for line in lines if isinstance(line, str)]
    if sum(map(_length, kept.values())) > LONG_ERROR:
        kept = {key: shortened(value, LONG_ERROR // 4) for key, value in kept.items() if isinstance(value, str)}
    payload = reply.get("payload")
    if isinstance(payload, list) and any(map(_asks_exit, payload)):
        kept["payload"] = [{"source": "ask_exit"}]
    return kept


def _asks_exit(item: Any) -> bool:
    return isinstance(item, dict) and item.get("source") == "ask_exit" and not item.get("keepkernel")


def _length(value: Any) -> int:
    return sum(map(_length, value)) if isinstance(value, list) else len(value) if isinstance(value, str) else 0

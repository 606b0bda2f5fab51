"""One execution as its messages tell it."""

from __future__ import annotations

from typing import Any, Literal

from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.outputs import Outputs

ReplyStatus = Literal["ok", "error", "aborted"]

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
        reply: content of the execute_reply, or None until it comes.
        idle: True once its own idle came.
        execution_count: the kernel's number for it.
        stamps: the five timing stamps of nbformat's `metadata.execution`.
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
        payload = self.reply.get("payload") if self.reply else None
        items = [item for item in payload if isinstance(item, dict)] if isinstance(payload, list) else []
        return any(item.get("source") == "ask_exit" and not item.get("keepkernel") for item in items)

    def take_status(self, message: Message) -> None:
        """Take a status message of this cell."""
        state = message.content.get("execution_state")
        if stamp := _STAMPS.get(state) if isinstance(state, str) else None:
            self.stamps[stamp] = message.date
        self.idle = self.idle or state == "idle"

    def take_input(self, message: Message) -> None:
        """Take the execute_input message, which tells the execution count."""
        self.stamps["iopub.execute_input"] = message.date
        self._take_count(message.content)

    def take_reply(self, message: Message) -> None:
        """Take the execute_reply.

        Raises:
            BadMessage: it has no status.
        """
        if not isinstance(message.content.get("status"), str):
            raise BadMessage("an execute_reply has no status")
        started = message.metadata.get("started")
        if isinstance(started, str):
            self.stamps["shell.execute_reply.started"] = started
        self.stamps["shell.execute_reply"] = message.date
        self.reply = message.content
        if self.reply_status != "aborted":
            self._take_count(message.content)

    def _take_count(self, content: dict[str, Any]) -> None:
        count = content.get("execution_count")
        if type(count) is int and count >= 0:
            self.execution_count = count

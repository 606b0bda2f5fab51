"""Messages as a kernel sends them, for tests without sockets."""

import itertools
from typing import Any

from kernel_exec.wire.messages import Message

_ids = itertools.count()


def message(msg_type: str, parent: str = "r1", channel: str = "iopub", metadata: Any = None, **content: Any) -> Message:
    return Message(channel, msg_type, f"m{next(_ids)}", parent, content, metadata or {}, date="2026-01-02T03:04:05Z")


def stream(text: str, name: str = "stdout", parent: str = "r1") -> Message:
    return message("stream", parent, name=name, text=text)


def display(value: str, display_id: str = "", parent: str = "r1") -> Message:
    transient = {"display_id": display_id} if display_id else {}
    return message("display_data", parent, data={"text/plain": value}, transient=transient)


def update(value: str, display_id: str, parent: str = "r1") -> Message:
    return message("update_display_data", parent, data={"text/plain": value}, transient={"display_id": display_id})


def clear(parent: str = "r1", *, wait: bool) -> Message:
    return message("clear_output", parent, wait=wait)


def status(state: str, parent: str = "r1") -> Message:
    return message("status", parent, execution_state=state)


def reply(parent: str = "r1", status: str = "ok", count: int = 1, **content: Any) -> Message:
    metadata = {"started": "2026-01-02T03:04:04Z"}
    content |= {"status": status, "execution_count": count}
    return Message("shell", "execute_reply", f"m{next(_ids)}", parent, content, metadata, "2026-01-02T03:04:06Z")


def execute_input(parent: str = "r1", count: int = 1) -> Message:
    return message("execute_input", parent, code="", execution_count=count)

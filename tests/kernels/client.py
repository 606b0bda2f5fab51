"""A client for one kernel, as small as can be: sends a cell, collects what comes until it is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.kernel import Kernel
from kernel_exec.settings import Limits
from kernel_exec.wire.channels import Channels
from kernel_exec.wire.messages import Message

PATIENCE = 60.0


@dataclass
class Outcome:
    """What came of one cell, until its reply and idle."""

    msg_id: str
    messages: list[Message] = field(default_factory=list)
    reply: dict[str, Any] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def text(self, name: str = "stdout") -> str:
        """All text of one stream."""
        return stream_text(self.messages, name)

    def take(self, message: Message) -> None:
        self.messages.append(message)
        if message.msg_type == "execute_reply":
            self.reply = message.content
        if self.reply is not None and any(is_idle(message) for message in self.messages):
            self.over.set()


class Client:
    """Runs cells in a kernel; what belongs to no running cell is in `late`."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.outcomes: dict[str, Outcome] = {}
        self.problems: list[str] = []
        self.channels = Channels(kernel.connection, self._take, self.problems.append, self.problems.append)

    async def run(self, code: str, *, timeout: float = PATIENCE) -> Outcome:
        """Run a cell to its end."""
        outcome = self.send(code)
        await asyncio.wait_for(outcome.over.wait(), timeout)
        return outcome

    def send(self, code: str) -> Outcome:
        """Send a cell."""
        made: list[Outcome] = []

        def begin(msg_id: str) -> None:
            made.append(Outcome(msg_id))
            self.outcomes[msg_id] = made[0]

        self.channels.execute(code, "cell", allow_stdin=False, begin=begin)
        return made[0]

    async def until(self, outcome: Outcome, text: str) -> None:
        """Wait until a cell has printed `text`."""
        async with asyncio.timeout(PATIENCE):
            while text not in outcome.text():
                await asyncio.sleep(0.005)

    def unseen(self) -> list[Message]:
        """What a dead kernel left, without what had been delivered."""
        self.channels.drain()
        seen = set(self.channels.seen)
        return [message for message in self.kernel.last_words() if message.msg_id not in seen]

    def _take(self, message: Message) -> None:
        if message.parent_id in self.outcomes:
            self.outcomes[message.parent_id].take(message)


@asynccontextmanager
async def started(
    settings: HostKernel | None = None,
    *,
    cwd: Path,
    cleanup: tuple[Path, ...] = (),
    limits: Limits | None = None,
) -> AsyncIterator[Client]:
    """A kernel that answers, and its client."""
    kernel = await Kernel.start(
        settings or HostKernel(), cwd=cwd, limits=limits or Limits(), cleanup=cleanup, timeout=PATIENCE
    )
    try:
        client = Client(kernel)
        try:
            await asyncio.wait_for(client.channels.ready(), PATIENCE)
            yield client
        finally:
            client.channels.close()
    finally:
        await kernel.stop()


def stream_text(messages: list[Message], name: str = "stdout") -> str:
    """All text of one stream in some messages."""
    return "".join(
        message.content["text"]
        for message in messages
        if message.msg_type == "stream" and message.content["name"] == name
    )


def is_idle(message: Message) -> bool:
    return message.msg_type == "status" and message.content["execution_state"] == "idle"

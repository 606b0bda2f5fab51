"""A kernel that answers each cell, `SEED COUNT`, with that many lies, and then with an honest end."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.fuzz.mutations import Liar, Truth
from tests.lies.kernel import Kernel, Request


class FuzzingKernel(Kernel):
    """Lies about what is in a file."""

    def __init__(self, connection: dict[str, Any], truths: list[Truth]) -> None:
        super().__init__(connection)
        self._truths, self._secret = truths, connection["key"].encode()

    def lie(self, request: Request, code: str) -> None:
        """Send lies."""
        seed, _, count = code.partition(" ")
        liar = Liar(int(seed), self._truths, self._secret)
        liar.parents.append(request.header["msg_id"])
        for _ in range(int(count or 0)):
            channel, frames = liar.lie()
            if _ends(frames):
                continue
            start = frames.index(b"<IDS|MSG>") if b"<IDS|MSG>" in frames else 0
            route = [b"topic"] if channel == "iopub" else request.identity
            getattr(self, channel).send_multipart([*route, *(frames[start:] or [b""])])


def _ends(frames: list[bytes]) -> bool:
    """Whether a lie would end its cell, and so the test of all that follow."""
    return any(b'"execute_reply"' in frame or b'"idle"' in frame for frame in frames)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file, open(sys.argv[2], encoding="utf-8") as truths:
        FuzzingKernel(json.load(file), [Truth.from_json(one) for one in json.load(truths)]).serve()

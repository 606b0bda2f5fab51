"""What real kernels send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import HostKernel
from kernel_exec.wire.messages import Codec, Frame, Message
from tests.fuzz.mutations import Truth
from tests.kernels.client import PATIENCE, Client, started

CELLS = [
    "import sys\nprint('out')\nprint('err', file=sys.stderr)\nfor n in range(3): print(f'\\r{n}', end='', flush=True)",
    "handle = display('first', display_id=True)\nhandle.update('second')\ndisplay({'text/html': '<b>x</b>'}, raw=True)",
    "from IPython.display import clear_output, JSON, SVG, Markdown\nprint(1)\nclear_output(wait=True)\nprint(2)",
    "display(JSON({'a': [1, None]}), Markdown('*x*'))\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
    "def f(): 1 / 0\nf()",
    "raise ExceptionGroup('g', [ValueError(1)])",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('\\u4e2d')\nplt.show()",
    "import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})",
    "import ipywidgets as w\nslider = w.IntSlider(3)\ndisplay(slider)\nslider.value = 5\nw.Image(value=b'abc').close()",
    "input('name? ')",
    "import getpass; getpass.getpass()",
    "import os; os.system('echo of a child')",
    "exit(keep_kernel=True)",
]


def recorded(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Sequence[HostKernel]) -> list[Truth]:
    """Run the cells on kernels; return all that these send."""
    truths: list[Truth] = []
    parse = Codec.parse

    def noted(self: Codec, channel: str, frames: Sequence[Frame]) -> Message:
        truths.append(Truth.of(channel, [bytes(frame) for frame in frames]))
        return parse(self, channel, frames)

    monkeypatch.setattr(Codec, "parse", noted)

    async def run() -> None:
        await asyncio.gather(*(_talk(one, folder) for one in settings))

    asyncio.run(run())
    # Nothing of a machine stays in: what comes of a seed is the same on each.
    return sorted(truths, key=lambda truth: (truth.header["msg_type"], json.dumps(truth.content, sort_keys=True)))


async def _talk(settings: HostKernel, folder: Path) -> None:
    async with started(settings, cwd=folder) as client:
        for code in CELLS:
            await _answered(client, code)
        for kind, content in (
            ("complete", {"code": "pri", "cursor_pos": 3}),
            ("inspect", {"code": "print", "cursor_pos": 3, "detail_level": 0}),
            ("is_complete", {"code": "if 1:"}),
            ("comm_info", {}),
            ("history", {"output": False, "raw": True, "hist_access_type": "tail", "n": 1}),
        ):
            client.channels.send("shell", f"{kind}_request", content)
        await client.run("pass")


async def _answered(client: Client, code: str) -> None:
    """Run a cell, and answer what it asks."""
    over = asyncio.Event()
    seen: set[str] = set()

    def take(message: Message) -> None:
        if message.msg_type == "input_request":
            client.channels.send("stdin", "input_reply", {"status": "ok", "value": "Ada"})
        if message.parent_id in ids:
            seen.add(message.msg_type if message.msg_type != "status" else message.content["execution_state"])
        if seen >= {"idle", "execute_reply"}:
            over.set()

    ids: list[str] = []
    client.channels._on_message = take
    client.channels.execute(code, "cell", allow_stdin=True, begin=ids.append)
    await asyncio.wait_for(over.wait(), PATIENCE)
    client.channels._on_message = client._take


def as_json(truths: list[Truth]) -> list[dict[str, Any]]:
    """Return the messages in a form that a file can hold."""
    return [truth.as_json() for truth in truths]

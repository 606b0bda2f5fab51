"""The outputs of a session's cell, put out again in the notebook's own cell."""

from __future__ import annotations

import base64
import binascii
import struct
import sys
from collections.abc import Mapping
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import clear_output, publish_display_data

from kernel_exec.results import Output

_PNG_HEAD = 32
"""Characters of base64 in which a PNG says how large it is."""


class Relay:
    """Puts the outputs of one cell out again; an error is kept, for whoever raises it.

    Args:
        shell: the notebook's shell, or IPython in a terminal.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._in_terminal = getattr(shell, "kernel", None) is None
        self._unflushed = False
        self._printed = ""
        self.traceback: list[str] = []
        """Lines of the last error, as the kernel sent them."""

    def show(self, item: Output) -> None:
        """Put out an output, or a change to an earlier one."""
        kind = item["output_type"]
        if kind == "stream":
            (sys.stderr if item["name"] == "stderr" else sys.stdout).write(item["text"])
            self._unflushed = True
        elif kind == "error":
            self.traceback = item["traceback"] or self.traceback
        elif kind == "clear_output":
            clear_output(wait=item["wait"])
        elif self._in_terminal:
            self._print(item)
        elif kind == "execute_result":
            self.flush()
            self._result(item)
        else:
            update = {"update": True} if kind == "update_display_data" else {}
            publish_display_data(item["data"], item["metadata"], transient=item.get("transient"), **update)

    def flush(self) -> None:
        """Have text seen now."""
        if self._unflushed:
            self._unflushed = False
            sys.stdout.flush()
            sys.stderr.flush()

    def _result(self, item: Output) -> None:
        """Put out the value of a cell's last expression as that, with the number of the notebook's cell.

        For this ipykernel has no public way: it is done as its own display hook does it. Where that is another one, as
        below `%%capture`, or has changed, the value is a display like others.
        """
        hook: Any = sys.displayhook
        try:
            session, socket, parent = hook.session, hook.pub_socket, hook.parent_header
            content = {"data": item["data"], "metadata": item["metadata"], "execution_count": hook.prompt_count}
            send, topic = session.send, hook.topic
        except AttributeError:
            publish_display_data(item["data"], item["metadata"])
            return
        send(socket, "execute_result", content, parent=parent, ident=topic)

    def _print(self, item: Output) -> None:
        text = in_text(item["data"])
        if item["output_type"] == "update_display_data" and text == self._printed:
            return
        self._printed = text
        print(text, flush=True)  # noqa: T201 - this is IPython in a terminal


def in_text(data: Mapping[str, Any]) -> str:
    """Return what stands on a terminal for a display."""
    pictures = [mime for mime in data if mime.startswith("image/")]
    if pictures:
        return f"[{pictures[0]}{_size_of(data[pictures[0]]) if pictures[0] == 'image/png' else ''}]"
    plain = data.get("text/plain")
    return plain if isinstance(plain, str) else f"[{', '.join(sorted(data))}]"


def _size_of(picture: object) -> str:
    """Return width and height of a PNG in base64; "" when it does not say."""
    try:
        head = base64.b64decode("".join(str(picture)[: 2 * _PNG_HEAD].split())[:_PNG_HEAD])
        width, height = struct.unpack(">II", head[16:24])
    except (binascii.Error, struct.error, ValueError):
        return ""
    return f" {width}x{height}"

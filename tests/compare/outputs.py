"""Runs pieces of code as cells, without a kernel, and prints what became of them as cells of a notebook.

python -m tests.compare.outputs < codes.json > cells.json
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from tests.compare.planted import PRELUDE


class Results(DisplayHook):
    """Keeps results instead of printing them."""

    def write_output_prompt(self) -> None:
        self.kept: list[dict[str, Any]] = []

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        self.kept.append(_display(format_dict, "execute_result"))

    def finish_displayhook(self) -> None:
        self.shell.order += self.kept


class Shell(InteractiveShell):
    """Has an order of outputs."""

    displayhook_class = Results
    order: list[dict[str, Any]]

    def _showtraceback(self, *_: Any) -> None:
        """Print nothing: a kernel sends an error instead."""


def main() -> None:
    """Run each piece in a directory of its own."""
    codes = json.load(sys.stdin)
    shell = Shell.instance(config=Config(HistoryManager={"enabled": False}))
    shell.run_cell(PRELUDE)
    known = dict(shell.user_ns)
    answer = [_cell(shell, code, known) for code in codes]
    json.dump(answer, sys.__stdout__)


def _cell(shell: Shell, code: str, known: dict[str, Any]) -> dict[str, Any]:
    shell.user_ns.update(known)
    started = datetime.now(UTC).isoformat()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        outputs = _outputs(shell, code)
        artifacts = [_artifact(path) for path in sorted(Path().iterdir())]
        os.chdir("/")
    status = "error" if outputs and outputs[-1]["output_type"] == "error" else "ok"
    ours = {"status": status, **({"artifacts": artifacts} if artifacts else {})}
    metadata = {"execution": {"iopub.status.busy": started}, "kernel_exec": ours}
    return {"cell_type": "code", "id": "a", "metadata": metadata, "source": code, "outputs": outputs}


def _outputs(shell: Shell, code: str) -> list[dict[str, Any]]:
    """Return streams and displays in the order in which they came, as far as they can be told apart here."""
    shell.order = order = []
    with capture_output(), warnings.catch_warnings():
        warnings.simplefilter("always")
        for name in ("stdout", "stderr"):
            _watch(getattr(sys, name), name, order)
        publish = shell.display_pub.publish
        shell.display_pub.publish = lambda data, metadata=None, **_: order.append(_display(data))  # type: ignore[method-assign]
        result = shell.run_cell(code, store_history=True)
        shell.display_pub.publish = publish  # type: ignore[method-assign]
    if (error := result.error_before_exec or result.error_in_exec) is not None:
        order.append({"output_type": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": []})
    return order


def _watch(stream: Any, name: str, order: list[dict[str, Any]]) -> None:
    stream.write = lambda text: order.append({"output_type": "stream", "name": name, "text": text})


def _display(data: dict[str, Any], kind: str = "display_data") -> dict[str, Any]:
    bundle = {
        mime: base64.b64encode(value).decode() if isinstance(value, bytes) else value for mime, value in data.items()
    }
    return {"output_type": kind, "data": bundle, "metadata": {}}


def _artifact(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"path": str(path), "change": "created", "size": len(content), "sha256": digest}


if __name__ == "__main__":
    main()

"""A notebook's kernel that can be watched: each message that it sends, and when."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.cli.leftovers import nothing_is_left

PATIENCE = 100.0
PATIENT = """import kernel_exec.kernels.link, kernel_exec.session
kernel_exec.session.REPEAT, kernel_exec.session.GRACE, kernel_exec.kernels.link.SIGNAL_TIMEOUT = 10.0, 60.0, 20.0
del kernel_exec"""
"""Code that gives a notebook's sessions what the fixture `patient` gives executors of the tests' own process."""


@dataclass
class Ran:
    """What a cell of the notebook did: messages with the seconds after which each came, and how it ended."""

    messages: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    status: str = ""
    seconds: float = 0.0
    number: int = 0

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.messages]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [content for _, found, content in self.messages if found == kind]

    @property
    def text(self) -> str:
        return "".join(content["text"] for content in self.of("stream"))

    @property
    def value(self) -> str:
        (content,) = self.of("execute_result")
        return content["data"]["text/plain"]

    @property
    def error(self) -> dict[str, Any]:
        assert self.status == "error"
        (content,) = self.of("error")
        return content


class Notebook:
    """A stock ipykernel with the magics loaded, and its client."""

    def __init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))  # short enough for sockets
        self.temporary = self._place / "tmp"
        self.temporary.mkdir()
        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(self._place / "k"))
        self.manager.start_kernel(
            env={**os.environ, "TMPDIR": str(self.temporary)},
            cwd=str(self._place),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def load(self) -> None:
        self.ok("%load_ext kernel_exec.magics")
        self.ok(PATIENT)

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel()
        self.manager.cleanup_resources()
        # A kernel that needs more than 2.5 s to end is killed; then others remove what its sessions leave, meanwhile.
        nothing_is_left(self.temporary)
        shutil.rmtree(self._place)

    def send(self, code: str, **options: Any) -> str:
        return self.client.execute(code, **{"allow_stdin": False, **options})

    def watch(
        self, request: str, on: Callable[[str, dict[str, Any]], object] | None = None, answers: tuple[str, ...] = ()
    ) -> Ran:
        """Follow a request to its end; `on` is called with each message."""
        ran, start, left = Ran(), time.monotonic(), list(answers)
        deadline = start + PATIENCE
        while True:
            assert time.monotonic() < deadline, ran
            if left and self.client.stdin_channel.msg_ready():
                asked = self.client.get_stdin_msg(timeout=1)
                ran.messages.append((time.monotonic() - start, "input_request", asked["content"]))
                self.client.input(left.pop(0))
            if not self.client.iopub_channel.socket.poll(100):
                continue
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind not in ("status", "execute_input"):
                ran.messages.append((time.monotonic() - start, kind, content))
                if on is not None:
                    on(kind, content)
        ran.seconds = time.monotonic() - start
        while (reply := self.client.get_shell_msg(timeout=PATIENCE))["parent_header"].get("msg_id") != request:
            pass
        ran.status, ran.number = reply["content"]["status"], reply["content"].get("execution_count", 0)
        return ran

    def run(self, code: str, *answers: str, on: Callable[[str, dict[str, Any]], object] | None = None) -> Ran:
        return self.watch(self.send(code, allow_stdin=bool(answers)), on, answers)

    def ok(self, code: str, *answers: str) -> Ran:
        ran = self.run(code, *answers)
        assert ran.status == "ok", ran
        return ran

    def complete(self, code: str) -> dict[str, Any]:
        reply = self.client.complete(code, reply=True, timeout=PATIENCE)
        return reply["content"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Notebook]:
    notebook = Notebook()
    try:
        notebook.load()
        yield notebook
    finally:
        notebook.close()


@pytest.fixture
def nb(shared: Notebook) -> Notebook:
    """One notebook for a module; each test has the session `lab`, whatever the ones before have done."""
    return shared


@pytest.fixture
def fresh() -> Iterator[Notebook]:
    """A notebook of this test's own."""
    notebook = Notebook()
    try:
        notebook.load()
        yield notebook
    finally:
        notebook.close()

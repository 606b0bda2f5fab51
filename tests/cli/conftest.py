"""The real command, in a pipe and on a terminal."""

from __future__ import annotations

import codecs
import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

PROGRAM = [sys.executable, "-m", "kernel_exec.cli"]
COMMAND = [*PROGRAM, "run"]
PATIENCE = 100.0
"""Seconds after which a command that should have ended, or said something, is stuck."""


@dataclass
class Runs:
    """Runs the command in a directory of its own."""

    directory: Path

    def script(self, text: str, name: str = "script.py") -> str:
        """Write an input file; return its name."""
        (self.directory / name).write_text(text, encoding="utf-8")
        return name

    def __call__(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it in a pipe."""
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command, input=stdin, cwd=self.directory, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def code(self, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script in a pipe."""
        return self(self.script(text), *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it in a pipe."""
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def recorded(self, name: str = "session.ipynb") -> nbformat.NotebookNode:
        """Return the recording, which must be valid."""
        notebook = nbformat.read(self.directory / name, as_version=4)
        nbformat.validate(notebook)
        return notebook

    def sources(self, name: str = "session.ipynb") -> list[tuple[str, str]]:
        """Return kind and text of the recorded cells."""
        return [(cell.cell_type, cell.source) for cell in self.recorded(name).cells]


@pytest.fixture
def run(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


class Terminal:
    """The command on a terminal of its own, as its foreground process."""

    def __init__(self, directory: Path, arguments: Sequence[str], command: Sequence[str] = COMMAND) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execv(command[0], [*command, *arguments])
        self.text = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode  # what is read may end within a character
        self._ended = False

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            self.end()

    def read_until(self, wanted: str) -> None:
        """Read until it has shown some text."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.text:
            assert select.select([self._fd], [], [], deadline - time.monotonic())[0], f"no {wanted!r} in {self.text!r}"
            self.text += self._decode(os.read(self._fd, 65536))

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._fd, text.encode())

    def end(self) -> int:
        """Read to the end; return the exit status."""
        self._ended = True
        with contextlib.suppress(OSError):  # a terminal whose process has gone says EIO
            while select.select([self._fd], [], [], PATIENCE)[0]:
                self.text += self._decode(os.read(self._fd, 65536))
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

"""A terminal that can be looked at: a tmux server of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

PROMPT = re.compile(r"\nIn \[\d+\]:\s*\Z")
PATIENCE = 100.0
"""Seconds after which something that should have appeared never will."""


class Screen:
    """Runs one command in a terminal of 100 columns; after its end the screen shows `[status N]`.

    Args:
        directory: where it runs; its home, too.
        command: the command.
        env: variables on top of this process's.
    """

    def __init__(self, directory: Path, command: list[str], env: Mapping[str, str]) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        self._place = tempfile.TemporaryDirectory(prefix="tmux-", dir="/tmp")  # short enough for a socket
        self._tmux = ["tmux", "-S", f"{self._place.name}/socket", "-f", os.devnull]
        program = shlex.join(["env", *(f"{name}={value}" for name, value in env.items()), *command])
        line = f'cd {shlex.quote(str(directory))}; {program}; echo "[status $?]"; exec sleep 1000'
        self._run("new-session", "-d", "-x", "100", "-y", "40", "sh", "-c", line)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        self._run("kill-server")
        self._place.cleanup()

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=True)
        return done.stdout

    def type(self, text: str, *keys: str) -> None:
        """Type a text, and press keys."""
        if text:
            self._run("send-keys", "-l", text)
        if keys:
            self._run("send-keys", *keys)

    def run(self, *cells: str) -> None:
        """Paste cells at prompts of the console, and run them one after the other."""
        for cell in cells:
            self.prompted()
            self._run("set-buffer", cell)
            self._run("paste-buffer", "-p", "-r")
            self._until(lambda text: not PROMPT.search(text))  # or the next one would be taken for prompted
            self._run("send-keys", *(["Enter", "Enter"] if "\n" in cell else ["Enter"]))

    def prompted(self) -> str:
        """Wait for an empty prompt of the console; return all that is there."""
        return self._until(lambda text: PROMPT.search(text) is not None)

    def wait(self, wanted: str, times: int = 1) -> str:
        """Wait until a text has appeared that often; return all that is there."""
        return self._until(lambda text: text.count(wanted) >= times, wanted)

    def _until(self, reached: Callable[[str], bool], wanted: str = "prompt") -> str:
        deadline = time.monotonic() + PATIENCE
        while not reached(text := self.text()):
            assert time.monotonic() < deadline, f"no {wanted!r} in\n{text}"
            time.sleep(0.05)  # tmux tells nobody when a screen changes
        return text

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def text(self, *, colours: bool = False) -> str:
        """Return all that the terminal has shown."""
        return self._run("capture-pane", "-p", "-J", "-S", "-", *(["-e"] if colours else []))

    @property
    def title(self) -> str:
        """The title of the terminal."""
        return self._run("display-message", "-p", "#{pane_title}").strip()

    def status(self) -> int:
        """Wait for the end of the command; return its exit status."""
        text = self.wait("[status ")
        return int(text.rpartition("[status ")[2].split("]")[0])


def python(*arguments: str) -> list[str]:
    """Return a command that runs Python."""
    return [sys.executable, *arguments]

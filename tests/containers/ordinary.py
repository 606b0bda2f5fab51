"""Users who are not root, and what they need to run this project: Python, its libraries and its code, all readable.

The tests may run from a directory that nobody else can enter, and so may their Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOCKET = Path("/var/run/docker.sock")


class User:
    """An ordinary user, who may ask the engine.

    Args:
        number: of the user, and of the only group beside that of the engine's socket.
        shared: where everybody finds what `everybody` has put there.
    """

    def __init__(self, number: int, shared: Path) -> None:
        self.number = number
        self._shared = shared
        self.home = shared / str(number)
        self.home.mkdir(0o700)
        (self.home / "tmp").mkdir()
        for path in (self.home, self.home / "tmp"):
            os.chown(path, number, number)

    def python(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start Python as this user."""
        python = self._shared / "python"
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "PYTHONPATH": f"{self._shared / 'code'}:{self._shared / 'libraries'}",
            "LD_LIBRARY_PATH": str(python / "lib"),
        }
        return subprocess.Popen(
            [python / "bin" / f"python{sysconfig.get_python_version()}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=environment,
            user=self.number,
            group=self.number,
            extra_groups=[SOCKET.stat().st_gid],
        )

    def told(self, *arguments: str | Path) -> Any:
        """Run Python as this user; return the JSON that it prints."""
        with self.python(*arguments) as process:
            out, err = process.communicate(timeout=110)
        assert process.returncode == 0, err
        return json.loads(out)

    @contextmanager
    def session(self, code: str) -> Iterator[Any]:
        """Run a program that prints a line of JSON, which this gives, and that ends when its input does."""
        with self.python("-c", code) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise AssertionError(process.communicate(timeout=60)[1])
            try:
                yield json.loads(line)
            finally:
                _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


@contextmanager
def everybody() -> Iterator[Path]:
    """A directory where everybody finds our Python, its libraries and our code: mounts that cannot be written."""
    with tempfile.TemporaryDirectory(prefix="kx-", dir="/tmp") as name, ExitStack() as stack:
        shared = Path(name)
        shared.chmod(0o755)
        for place, source in (
            ("python", Path(sys.base_prefix)),
            ("libraries", Path(sysconfig.get_path("purelib"))),
            ("code", ROOT),
        ):
            point = shared / place
            point.mkdir()
            subprocess.run(["mount", "--bind", "-o", "ro", source, point], check=True)
            stack.callback(subprocess.run, ["umount", "-l", point], check=True)
        yield shared

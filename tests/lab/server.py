"""A JupyterLab of the tests' own: its server, in a place of its own, with our kernels installed by our command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from kernel_exec.kernels.leftovers import SESSION
from tests.cli.conftest import PATIENCE, PROGRAM

TOKEN = "of-the-tests"
DISPLAY_NAMES = {"host": "Python (supervised)", "docker": "Python (boxed)"}
"""What the launcher shows, by the kind of kernel; their kernelspecs are called `kx-host` and `kx-docker`."""
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 1},
}
"""No question about news; and what Lab would write over a file is written in a second, not in two minutes."""


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        process: the server's.
        url: where it answers, with a slash at the end.
        root: the directory that it shows.
        temporary: the directory for temporary files of it and all that it starts.
        runtime: where it writes the connection files of its kernels.
        log: what it printed.
    """

    process: subprocess.Popen[bytes]
    url: str
    root: Path
    temporary: Path
    runtime: Path
    log: Path

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the server answers to a request of its API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {TOKEN}"}
        request = urllib.request.Request(f"{self.url}api/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read() or "null")

    def kernels(self) -> list[str]:
        """Return the names of the kernelspecs of the kernels that run."""
        return [kernel["name"] for kernel in self.ask("GET", "kernels")]

    def end(self, signum: int = signal.SIGTERM) -> None:
        """End it with a signal, unless it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        self.process.wait(PATIENCE)

    def sessions(self) -> list[str]:
        """Return the names of the runtime directories of our kernels."""
        return [path.name for path in self.temporary.glob("kernel-exec-*") if not path.name.endswith("-m")]

    def connection_files(self) -> list[Path]:
        """Return the connection files of its kernels."""
        return list(self.runtime.glob("kernel-*.json"))


def boxes(sessions: Iterable[str]) -> list[Any]:
    """Return the containers of such sessions, as the engine knows them."""
    client = docker.from_env()
    try:
        found = client.containers.list(all=True, ignore_removed=True)
        return [box for box in found if box.labels.get(SESSION) in sessions]
    finally:
        client.close()


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server; end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="kx-lab-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        for name in ("root", "tmp", "config/labconfig"):
            (place / name).mkdir(parents=True)
        (place / "config/labconfig/default_setting_overrides.json").write_text(json.dumps(SETTINGS))
        for kind, title in DISPLAY_NAMES.items():
            _install(kind, title, place / "prefix")
        server = _start(place)
        try:
            yield server
        finally:
            server.end()


def _install(kind: str, title: str, prefix: Path) -> None:
    options = ("--kind", kind, "--name", f"kx-{kind}", "--display-name", title, "--prefix", str(prefix))
    subprocess.run([*PROGRAM, "kernelspec", "install", *options], check=True, timeout=PATIENCE, capture_output=True)


def _start(place: Path) -> Server:
    options = (
        *("--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"),
        *(f"--ServerApp.root_dir={place / 'root'}", "--LabApp.expose_app_in_browser=True"),
    )
    env = {
        **os.environ,
        "HOME": str(place),
        "JUPYTER_CONFIG_DIR": str(place / "config"),
        "JUPYTER_DATA_DIR": str(place / "data"),
        "JUPYTER_PATH": str(place / "prefix/share/jupyter"),
        "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
        "JUPYTER_TOKEN": TOKEN,
        "TMPDIR": str(place / "tmp"),
    }
    log = place / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], env=env, stdout=out, stderr=out)
    told = place / "runtime" / f"jpserver-{process.pid}.json"
    deadline = time.monotonic() + PATIENCE
    while not (told.exists() and _answers(url := _url(told))):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return Server(process, url, place / "root", place / "tmp", place / "runtime", log)


def _url(told: Path) -> str:
    try:
        return str(json.loads(told.read_text())["url"])
    except json.JSONDecodeError:  # it is being written
        return ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}api/status?token={TOKEN}", timeout=PATIENCE):
            return True
    except (OSError, ValueError):
        return False

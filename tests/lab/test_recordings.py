"""A recording is open in JupyterLab while its session goes on: Lab asks nothing, and does not write over it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from kernel_exec import Executor
from tests.lab.page import Lab
from tests.lab.server import Server

CHART = "import matplotlib.pyplot as plt\nplt.bar(['a', 'b'], [3, 5]);"
PATIENCE = 30.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def executor(server: Server) -> Iterator[Executor]:
    """A session that is recorded where Lab sees it."""
    with Executor(workdir=server.root / "work", notebook=server.root / "session.ipynb") as executor:
        yield executor


def autosaved(lab: Lab) -> None:
    """Wait until Lab has written over a notebook that lacks what its kernel tells.

    It was opened last: what Lab would write over another one it has written by then.
    """
    notebook = lab.write(f"plain-{os.urandom(4).hex()}.ipynb", ["1"], "kx-host")
    notebook.connected()
    until(lambda: b"language_info" in notebook.path.read_bytes())


def until(true: Callable[[], bool]) -> None:
    """Wait for what others do to a file."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(path: Path) -> tuple[bytes, int, int]:
    about = path.stat()
    return path.read_bytes(), about.st_ino, about.st_mtime_ns


@pytest.mark.long
def test_a_session_that_goes_on(lab: Lab, executor: Executor) -> None:
    recording = executor.notebook_path
    assert recording is not None
    executor.execute("handle = display('first', display_id=True)")
    executor.execute(CHART)
    before = state(recording)

    notebook = lab.open(recording.name)
    assert notebook.connected() == "python3"
    notebook.shows(0, "first")
    expect(notebook.cells.nth(1).locator(".jp-RenderedImage img")).to_be_visible(timeout=1000 * PATIENCE)
    autosaved(lab)
    assert state(recording) == before
    assert lab.page.locator(".jp-Dialog").count() == 0

    # The session goes on. Lab shows it when it is asked to, and asks nothing.
    notebook = lab.open(recording.name)
    assert executor.execute("handle.update('chan' + 'ged'); print('later')").ok
    until(lambda: b"changed" in recording.read_bytes())  # of earlier cells: a moment later
    during = state(recording)
    lab.menu("File", "Reload Notebook from Disk")
    notebook.shows(2, "later")
    notebook.shows(0, "changed")
    assert lab.page.locator(".jp-Dialog").count() == 0
    autosaved(lab)
    assert state(recording) == during

    # Nothing is saved when the person chooses to, as nothing has changed; the session finds its file as it left it.
    lab.open(recording.name)
    with lab.page.expect_response(lambda answer: answer.request.method == "PUT" and recording.name in answer.url):
        lab.page.keyboard.press("Control+s")
    assert executor.execute("print('the end')").ok
    assert lab.page.locator(".jp-Dialog").count() == 0
    cells = json.loads(recording.read_bytes())["cells"]
    assert len([cell for cell in cells if cell["cell_type"] == "code"]) == 4

"""Our kernels in a real JupyterLab, used by the mouse: the one on this machine, and the one in a container."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.executor.looks import wait_until
from tests.lab.page import PATIENCE, Lab
from tests.lab.server import DISPLAY_NAMES, Server, boxes

CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9, 16])\nplt.title('Squares');"
pytestmark = pytest.mark.timeout(400)

LOOP = "import time\nprint('begun', flush=True)\nwhile True:\n    time.sleep(0.01)"


@pytest.fixture(params=["host", pytest.param("docker", marks=[pytest.mark.engine, pytest.mark.long])])
def kind(request: pytest.FixtureRequest) -> str:
    """Where the kernel runs."""
    kind = str(request.param)
    if kind == "docker":
        request.getfixturevalue("engine")
    return kind


def runs_where_it_should(kind: str, server: Server, pid: int, directory: str) -> None:
    """Assert that a kernel, which told its process and directory, is one of our provisioner's."""
    if kind == "docker":
        assert directory == "/workspace"
        (box,) = boxes(server.sessions())
        assert box.status == "running"
        return
    assert directory == str(server.root)
    process = Path(f"/proc/{pid}")
    assert b"kernel_exec/inkernel/launcher.py" in (process / "cmdline").read_bytes()
    (session,) = server.sessions()
    assert f"KERNEL_EXEC_DIRECTORY={server.temporary / session}".encode() in (process / "environ").read_bytes()


def test_chosen_in_the_launcher(lab: Lab, server: Server, kind: str) -> None:
    notebook = lab.launch(DISPLAY_NAMES[kind])
    assert notebook.connected() == f"kx-{kind}"
    notebook.type(0, "import os; print(os.getpid(), os.getcwd())")
    notebook.run_all()
    notebook.has_run(0, 1)
    pid, directory = notebook.text(0).split()
    runs_where_it_should(kind, server, int(pid), directory)
    expect(notebook.panel.locator(".jp-KernelName")).to_have_text(DISPLAY_NAMES[kind], timeout=PATIENCE)


def test_a_chart(lab: Lab, kind: str) -> None:
    notebook = lab.write(f"chart-{kind}.ipynb", ["x = 6 * 7", CHART, "x"], f"kx-{kind}")
    notebook.run_all()
    notebook.has_run(2, 3)
    notebook.shows(2, "42")
    chart = notebook.cells.nth(1).locator(".jp-RenderedImage img")
    expect(chart).to_be_visible(timeout=PATIENCE)
    assert chart.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def test_interrupted_from_the_menu(lab: Lab, kind: str) -> None:
    notebook = lab.write(f"loop-{kind}.ipynb", ["kept = 'still there'", LOOP, "kept"], f"kx-{kind}")
    notebook.run_all()
    notebook.shows(1, "begun")
    lab.menu("Kernel", "Interrupt Kernel")
    notebook.shows(1, "KeyboardInterrupt")
    notebook.run(2)
    notebook.has_run(2, 3)
    notebook.shows(2, "still there")


def test_restarted_from_the_menu(lab: Lab, server: Server, kind: str) -> None:
    notebook = lab.write(f"restart-{kind}.ipynb", ["state = 1", "'state' in globals()"], f"kx-{kind}")
    notebook.run_all()
    notebook.shows(1, "True")
    notebook.restart()
    notebook.run(1)
    notebook.has_run(1, 1)
    notebook.shows(1, "False")
    assert server.kernels() == [f"kx-{kind}"]


def test_shut_down_from_the_menu(lab: Lab, server: Server, kind: str) -> None:
    notebook = lab.write(f"end-{kind}.ipynb", ["1 + 1"], f"kx-{kind}")
    notebook.run_all()
    notebook.has_run(0, 1)
    sessions = server.sessions()
    assert len(sessions) == 1
    lab.menu("Kernel", "Shut Down Kernel")
    expect(notebook.panel.locator(".jp-KernelName")).to_have_text("No Kernel", timeout=PATIENCE)
    assert server.kernels() == []
    assert server.sessions() == []
    assert wait_until(lambda: boxes(sessions) == [])  # the engine removes it when it has ended

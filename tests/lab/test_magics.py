"""`%%kx` in a real JupyterLab: another kernel's progress appears as it is made, and the stop button stops it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.lab.page import PATIENCE, Lab

pytestmark = pytest.mark.timeout(400)

SHOWN = os.environ.get("KERNEL_EXEC_SCREENSHOTS", "")
"""A directory for pictures of what the tests see, for people to look at; none are made without it."""
CELLS = [
    "%load_ext kernel_exec.magics\nmine = 'of the notebook'",
    "%kx start box --docker --memory 1g",
    (
        "%%kx box\nimport matplotlib.pyplot as plt\nplt.figure(figsize=(5, 2))\n"
        "plt.bar(['Mon', 'Tue', 'Wed', 'Thu'], [3, 5, 4, 7])\nplt.title('Drawn in the container');"
    ),
    (
        "%%kx box\nimport time\nfrom IPython.display import ProgressBar\nkept = 'of the container'\n"
        "for step in ProgressBar(200):\n    time.sleep(0.1)"
    ),
    "%%kx box\nkept",
    "mine",
]
STOP = 'jp-button[data-command="notebook:interrupt-kernel"], button[data-command="notebook:interrupt-kernel"]'


@pytest.mark.long
def test_progress_and_the_stop_button(engine: Any, lab: Lab) -> None:
    notebook = lab.write("magics.ipynb", CELLS, "python3")
    notebook.run_all()
    expect(notebook.cells.nth(2).locator(".jp-RenderedImage img")).to_be_visible(timeout=PATIENCE)

    bar = notebook.cells.nth(3).locator("progress")
    for least in (5, 15):  # while the cell runs
        lab.page.wait_for_function(
            "least => document.querySelector('.jp-OutputArea progress')?.value >= least", arg=least
        )
        expect(notebook.cells.nth(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
        look(lab, f"progress-{least}")
    assert bar.count() == 1

    lab.page.locator(".jp-NotebookPanel:visible").locator(STOP).first.click()
    notebook.shows(3, "KeyboardInterrupt")
    look(lab, "stopped")
    for index, text in ((4, "of the container"), (5, "of the notebook")):
        notebook.run(index)
        expect(notebook.cells.nth(index).locator(".jp-OutputArea-output").last).to_have_text(
            f"'{text}'", timeout=PATIENCE
        )
    assert bar.evaluate("bar => bar.value") < 200
    look(lab, "both-kept")


def look(lab: Lab, name: str) -> None:
    """Keep a picture of what is seen now."""
    if SHOWN:
        lab.page.screenshot(path=Path(SHOWN, f"{name}.png"))

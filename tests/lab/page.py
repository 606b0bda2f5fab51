"""JupyterLab as the person before the browser sees and uses it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Page, expect

from tests.lab.server import TOKEN, Server

PATIENCE = 60_000
"""Milliseconds after which what should be seen will not come any more."""
expect.set_options(timeout=PATIENCE)

_PANEL = "[...window.jupyterapp.shell.widgets('main')].find(one => one.isVisible && one.sessionContext && one.context)"
"""The notebook that is shown, in JavaScript: Lab calls none the current one where nothing has the focus."""
_CONNECTED = f"""async () => {{
    const panel = {_PANEL};
    await panel.context.ready;
    await panel.sessionContext.ready;
    const kernel = () => panel.sessionContext.session?.kernel;
    while (!(kernel() && kernel().connectionStatus === 'connected' && kernel().status === 'idle'))
        await new Promise(done => setTimeout(done, 20));
    await kernel().info;
    return kernel().name;
}}"""
"""Lab shows a kernel as idle before messages reach it, and loses those that are sent until then."""

_TELL_OF_RESTART = f"""() => {{
    const context = {_PANEL}.sessionContext;
    window.restarts = new Promise(done => {{
        const told = (_, status) => {{
            if (status !== 'restarting') return;
            context.statusChanged.disconnect(told);
            done();
        }};
        context.statusChanged.connect(told);
    }});
    return null;
}}"""
"""A kernel that is about to be restarted looks like one that was."""


class Lab:
    """A page with JupyterLab in it.

    Args:
        page: the browser's.
        server: what it shows.
    """

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        page.set_default_timeout(PATIENCE)
        # A notebook that `close_all` has closed while Lab was saving it: Lab says so before the next test.
        late = page.locator(".jp-Dialog", has_text="Disposed")
        page.add_locator_handler(late, lambda dialog: dialog.locator(".jp-Dialog-button").first.click())
        page.goto(f"{server.url}lab?reset&token={TOKEN}")
        page.wait_for_selector(".jp-Launcher")
        page.evaluate("() => window.jupyterapp.restored")

    def menu(self, menu: str, item: str) -> None:
        """Choose from a menu; an item that goes on with a question ends with an ellipsis."""
        self.page.locator(f'.lm-MenuBar-itemLabel:text-is("{menu}")').click()
        self.page.locator(f'.lm-Menu-itemLabel:text-matches("^{item}")').first.click()

    def accept(self) -> None:
        """Say yes to what a dialog asks."""
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)

    def launch(self, display_name: str) -> Notebook:
        """Choose a kernel in the launcher; return the notebook that it opens."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('launcher:create'); }")
        cards = self.page.locator(".jp-Launcher:visible .jp-LauncherCard[data-category=Notebook]")
        cards.get_by_text(display_name, exact=True).click()
        return self._notebook()

    def open(self, name: str) -> Notebook:
        """Open a notebook of the server's directory, as a click on it does."""
        opening = "window.jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'})"
        self.page.evaluate(f"async path => {{ await {opening}; }}", name)
        return self._notebook()

    def write(self, name: str, cells: Sequence[str], kernel: str) -> Notebook:
        """Open a notebook with such cells, which somebody made for a kernel."""
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        made.metadata.kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        nbformat.write(made, self.server.root / name)
        return self.open(name)

    def _notebook(self) -> Notebook:
        self.page.wait_for_selector(".jp-NotebookPanel:visible")
        return Notebook(self)

    def close_all(self) -> None:
        """End all kernels and close all notebooks; what is not saved is lost."""
        self.page.evaluate("""async () => {
            const app = window.jupyterapp;
            await app.serviceManager.sessions.shutdownAll();
            for (const widget of [...app.shell.widgets('main')]) {
                if (widget.id.startsWith('launcher')) continue;
                if (widget.context) widget.context.model.dirty = false;
                widget.dispose();
            }
        }""")
        # Where nothing is open Lab opens a launcher, in its own time: before the notebook of the next test, if late.
        self.page.wait_for_selector(".jp-Launcher:visible")


class Notebook:
    """The notebook that Lab shows."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.page = lab, lab.page
        self.panel = self.page.locator(".jp-NotebookPanel:visible")
        self.cells = self.panel.locator(".jp-CodeCell")

    @property
    def path(self) -> Path:
        """The file."""
        path = self.page.evaluate(f"() => {_PANEL}.context.path")
        return self.lab.server.root / str(path)

    def connected(self) -> str:
        """Wait until its kernel can be talked to; return the name of its kernelspec."""
        return str(self.page.evaluate(_CONNECTED))

    def type(self, index: int, code: str) -> None:
        """Type into a cell."""
        self.cells.nth(index).locator(".cm-content").click()
        self.page.keyboard.insert_text(code)

    def run_all(self) -> None:
        """Choose Run > Run All Cells; the cells may run on."""
        self.connected()
        self.lab.menu("Run", "Run All Cells")

    def restart(self) -> None:
        """Choose Kernel > Restart Kernel, and wait until there is another one."""
        self.page.evaluate(_TELL_OF_RESTART)
        self.lab.menu("Kernel", "Restart Kernel…")
        self.lab.accept()
        self.page.evaluate("() => window.restarts")
        self.connected()

    def run(self, index: int) -> None:
        """Run one cell by the keyboard; it may run on."""
        self.cells.nth(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return the outputs of a cell of code, as the notebook holds them."""
        held = self.page.evaluate(f"() => JSON.stringify({_PANEL}.model.sharedModel.toJSON().cells)")
        cells = [cell for cell in json.loads(held) if cell["cell_type"] == "code"]
        return list(cells[index]["outputs"])

    def text(self, index: int) -> str:
        """Return the text of a cell's outputs."""
        return "".join(self.cells.nth(index).locator(".jp-OutputArea-output").all_inner_texts()).strip()

    def shows(self, index: int, text: str) -> None:
        """Wait until a cell has put out a text."""
        expect(self.cells.nth(index).locator(".jp-OutputArea")).to_contain_text(text, timeout=PATIENCE)

    def has_run(self, index: int, count: int) -> None:
        """Wait until a cell has ended as the one of that number."""
        prompt = self.cells.nth(index).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(f"[{count}]:", timeout=PATIENCE)

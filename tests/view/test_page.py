"""What a person finds on the page of a session."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernel_exec import Executor
from kernel_exec.cli import values as status
from kernel_exec.errors import InvalidArgument, NotebookError
from kernel_exec.linux import names_of, watch_folder
from kernel_exec.pages.ansi import ansi_html
from kernel_exec.pages.facts import bytes_text, seconds_text
from kernel_exec.pages.markdown import markdown_html
from kernel_exec.pages.outputs import outputs_html
from kernel_exec.recording import Recorder, code_cell, markdown_cell
from kernel_exec.viewing import page_of_file, write_page
from kernel_exec.viewing.slices import cell_of, sliced
from kernel_exec.viewing.watch import Watch
from tests.cli.conftest import PATIENCE, PROGRAM
from tests.replays.notebooks import code, text, write
from tests.view.conftest import uri

pytestmark = pytest.mark.timeout(600)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0").decode()

BEYOND_UTC = ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session in which much happened."""
    folder = tmp_path_factory.mktemp("session")
    with Executor(workdir=folder, timeout=30) as ex:
        ex.annotate("# 天气 of `Seattle`\n\n| a | b |\n|---|---|\n| 1 | *2* |\n")
        ex.execute("import pandas as pd\nopen('data.csv', 'w').write('x' * 5000)\npd.DataFrame({'城市': [1.5, 22.25]})")
        ex.execute("raise ValueError('no such thing')")
        ex.execute("while True: pass", timeout=0.3)
        ex.execute("import os; os._exit(3)")
        ex.execute("1 + 1")
        ex.restart()
    return folder / "session.ipynb"


def test_what_happened(session: Path, watched: Any, tmp_path: Path) -> None:
    made = write_page(session, tmp_path / "page.html")
    with watched(color_scheme="dark") as seen:
        page = seen.page
        page.goto(uri(made))
        assert page.title() == "天气 of Seattle"
        head = page.locator("header").inner_text()
        for told in (
            "2 ok",
            "1 error",
            "1 timeout",
            "1 died",
            "7 cells",
            "1 restart",
            "peak memory",
            "1 file, 5.0 kB",
        ):
            assert told in head
        assert "Environment: python 3." in head
        assert not page.locator("header table").first.is_visible()
        assert page.locator("#cell-1 .file").inner_text() == "data.csv 5.0 kB"
        assert page.locator("#cell-1 td").all_inner_texts() == ["1.50", "22.25"]
        assert page.locator("#cell-1 .count").inner_text() == "[1]"
        assert page.locator("#cell-2.error .c-red").count() > 1
        assert page.locator("#cell-3.timeout .facts").inner_text().startswith("timeout")
        assert "state lost" in page.locator("#cell-4.died .facts").inner_text()
        assert page.locator("#cell-6.event.restart").count() == 1
        assert page.locator("#cell-0 td").all_inner_texts() == ["1", "2"]
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
        page.click("text=Look at >> a >> nth=0")
        page.wait_for_url("**#cell-2")


def test_a_cell_that_ran_when_its_session_was_killed(tmp_path: Path) -> None:
    running = code("while True: pass", kernel_exec={"status": "running"})
    path = write(tmp_path / "n.ipynb", running, code("x", kernel_exec={"status": "skipped", "reason": "tagged so"}))
    shown = page_of_file(path)
    assert 'class="status unfinished"' in shown
    assert "tagged so" in shown
    path.unlink()
    recorder = Recorder(path)
    recorder.open({})
    recorder.write(code_cell("a", "x", (), None, {"kernel_exec": {"status": "running"}}))
    assert 'class="status running"' in page_of_file(path)
    recorder.close()
    assert 'class="status unfinished"' in page_of_file(path)


def test_attachments() -> None:
    attachments = {"a b.png": {"image/png": PNG}, "图.svg": {"image/svg+xml": ["<svg/>"]}, "none": {"text/html": "x"}}
    shown = markdown_html(
        "![x](attachment:a%20b.png) ![y](attachment:图.svg) ![z](attachment:none) ![w](other.png)", attachments
    )
    assert shown.count("src=") == 2
    assert f'src="data:image/png;base64,{PNG}"' in shown
    assert "data:image/svg+xml;base64," in shown


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [text(""), text("raw", "raw"), text("<b>bold</b> $x^2$"), "", code("", "tag")],
        [
            {
                **code("x"),
                "outputs": [None, 3, {}, {"output_type": "display_data"}, {"output_type": "stream", "text": 5}],
            }
        ],
        [{**code("x"), "outputs": [{"output_type": "error"}, {"output_type": "execute_result", "data": {"a/b": 1}}]}],
        [{**code("x"), "metadata": {"kernel_exec": [], "execution": 5, "tags": 7}}, {**text("> " * 3000)}],
        [{**code("x"), "metadata": {"kernel_exec": {"duration": float("inf"), "peak_memory": True, "artifacts": {}}}}],
        [code("\ud800"), text("\udfff\0"), code("def f(:\n  \t'''")],
        [{**code("x"), "metadata": {"execution": {"iopub.status.busy": time}}} for time in BEYOND_UTC],
    ],
)
def test_odd_notebooks(tmp_path: Path, cells: list[Any]) -> None:
    path = write(tmp_path / "n.ipynb", *cells, kernelspec=5, language_info=[], kernel_exec="x", title=7)
    before = path.read_bytes()
    made = write_page(path, tmp_path / "n.html")
    assert made.read_text("utf-8").count('<article id="cell-') == len(cells)
    assert path.read_bytes() == before


def test_an_old_notebook_and_none(tmp_path: Path) -> None:
    old = nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell("old = 1")])])
    (tmp_path / "old.ipynb").write_text(nbformat.v3.writes_json(old))
    assert "it was converted from format 3" in page_of_file(tmp_path / "old.ipynb")
    for content in ("", "{", "[]", '{"nbformat": 4}', "[" * 100_000):
        (tmp_path / "n.ipynb").write_text(content)
        with pytest.raises(NotebookError):
            page_of_file(tmp_path / "n.ipynb")


@pytest.mark.long
def test_where_the_page_goes(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path = write(tmp_path / "there" / "a.b.ipynb", "1")

    def view(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PROGRAM, "view", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)

    done = view("there/a.b.ipynb")
    assert (done.returncode, done.stdout, done.stderr) == (status.OK, "a.b.html\n", "")
    assert view("there/a.b.ipynb", "-o", "x.html").stdout == "x.html\n"
    assert "<article" in (tmp_path / "x.html").read_text()
    assert view("there/a.b.ipynb", "-o", "no/x.html").returncode == status.CANNOT
    assert view("no.ipynb").returncode == status.USAGE
    assert view("there/a.b.ipynb", "-o", "there/a.b.ipynb").returncode == status.USAGE
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.b.html", "there", "x.html"]
    with pytest.raises(InvalidArgument):
        write_page(path, path)
    assert (
        "<article"
        in subprocess.run(
            [*PROGRAM, "view", path, "-o", "/dev/stdout"], capture_output=True, text=True, timeout=PATIENCE
        ).stdout
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a<b & c", "a&lt;b &amp; c"),
        ("\x1b[31mred\x1b[0m plain", '<span class="c-red">red</span> plain'),
        ("\x1b[1;4;91mx\x1b[22;24;39my", '<span class="bold underline c-red">x</span>y'),
        ("\x1b[44mx\x1b[49my", '<span class="b-blue">x</span>y'),
        ("\x1b[38;5;208mx", '<span class="c-free" style="--c:255,135,0">x</span>'),
        ("\x1b[38;2;1;2;999;48;5;250mx", '<span class="c-rgb b-rgb" style="--c:1,2,255;--b:188,188,188">x</span>'),
        ("\x1b[7mx\x1b[27my", '<span class="c-page b-ink">x</span>y'),
        ("\x1b[38;5mx\x1b[38mx\x1b[;mx\x1b[999999999999mx", "xxxx"),
        ("10%\r99%\rdone", "done"),
        ("\x1b]0;title\x07\x1b[2Jx\x00\u202ey", "xy"),
        ("全角\u3000空白", "全角\u3000空白"),
    ],
)
def test_colours(text: str, html: str) -> None:
    assert ansi_html(text) == html


def test_numbers_for_people() -> None:
    assert [bytes_text(size) for size in (0, 999, 1000, 1_500_000, 123e9)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "123 GB",
    ]
    assert [seconds_text(time) for time in (0.0042, 0.9996, 59, 60, 3725)] == [
        "4 ms",
        "1.0 s",
        "59.0 s",
        "1 min 0 s",
        "1 h 2 min",
    ]


def test_long_texts_are_cut() -> None:
    shown = outputs_html([{"output_type": "stream", "name": "stdout", "text": "x\n" * 2**20}])
    assert len(shown) < 2**20 + 1000
    assert "1,048,576 more characters" in shown
    assert 'class="stdout tall"' in shown


def test_a_picture_that_is_too_large_is_only_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_exec.pages.outputs.LARGE", 100)
    small, large = ({"output_type": "display_data", "data": {"image/jpeg": "A" * count}} for count in (100, 104))
    assert "<img" in outputs_html([small])
    assert "<img" not in outputs_html([large])
    assert "image/jpeg" in outputs_html([large])


def test_cells_are_cut_out_of_a_file_as_json_reads_them(tmp_path: Path) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": '\n  },\n  {\n"\n  }\n ],\n'}
    facts = {"a": [{"b": {}}, {"c": [{}, {}]}], "d": {}}
    recorder = Recorder(tmp_path / "a.ipynb")
    recorder.open({"x": [{"y": {}}, {}]})
    recorder.write(markdown_cell("m", "a\n  },\n  {\nb", {"tags": ["x"]}))
    recorder.write(code_cell("c", '{\n "cells": [\n  {\n', [output, output], 1, facts))
    recorder.close()
    ours = (tmp_path / "a.ipynb").read_bytes()
    notebook = nbformat.read(tmp_path / "a.ipynb", 4)
    forms = [
        ours,
        nbformat.writes(notebook).encode(),
        json.dumps(notebook).encode(),
        json.dumps(notebook, indent=1).encode(),
    ]
    for data in forms:
        found = sliced(data)
        assert [cell_of(part) for part in found.cells] == json.loads(data)["cells"]
        assert found.rest["metadata"] == json.loads(data)["metadata"]
    for before in forms:  # what is known of the file as it was changes nothing
        for data in (
            *forms,
            *(ours.replace(b"tags", word) for word in (b"t", b"longer tags")),
            ours[:-60] + ours[-60:],
        ):
            assert sliced(data, sliced(before)).cells == sliced(data).cells
    for end in range(0, len(ours) - 2, 7):
        with pytest.raises(NotebookError):
            sliced(ours[:end])
    assert sliced(b'{"cells": [], "nbformat": 4}').cells == ()


def test_a_watch_wakes_for_its_file_only(tmp_path: Path) -> None:
    watch = watch_folder(tmp_path)
    (tmp_path / "a").write_text("x")
    assert set(names_of(os.read(watch, 4096))) == {b"a"}
    os.close(watch)
    waiting = Watch(tmp_path / "b")
    waiting.begin()
    (tmp_path / "b").write_text("x")
    waiting.wait(60)
    waiting.wake()
    waiting.wait(60)
    waiting.close()
    gone = Watch(tmp_path / "no" / "b")
    gone.wait(0.01)
    gone.close()

"""What a person sees of results, and what no kernel can make a terminal do."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
import rich.console
import textual_image.renderable
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from kernel_exec.cli import pictures
from kernel_exec.cli.render import ending, error_text, readable, short_traceback
from kernel_exec.cli.tables import is_number, table_of
from kernel_exec.cli.tame import RESET, Tamer, tamed
from kernel_exec.results import Artifact, ErrorInfo, ExecutionResult, Image
from kernel_exec.wire.terminal import strip_ansi

HARMLESS = re.compile(r"\x1b\[[0-9;:]{0,64}m|[^\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]")
pieces = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        ["\x1b", "\x1b[", "\x1b]", "\x1b[31m", "\x1b[0m", "\x1bP", "\x1b\\", "\x07", "\x9b", "\x90", "\x9c"]
    ),
    st.sampled_from(["[", "]", "0;title", "52;c;aGk=", "8;;http://x", "2J", "31", ";", "m", "?1049h", "6n", "c"]),
    st.sampled_from(["\n", "\r", "\b", "\x18"]),
)


@settings(deadline=None)
@given(st.lists(pieces, max_size=30))
@example(["\x1b[3", "1m"])
@example(["\x1b]0;a", "b\x1b", "\\c"])
def test_no_output_can_drive_the_terminal(parts: list[str]) -> None:
    tamer = Tamer()
    told = "".join(map(tamer, parts))
    assert HARMLESS.sub("", told) == ""
    assert told == Tamer()("".join(parts))  # where it was cut makes no difference
    assert HARMLESS.sub("", tamer.end()) == ""


@settings(deadline=None)
@given(st.text())
def test_plain_text_stays(text: str) -> None:
    plain = "".join(c for c in text if unicodedata.category(c) != "Cc" or c in "\n\r\t\b")
    assert tamed(plain) == plain


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[38:2:1:2:3mred", "\x1b[38:2:1:2:3mred" + RESET),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;aGk=\x1b\\text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[H\x1b[?1049h\x1b[6n\x1bctext", "text"),
        ("\x1bP+q544e\x1b\\text", "text"),
        ("\x1b_Ga=q;AAAA\x1b\\text", "text"),
        ("\x1b]0;never ended\nnext line", "\nnext line"),
        ("\x1b[>4;2m\x1b[?25m", ""),  # not colours, although they end like them
        ("50%\r100%\b!\ttab\n", "50%\r100%\b!\ttab\n"),
        ("bell\x07 null\x00 csi\x9b31m", "bell null csi31m"),
        ("\x1b(0\x1b#8\x1b=text", "text"),
        ("\x1b", ""),
        ("\x1b[" + "1;" * 100 + "m", ""),
    ],
)
def test_only_colours_pass(text: str, told: str) -> None:
    assert tamed(text) == told


def test_a_sequence_that_never_ends_takes_no_memory() -> None:
    tamer = Tamer()
    for start in ("\x1b]0;", "\x1b["):
        tamer(start)
        for _ in range(1000):
            assert tamer("1" * 1000) == ""
        assert len(tamer._rest) < 100
        tamer.end()
    assert tamer("after") == "after"


def test_colours_end_with_the_output() -> None:
    tamer = Tamer()
    assert (tamer("\x1b[31mred"), tamer.end(), tamer.end()) == ("\x1b[31mred", RESET, "")
    assert (tamer("\x1b[31mred\x1b[0m"), tamer.end()) == ("\x1b[31mred\x1b[0m", "")


FRAME = pd.DataFrame({"city": ["Seattle", "New York"], "rain": [1.5, 22.25], "[red]days": [3, 4]})


def bundle(frame: pd.DataFrame) -> dict[str, str]:
    return {"text/html": frame._repr_html_(), "text/plain": repr(frame)}  # type: ignore[operator]


def test_a_data_frame_is_a_table() -> None:
    lines = [line.split() for line in strip_ansi(readable(bundle(FRAME), width=80)).splitlines()]
    assert lines[0] == ["city", "rain", "[red]days"]
    assert lines[2:] == [["0", "Seattle", "1.50", "3"], ["1", "New", "York", "22.25", "4"]]


def test_a_long_data_frame_keeps_its_size_in_sight() -> None:
    told = strip_ansi(readable(bundle(pd.DataFrame({"x": range(1000)})), width=80))
    assert "1000 rows × 1 columns" in told
    assert "..." in told


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.groupby("city").agg({"rain": ["sum", "mean"]}),  # two rows of headings
        pd.DataFrame({f"a long name {number}": [1] for number in range(20)}),  # too wide
        pd.DataFrame({"x": []}),
        pd.DataFrame({"x": [1]}).style,
    ],
)
def test_other_tables_are_left_to_their_text(frame: pd.DataFrame) -> None:
    assert readable({"text/html": frame._repr_html_(), "text/plain": "plain"}, width=80) == "plain"  # type: ignore[operator]


def test_a_table_cannot_drive_the_terminal() -> None:
    frame = pd.DataFrame({"\x1b]0;evil\x07name": ["\x1b[2Jvalue", "[link=http://x]y[/link]"]})
    told = readable(bundle(frame), width=80)
    assert HARMLESS.sub("", told) == ""
    assert "[link=http://x]" in told


@settings(deadline=None)
@given(st.text(alphabet='<>/="& abtdhrspn1', max_size=80))
def test_no_html_is_an_error(html: str) -> None:
    for text in (html, f'<table class="dataframe">{html}</table>', f'<table class="dataframe"><tr><th>a{html}'):
        table = table_of(text)
        assert table is None or all(len(row) == len(table.head) for row in table.rows)


def test_no_html_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 1_000_000
    monkeypatch.setattr("kernel_exec.cli.tables.MAX_HTML", 2 * n)
    # The parser takes quadratic time for some of these; without the look at them before, this test would hang.
    for piece in ("<!--", "<a ", "</", "<?", "<td ", "<td a='", "<td a=", "<style>", "<tr><th>a"):
        table_of('<table class="dataframe">' + piece * (n // len(piece)))


def test_numbers() -> None:
    assert all(map(is_number, ["1", "-1.5", "1,000", "nan", "...", "", "1e5"]))
    assert not any(map(is_number, ["x", "1 2", "2024-01-01"]))


def test_markdown_is_drawn() -> None:
    told = readable(
        {"text/markdown": "# Title\n\n- *one* [a](http://x/\x1b]8;;y)\n", "text/plain": "<object>"}, width=40
    )
    assert HARMLESS.sub("", told) == ""
    assert "Title" in told
    assert "#" not in told
    assert "\x1b[" in told


def test_what_has_no_text_is_named() -> None:
    assert readable({"application/x": "1", "text/html": "<b>"}, width=80) == "[application/x, text/html]"
    assert readable({}, width=80) == ""


def test_without_rich_all_is_plain() -> None:
    program = """
import sys
sys.modules["rich"] = None
from importlib import util
find = util.find_spec
util.find_spec = lambda name: None if name == "rich" else find(name)
from kernel_exec.cli.render import readable
html = '<table class="dataframe"><tr><th>a</th></tr><tr><td>1</td></tr></table>'
print(readable({"text/html": html, "text/plain": "plain"}, width=80), readable({"text/markdown": "# t"}, width=80))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "plain # t\n"


def test_a_traceback_keeps_what_is_no_library() -> None:
    cell = "\x1b[36mCell In[1], line 1\x1b[0m\n----> 1 f()"
    library = "\x1b[36mFile /x/lib/python3.12/site-packages/pandas/a.py:3\x1b[0m, in g()\n----> 3 raise"
    standard = "File /usr/lib/python3.12/json/decoder.py:3, in h()\n----> 3 raise"
    own = "File ~/project/mine.py:3, in f()\n----> 3 json.loads(x)"
    end = ["ValueError: no /site-packages/", "\nThe above exception was the direct cause of this:\n", "KeyError: 1"]
    compiled = "File pandas/_libs/index.pyx:172, in get_loc()\n--> 172 no source"
    frames = ["-----", "ValueError   Traceback", cell, library, standard, compiled, own, library, *end]
    kept = [strip_ansi(line) for line in short_traceback(frames)]
    assert kept == [
        *("-----", "ValueError   Traceback", strip_ansi(cell), "... 3 more in libraries", own),
        *("... 1 more in libraries", *end),
    ]
    assert short_traceback([]) == []
    in_code = ["  File <tokenize>:6\n    x\n    ^", '  File "<string>", line 1', "IndentationError: no"]
    assert short_traceback(in_code) == in_code


def test_an_error_without_traceback_is_told() -> None:
    assert strip_ansi(error_text("Oops", "it \x1b[2Jbroke", ())) == "Oops: it broke"


def test_the_ending_tells_all() -> None:
    result = ExecutionResult(
        "died",
        error=ErrorInfo("KernelDiedError", "it \x1b]0;x\x07died"),
        images=[Image(b"", "image/png", Path("/p.png")), Image(b"", "image/png")],
        artifacts=[
            Artifact(Path("/w/a\nb.csv"), "created", 1234, "text/csv", "0"),
            Artifact(Path("/w/c.csv"), "deleted", 0, "text/csv", ""),
        ],
        notes=("beware \x1b[2J",),
        state_preserved=False,
    )
    assert strip_ansi(ending(result, error_shown=False)).splitlines() == [
        "KernelDiedError: it died",
        "picture: /p.png",
        "file created: '/w/a\\nb.csv', 1,234 bytes",
        "file deleted: /w/c.csv",
        "note: beware ",
        "a fresh kernel: all variables are lost",
    ]
    assert "KernelDiedError" not in ending(result, error_shown=True)
    assert ending(ExecutionResult("ok"), error_shown=False) == ""
    many = ExecutionResult("ok", artifacts=[Artifact(Path(f"/{n}"), "created", 1, "", "") for n in range(25)])
    assert "and 15 more files" in ending(many, error_shown=False)


def test_the_size_of_pictures() -> None:
    assert pictures.width_for(640, 480, columns=100, rows=50) == 64
    assert pictures.width_for(640, 480, columns=32, rows=50) == 32
    assert pictures.width_for(640, 4800, columns=100, rows=24) == 5
    assert pictures.width_for(10, 20, columns=80, rows=2) == 1
    for width, height in ((1, 100_000), (100_000, 1), (1, 1)):
        assert pictures.width_for(width, height, columns=80, rows=24) is None


def png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Pictures.new("1", size).save(file, "PNG")
    return file.getvalue()


def test_only_whole_pictures_of_the_type_that_was_named_are_decoded() -> None:
    good = png((2, 2))
    assert pictures._decoded(good, "image/png") is not None
    for data in (b"", b"junk", good[:40], good[:30], b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        assert pictures._decoded(data, "image/png") is None
    assert pictures._decoded(good, "image/jpeg") is None
    assert pictures._decoded(png((8000, 8000)), "image/png") is None


@pytest.mark.filterwarnings("ignore:Image.Image.getdata:DeprecationWarning")  # textual-image still calls it
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("name", ["HalfcellImage", "SixelImage", "TGPImage"])
def test_pictures_of_all_modes_can_be_drawn(mode: str, name: str) -> None:
    file, kind = io.BytesIO(), "JPEG" if mode == "CMYK" else "PNG"
    Pictures.new(mode, (20, 20)).save(file, kind)
    picture = pictures._decoded(file.getvalue(), f"image/{kind.lower()}")
    if picture is not None:  # else its path is told
        rich.console.Console(file=io.StringIO(), force_terminal=True).print(
            getattr(textual_image.renderable, name)(picture, width=2, height="auto")
        )
    assert picture is not None or mode == "I;16"


@settings(deadline=None)
@given(st.integers(0, 80), st.binary(max_size=8))
def test_no_broken_picture_is_an_error(at: int, junk: bytes) -> None:
    data = png((4, 4))
    pictures._decoded(data[:at] + junk + data[at + len(junk) :], "image/png")


def test_without_a_terminal_no_picture_is_drawn() -> None:
    assert pictures.show(png((2, 2)), "image/png", out=io.StringIO()) is False
    assert pictures.show(b"<svg/>", "image/svg+xml", out=io.StringIO()) is False

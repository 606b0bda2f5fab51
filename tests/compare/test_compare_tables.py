"""Tables as HTML has them: spans, names that repeat, and markup that is none."""

from __future__ import annotations

import time

import pytest

from kernel_exec.compare.grids import TooLarge, tables_of
from kernel_exec.compare.markup import html_differences
from kernel_exec.compare.rules import Rules
from kernel_exec.compare.terms import Terms

GROUPED = """<table><thead>
<tr><th></th><th></th><th colspan="2" halign="left">sales</th></tr>
<tr><th>city</th><th>year</th><th>sum</th><th>max</th></tr></thead><tbody>
<tr><th rowspan="2" valign="top">Bonn</th><th>2023</th><td>1</td><td>2</td></tr>
<tr><th>2024</th><td>3</td><td>4 &lt; 5</td></tr>
</tbody></table>"""


def messages(old: str, new: str) -> list[str]:
    return [difference.message for difference in html_differences(old, new, Terms(Rules()))]


def table(*rows: str, head: str = "") -> str:
    top = f"<thead><tr>{''.join(f'<th>{name}</th>' for name in head.split())}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row.split())}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def test_levels_have_names() -> None:
    (read,), rest = tables_of(f"<p>{GROUPED}</p>")
    assert (read.corner, read.columns, read.rows) == (
        "city year",
        ["sales/sum", "sales/max"],
        ["Bonn/2023", "Bonn/2024"],
    )
    assert read.cells == [["1", "2"], ["3", "4 < 5"]]
    assert rest == "<p></p>"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (GROUPED, GROUPED.replace("<td>3<", "<td>7<"), ["row 'Bonn/2024', column 'sales/sum': 3 -> 7"]),
        (GROUPED, GROUPED.replace("city", "town"), ["the rows' heading: city year -> town year"]),
        (
            table("1 2", head="a b"),
            table("1 2", head="b a"),
            ["the columns are in another order", "row '0', column 'a': 1 -> 2", "row '0', column 'b': 2 -> 1"],
        ),
        (table("1 2", head="a a"), table("1 3", head="a a"), ["row '0', column 'a': 2 -> 3"]),
        (table("1", "2"), table("1"), ["row '1' is gone"]),
        (table("1") + table("2"), table("1") + table("3"), ["row '0', column '': 2 -> 3"]),
        (table("1"), table("1") + table("2"), ["(empty) -> <"]),
        (table("1") + "<p>2</p>", table("1") + "<p>3</p>", ["2 -> 3"]),
        (
            "<table><caption>Sales</caption><tr><td>1</table>",
            "<table><caption>Costs</caption><tr><td>1</table>",
            ["Sales -> Costs"],
        ),
        ('<table><tr><td style="color: red">1', '<table><tr><td style="color: blue">1', ["red -> blue"]),
        (
            '<table><tr><td style="color: red">1</table>',
            '<table><tr><td style="color: blue">1</table>',
            ["row '0', column '': red -> blue"],
        ),
        ("<table><tr><td><b>1</b></table>", "<table><tr><td><i>1</i></table>", ["row '0', column '': b -> i"]),
        (
            table(*"abcdefgh", head="x"),
            table(*"ijklmnop", head="x"),
            [
                *(f"row '{row}', column 'x': {'abcde'[row]} -> {'ijklm'[row]}" for row in range(5)),
                "3 more cells differ",
            ],
        ),
    ],
)
def test_how_tables_differ(old: str, new: str, told: list[str]) -> None:
    assert messages(old, new) == told


@pytest.mark.parametrize(
    "markup",
    [
        "<table><tr><td><table><tr><td>1</td></tr></table></td></tr></table>",
        "<td>1</td>",
        "<table><td>1</td></table>",
        "</table><table>",
        "<table><tr><td colspan=0 rowspan=x>1</td></tr></table>",
        "<TABLE><TR><TH>1<TD>2</TABLE>",
    ],
)
def test_odd_markup_is_compared_all_the_same(markup: str) -> None:
    assert messages(markup, markup) == []
    assert messages(markup, markup.replace("1", "7")) or "1" not in markup


def too_large(size: int) -> list[str]:
    """Tables of some cells, whose grids would be too large: by spans, and by a long row among many."""
    return [
        "<table><tr>" + "<td rowspan=1000 colspan=1000>1" * size + "</table>",
        "<table>" + "<tr><td>1" * size + "<tr>" + "<td>1" * (size // 2) + "</table>",
    ]


@pytest.mark.long
@pytest.mark.parametrize("shape", [0, 1])
def test_tables_without_end_are_compared_as_text(shape: int) -> None:
    def seconds(size: int) -> float:
        markup = too_large(size)[shape]
        began = time.process_time()
        with pytest.raises(TooLarge):
            tables_of(markup)
        assert messages(markup, markup.replace("1", "2", 1))
        return time.process_time() - began

    # Eight times as many cells: with the size of the grid it would be 64 times as long.
    small, large = (min(seconds(size) for _ in range(2)) for size in (5_000, 40_000))
    assert large < 30 * small

"""HTML that would keep its parser busy, or fool whoever counts what is open."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from random import Random

import nh3
import pytest

from kernel_exec.pages.clean import _TAGS, clean
from kernel_exec.pages.markdown import markdown_html
from kernel_exec.pages.outputs import bundle_html
from kernel_exec.pages.tidy import DEEP, TooDeepError, tidy

IMPLIED = 3
"""Elements that the parser may open for one tag: a cell in a table has a row and a section."""
_SEEN = nh3.Cleaner(tags=set(_TAGS), attributes={}, clean_content_tags=set(), link_rel=None)


def depth(html: str) -> int:
    """Return how deeply the elements of some HTML are nested, as the parser finds it that is used."""
    deepest = now = 0
    for end in re.findall(r"<(/?)(?!(?:br|col|hr|img|wbr)>)[a-z0-9]+>", _SEEN.clean(html)):
        now += -1 if end else 1
        deepest = max(deepest, now)
    return deepest


BUSY: dict[str, Callable[[int], str]] = {
    "div": lambda count: "<div>" * count,
    "lists": lambda count: "<ul><li>" * (count // 2),
    "tables": lambda count: "<table><tr><td>" * (count // 3),
    "closed": lambda count: "<div>" * count + "</div>" * count,
    "opened again": lambda count: "".join(f"<p><b title={number}></p>" for number in range(count // 2)),
    "misnested": lambda count: "<b><i><p></b></i>" * (count // 3),
    "attributes": lambda count: "<p " + "".join(f"a{number}=1 " for number in range(count)) + ">",
    "ends": lambda count: "<b>" * 200 + "</i>" * count,
    "unclosed": lambda count: "<a b='" + "<a " * count,
    "comments": lambda count: "<!--" * count,
    "styles": lambda count: "<style>" * count,
    "flat": lambda count: "<p>x" * count,
}


@pytest.mark.parametrize("kind", BUSY)
def test_twice_as_much_takes_twice_as_long(kind: str) -> None:
    small, large = ({"text/html": BUSY[kind](count)} for count in (4_000, 32_000))
    assert took(large) < 8 * 3 * took(small) + 0.1  # in quadratic time, 64 times as long


@pytest.mark.parametrize("text", ["[a](", "![a](", "[", "[a][", "*a _b ", "> ", "`a``"])
def test_so_does_markdown(text: str) -> None:
    small, large = ({"text/markdown": text * (size // len(text))} for size in (3_000, 24_000))
    assert took(large) < 8 * 3 * took(small) + 0.1


def test_long_markdown_is_shown_as_it_is() -> None:
    long = "*a* " * 50_001
    assert "<em>a</em>" in markdown_html(long[4:])
    for shown in (markdown_html(long), bundle_html({"text/markdown": long})):
        assert shown == f'<pre class="raw">{long}</pre>'


def took(data: dict[str, str]) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        bundle_html(data)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(
    "inside",
    [
        "<div>",
        "<ul><li>",
        "<div><!--</div>--><!-- > </div> -- > </div> -->",
        "<div><p title='</div>'></p>",
        '<div><img alt="</div>" title=\'"</div>\'>',
        "<div a='></div>' b=/></divs>",
        "<div><script></div></script>",
        "<div><style></div></style>",
        "<div><svg><style><b></style></svg><x/>",
        "<div><textarea></p></textarea>",
        "<div><select><table></div></table></select>",
        "<div><table></div>",
        "<td><div><table>",
        "<b><table><td></b>",
        "<div></ div>",
        "<DIV></x>",
    ],
)
def test_what_is_nested_is_counted(inside: str) -> None:
    shown = bundle_html({"text/html": inside * DEEP * 4, "text/plain": "told plainly"})
    assert "[text/html: nested too deeply]" in shown
    assert "told plainly" in shown
    assert "[text/html: nested too deeply]" in bundle_html({"text/html": inside * DEEP * 4})
    assert "told" in markdown_html("told\n\n" + inside * DEEP * 4)


def test_as_deep_as_it_may_be() -> None:
    assert clean("<div>" * DEEP).count("</div>") == DEEP
    with pytest.raises(TooDeepError):
        clean("<div>" * (DEEP + 1))


@pytest.mark.parametrize(
    "row",
    [
        "<tr><td>1<td>2",
        "<tr><td>1</td><td><p>2</td></tr>",
        "<tbody><tr><th>1<td><ul><li>2",
        "<tr><td><b>1</td><td><i>2</td>",
        "<TR><TD ALIGN=right>1<TD>2<svg><path d='M0'/><path/></svg><!-- <td> -->",
    ],
)
def test_long_tables_are_shown(row: str) -> None:
    shown = clean("<table class=dataframe><thead><tr><th>a<th>b<tbody>" + row * 2000 + "</table>after")
    assert shown.count("<tr>") == 2001
    assert len(re.findall("<t[dh][ >]", shown)) == 4002
    assert shown.endswith("</table>after")


@pytest.mark.parametrize(
    "html",
    [
        "<p>a<p>b<ul><li>c<li>d<ul><li>e</ul></ul><dl><dt>f<dd>g<dt>h</dl>",
        "a < b &lt; c <3 <> d",
        "<a href='#x' title=\"a>b\">x</a><br/><hr><img alt='x'>",
        "<div><div>a</div>b</div><table><tbody><tr><td><table><tbody><tr><td>x</td></tr></tbody></table></td></tr>",
        "<details open><summary>a</summary><p>b<div>c</div></details>",
        "<x>a<y z='>'>b</y></x><form>c<input><button>d</button></form>",
        "<svg><g><text>a</text></g></svg>b<style>c</style>d<script>'<p>'</script>e",
        "a<!-- b -->c<!--> d <!---> e <!-- f --!>g<?h>i<!doctype html>j</ k>l",
        "<pre>\n\n  a\n</pre><p title=a/b lang = 'x' dir=>c",
    ],
)
def test_what_is_in_order_is_shown_as_it_is(html: str) -> None:
    assert _SEEN.clean(tidy(html, _TAGS)) == _SEEN.clean(re.sub("<(script|style).*?</\\1>", "", html))


def test_no_html_is_nested_more_deeply_than_it_seems() -> None:
    random = Random(11)
    others = ["svg", "math", "select", "script", "style", "template", "textarea", "title", "x", "desc", "frameset"]
    names = sorted(_TAGS) + others * 2
    for _ in range(400):
        some = random.sample(names, random.randrange(1, 8))
        parts = [f"<{name}{end}" for name in some for end in (">", ">", " title=1>", "/>", " a='", ' b=">">')]
        parts += [f"</{name}{end}" for name in some for end in (">", ">", " c>")]
        parts += ["x", "<", "<!", "<!--", "-->", "]]>", "<![CDATA[", "'", '"']
        unit = random.choices(parts, k=random.randrange(2, 12))
        html = "".join(unit) * 100 if random.random() < 0.5 else "".join(random.choices(unit, k=1000))
        try:
            made = tidy(html, _TAGS)
        except TooDeepError:
            continue
        assert depth(made) <= IMPLIED * DEEP
        assert len(_SEEN.clean(made)) < 20 * len(html) + 1000

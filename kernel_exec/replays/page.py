"""A verification as a page: old and new side by side."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from kernel_exec.compare import Difference
from kernel_exec.pages import outputs_html, page
from kernel_exec.pages.code import code_html
from kernel_exec.pages.outputs import escaped

if TYPE_CHECKING:
    from kernel_exec.replays.verify import Verification, VerifiedCell

_STYLE = """
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.pair>div{min-width:0;border-top:1px solid var(--line)}
.differs{border-left:4px solid #c33;padding-left:.8rem}.same{border-left:4px solid #292;padding-left:.8rem}
.skipped{border-left:4px solid #888;padding-left:.8rem}summary{cursor:pointer}h2{font-size:1rem}
.verdict-True{color:#292}.verdict-False{color:#c33}
"""


def page_of(verification: Verification) -> str:
    """Return the page."""
    differ = [cell for cell in verification.cells if cell.status == "differs"]
    others = [cell for cell in verification.cells if cell.status != "differs"]
    verdict = "as it was recorded" if verification.ok else f"{len(differ)} cells differ"
    body = [
        f'<h1>{escaped(verification.origin.name)}: <span class="verdict-{verification.ok}">{verdict}</span></h1>',
        _list("The environment has changed", verification.environment),
        _list("Notes", verification.notes),
        *(_different(cell) for cell in differ),
        *(_other(cell) for cell in others),
    ]
    return page(f"{verification.origin.name}: {verdict}", "\n".join(body), style=_STYLE)


def _different(cell: VerifiedCell) -> str:
    said = "".join(_said(difference) for difference in cell.differences)
    return (
        f'<section class="differs"><h2>Cell {cell.index}{_stability(cell)}</h2>{_source(cell)}<ul>{said}</ul>'
        f'<div class="pair"><div><h2>recorded</h2>{_outputs(cell.old)}</div>'
        f"<div><h2>now</h2>{_outputs(cell.new)}</div></div></section>"
    )


def _other(cell: VerifiedCell) -> str:
    what = f"skipped: {cell.reason}" if cell.status == "skipped" else cell.status
    return (
        f'<details class="{cell.status}"><summary>Cell {cell.index}, {escaped(what)}{_stability(cell)}: '
        f"{escaped(cell.title[:100])}</summary>{_source(cell)}{_outputs(cell.new)}</details>"
    )


def _said(difference: Difference) -> str:
    place = f"<code>{escaped(difference.where)}</code>: " if difference.where else ""
    picture = ""
    if difference.picture is not None:
        data = base64.b64encode(difference.picture).decode()
        picture = f'<div><img class="picture" alt="old, new, difference" src="data:image/png;base64,{data}"></div>'
    return f"<li>{place}{escaped(difference.message)}{picture}</li>"


def _source(cell: VerifiedCell) -> str:
    source = (cell.new or cell.old).get("source", "")
    return code_html(str(source)) if source else ""


def _outputs(cell: Any) -> str:
    outputs = cell.get("outputs") if cell else ()
    return outputs_html(outputs if isinstance(outputs, list | tuple) else ()) or "<p>nothing</p>"


def _stability(cell: VerifiedCell) -> str:
    return " (gives something else each time)" if cell.stable is False else ""


def _list(title: str, lines: tuple[str, ...]) -> str:
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return f"<details open><summary>{title}</summary><ul>{items}</ul></details>" if items else ""

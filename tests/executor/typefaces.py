"""Font files, made as they are needed: this machine may have none for Chinese, Japanese and Korean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection


def make(path: Path, family: str, characters: str, *, height: int = 800, weight: int = 400) -> Path:
    """Write a font whose characters are boxes; what it is, outlines or a collection, its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    outlines = _outlines(family, characters, height, weight, truetype=path.suffix == ".ttf")
    if path.suffix == ".ttc":
        collection = TTCollection()
        first = _outlines("Noto Sans CJK JP", characters, height, weight, truetype=False)
        collection.fonts = [first, outlines]  # matplotlib 3.11 finds the others, too
        collection.save(path)
    else:
        outlines.save(path)
    return path


def _outlines(family: str, characters: str, height: int, weight: int, *, truetype: bool) -> Any:
    names = {ord(character): f"u{ord(character):X}" for character in characters}
    order = [".notdef", *names.values()]
    builder = FontBuilder(1000, isTTF=truetype)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    boxes = {name: _box(height if number else 50, truetype=truetype) for number, name in enumerate(order)}
    postscript = f"{family.replace(' ', '')}-{weight}"
    if truetype:
        builder.setupGlyf(boxes)
    else:
        builder.setupCFF(postscript, {}, boxes, {})
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 50)))
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    style = "Bold" if weight > 500 else "Regular"
    builder.setupNameTable({"familyName": family, "styleName": style, "psName": postscript})
    builder.setupOS2(usWeightClass=weight)
    builder.setupPost()
    return builder.font


def _box(height: int, *, truetype: bool) -> Any:
    pen = TTGlyphPen(None) if truetype else T2CharStringPen(1000, None)
    pen.moveTo((50, 0))
    for point in ((50, height), (900, height), (900, 0)):
        pen.lineTo(point)
    pen.closePath()
    return pen.glyph() if truetype else pen.getCharString()

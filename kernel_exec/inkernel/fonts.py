"""Chinese, Japanese and Korean in matplotlib's pictures where a font exists, with no setting of the user's changed.

matplotlib takes each glyph from the first font of `font.family` that has it. In our kernels a few fonts for those
scripts follow at the end of that list, as it is handed to what draws: `rcParams` stay as they are, what the user has
chosen comes first, and the fonts that come last draw only what nothing before them could. Where matplotlib is not
shaped as expected, nothing is changed. `imports` says when this module is needed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

SAMPLES = frozenset("们們あ한")
"""A character of each script: simplified and traditional Chinese, Japanese, Korean."""
RANGES = ((0x1100, 0x11FF), (0x2E80, 0xD7FF), (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))
"""Where those scripts are in Unicode, with their punctuation and full-width forms."""
FAMILIES = (
    *(f"Noto Sans CJK {region}" for region in ("SC", "TC", "HK", "JP", "KR")),
    *(
        f"Source Han Sans{region}"
        for region in ("", " CN", " SC", " TC", " TW", " HK", " HC", " J", " JP", " K", " KR")
    ),
    *(f"Noto Sans {region}" for region in ("SC", "TC", "HK", "JP", "KR")),
    *("Sarasa Gothic SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "AR PL UMing CN"),
    *("AR PL UKai CN", "IPAexGothic", "IPAGothic", "IPAPGothic", "TakaoGothic", "TakaoPGothic", "VL Gothic"),
    *("VL PGothic", "NanumGothic", "Nanum Gothic", "UnDotum", "Baekmuk Dotum", "Baekmuk Gulim"),
    *(f"Noto Serif CJK {region}" for region in ("SC", "TC", "HK", "JP", "KR")),
    *("PingFang SC", "PingFang TC", "Hiragino Sans GB", "Hiragino Sans", "Apple SD Gothic Neo", "Heiti TC"),
    *("Microsoft YaHei", "Microsoft JhengHei", "SimHei", "SimSun", "Yu Gothic", "Meiryo", "MS Gothic"),
    *("Malgun Gothic", "Gulim", "Arial Unicode MS", "Unifont"),
)
"""Well-known families with those scripts, by preference; the one font of matplotlib's own that claims every
character, with a box for each, is none of them."""
_FILES = re.compile(
    r"(?i)^(.*cjk|sourcehan|sarasa|wqy|droidsansfallback|uming|ukai|ipa|takao|vl-|nanum|undotum|baekmuk|unifont|"
    r"noto(sans|serif)(sc|tc|hk|jp|kr)).*\.(ttf|ttc|otf)$"
)
"""Names of the files of such families."""


def extend_lists(module: Any) -> None:
    """Let the lists of fonts that `matplotlib.font_manager` finds end with ours."""
    original: Callable[..., list[str]] = module.FontManager._find_fonts_by_props
    known: weakref.WeakKeyDictionary[Any, _LastFonts] = weakref.WeakKeyDictionary()

    @functools.wraps(original)
    def _find_fonts_by_props(self: Any, prop: Any, *args: Any, **kwargs: Any) -> list[str]:
        found = original(self, prop, *args, **kwargs)
        if not args and not kwargs:  # else only fonts of one directory, or of one kind, will do
            with contextlib.suppress(Exception):
                if self not in known or not known[self].is_current():
                    known[self] = _LastFonts(module, self)
                found = [*found, *(path for path in known[self].near(prop) if path not in found)]
        return found

    module.FontManager._find_fonts_by_props = _find_fonts_by_props


def extend_formulas(module: Any) -> None:
    """Let `matplotlib._mathtext`, which draws every text with a formula in it, look into those lists as well."""
    original: Callable[..., Any] = module.UnicodeFonts._get_glyph

    @functools.wraps(original)
    def _get_glyph(self: Any, fontname: str, font_class: str, sym: str, *args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(Exception):
            if len(sym) == 1 and _is_ours(sym) and (font := _font_beside(self, fontname, sym)):
                return font, ord(sym), False
        return original(self, fontname, font_class, sym, *args, **kwargs)

    module.UnicodeFonts._get_glyph = _get_glyph


def _font_beside(fonts: Any, name: str, character: str) -> Any | None:
    """Return a font with a character that the font which a formula names has not; None when it has, or nothing has."""
    named = fonts._get_font(name)
    if named is not None and named.get_char_index(ord(character)):
        return None
    manager = sys.modules["matplotlib.font_manager"]
    paths = manager.fontManager._find_fonts_by_props(fonts.default_font_prop)
    return next((manager.get_font(path) for path in paths if character in _drawn(path, frozenset(character))), None)


def _is_ours(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in RANGES)


class _LastFonts:
    """The last fonts of a font manager's lists: of each script the most preferred that is there."""

    def __init__(self, module: Any, manager: Any) -> None:
        self._module = module
        self._manager = weakref.ref(manager)  # it is the key to this
        self._list, self._count = manager.ttflist, len(manager.ttflist)
        self._near: dict[Any, list[str]] = {}
        self._families = list(self._chosen(self._list))
        if not self._families and not os.environ.get("MPL_IGNORE_SYSTEM_FONTS"):
            self._families = list(self._chosen(_unlisted(module)))

    def is_current(self) -> bool:
        """Whether the font manager still has the fonts that it had."""
        manager = self._manager()
        return manager is not None and manager.ttflist is self._list and len(self._list) == self._count

    def near(self, prop: Any) -> list[str]:
        """Return the files whose style and weight are nearest to the properties; none of them is broken."""
        if os.environ.get("MPL_IGNORE_SYSTEM_FONTS"):
            return []
        properties = self._module.FontProperties
        prop = prop if isinstance(prop, properties) else properties(prop)
        key = (prop.get_style(), prop.get_variant(), prop.get_weight(), prop.get_stretch())
        if key not in self._near:
            paths = (self._nearest(entries, prop) for entries in self._families)
            self._near[key] = [path for path in paths if path]
        return [path for path in self._near[key] if os.path.isfile(path)]

    def _chosen(self, fonts: Iterable[Any]) -> Iterator[list[Any]]:
        """Find the families among fonts, each as the entries that a list of fonts has of it."""
        entries: dict[str, list[Any]] = {}
        for entry in fonts:
            entries.setdefault(entry.name, []).append(entry)
        wanted, plain = SAMPLES, self._module.FontProperties()
        for name in filter(entries.__contains__, FAMILIES):
            path = self._nearest(entries[name], plain)
            if path and (drawn := _drawn(path, wanted)):
                yield entries[name]
                wanted -= drawn
            if not wanted:
                return

    def _nearest(self, entries: list[Any], prop: Any) -> str | None:
        paths = map(self._path, sorted(entries, key=functools.partial(self._distance, prop)))
        return next((path for path in paths if _drawn(path, SAMPLES)), None)

    def _distance(self, prop: Any, entry: Any) -> float:
        """How far a font is from what is wanted, as `FontManager.findfont` has it; that would log what it lacks."""
        manager: Any = self._manager()
        return float(
            manager.score_style(prop.get_style(), entry.style)
            + manager.score_variant(prop.get_variant(), entry.variant)
            + manager.score_weight(prop.get_weight(), entry.weight)
            + manager.score_stretch(prop.get_stretch(), entry.stretch)
        )

    def _path(self, entry: Any) -> str:
        path = os.path.realpath(entry.fname)  # what matplotlib makes of it: PDF would embed two names as two fonts
        kind = getattr(self._module, "FontPath", None)  # since 3.11: one file may hold several fonts
        return path if kind is None else kind(path, entry.index)  # type: ignore[no-any-return]


def _unlisted(module: Any) -> Iterator[Any]:
    """Find fonts for those scripts by their files: matplotlib keeps its list in a file, and looks for no newer ones."""
    for directory in module.X11FontDirectories:
        for folder, _, names in os.walk(directory):
            for name in filter(_FILES.search, names):
                with contextlib.suppress(OSError, RuntimeError):  # it is broken
                    yield module.ttfFontProperty(module.get_font(os.path.join(folder, name)))


@functools.lru_cache(1024)
def _drawn(path: str, characters: frozenset[str]) -> frozenset[str]:
    """Return which characters a font file has; none when it cannot be read."""
    index = getattr(path, "face_index", 0)
    try:
        font = sys.modules["matplotlib.ft2font"].FT2Font(path, **({"face_index": index} if index else {}))
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(character for character in characters if font.get_char_index(ord(character)))

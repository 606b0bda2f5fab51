"""Chinese, Japanese and Korean in pictures: drawn where a font exists, told once where none does."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernel_exec import ExecutionResult, Executor, HostKernel
from tests.executor import typefaces

TITLE = "中文標題 ひらがな 한국어"
SCRIPTS = "们們あ한中文標題ひらがな국어月售"
FAMILY = "Noto Sans CJK SC"
HOOKS = "[f for f in __import__('sys').meta_path if '_kernel_exec' in type(f).__module__]"
DRAW = """
import hashlib, io
import matplotlib.pyplot as plt
def draw(title, kind="png", **style):
    figure, axes = plt.subplots()
    axes.plot([1, 3, 2])
    axes.set_title(title, **style)
    file = io.BytesIO()
    figure.savefig(file, format=kind, metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {}))
    plt.close(figure)
    lines = file.getvalue().splitlines()
    return hashlib.sha256(b"".join(line for line in lines if b"CreationDate" not in line)).hexdigest()
plt.rcParams["svg.hashsalt"] = "the same"
"""

Kernels = Callable[..., HostKernel]


def kernel_with(directory: Path, *fonts: Path) -> HostKernel:
    """A kernel whose matplotlib finds fonts (links to them lie in a directory of its own), and makes a fresh list."""
    for font in fonts:
        (directory / "fonts").mkdir(parents=True, exist_ok=True)
        (directory / "fonts" / font.name).symlink_to(font)
    return HostKernel(env={"XDG_DATA_HOME": str(directory), "MPLCONFIGDIR": str(directory / "config")})


def kernel_without(directory: Path) -> HostKernel:
    """A kernel whose matplotlib has only its own fonts."""
    return HostKernel(env={"MPL_IGNORE_SYSTEM_FONTS": "1", "MPLCONFIGDIR": str(directory / "config")})


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A font for all of the scripts."""
    return typefaces.make(tmp_path_factory.mktemp("font") / "all.ttf", FAMILY, SCRIPTS)


@pytest.fixture(scope="module")
def able(tmp_path_factory: pytest.TempPathFactory, font: Path) -> HostKernel:
    """A kernel with that font."""
    directory = tmp_path_factory.mktemp("able")
    (directory / "fonts").mkdir()
    (directory / "fonts" / "broken.ttf").write_bytes(b"no font")
    return kernel_with(directory, font)


@pytest.fixture(scope="module")
def with_font(tmp_path_factory: pytest.TempPathFactory, able: HostKernel) -> Iterator[Executor]:
    """An executor whose kernel has the font."""
    with Executor(kernel=able, workdir=tmp_path_factory.mktemp("with"), timeout=60) as executor:
        yield executor


@pytest.fixture(scope="module")
def without_font(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor whose kernel has no font for the scripts."""
    kernel = kernel_without(tmp_path_factory.mktemp("unable"))
    with Executor(kernel=kernel, workdir=tmp_path_factory.mktemp("without"), timeout=60) as executor:
        yield executor


def ran(ex: Executor, code: str) -> ExecutionResult:
    """Run a cell that must end well."""
    return ex.execute(textwrap.dedent(code)).raise_for_error()


BUILDING = "Matplotlib is building the font cache; this may take a moment.\n"
"""What matplotlib says when that takes more than five seconds, which is the machine's affair."""


def silent(result: ExecutionResult) -> bool:
    """Whether nothing is told beside what the code printed."""
    told = result.stderr.replace(BUILDING, "")
    return not told and not result.notes and "could not be drawn" not in result.text


# Where a font exists


def test_the_first_cell_draws_and_saves(fresh: Callable[..., Executor], able: HostKernel) -> None:
    """Import, picture and file in one cell; nothing is left where user code looks."""
    ex = fresh(kernel=able)
    names = ran(ex, f"print({HOOKS}, sorted(n for n in globals() if 'font' in n.lower()))").stdout
    assert "_Finder" in names
    result = ran(ex, f"import matplotlib.pyplot as plt\nplt.title({TITLE!r})\nplt.savefig('a.png')")
    assert silent(result), result.stderr
    assert len(result.images) == 1
    assert [artifact.path.name for artifact in result.artifacts] == ["a.png"]
    assert ran(ex, f"print({HOOKS}, sorted(n for n in globals() if 'font' in n.lower()))").stdout == "[] []\n"
    assert ran(ex, "import inspect; print(len(inspect.getsource(plt.matplotlib.font_manager)) > 1000)").text == "True"


def test_it_is_as_if_the_user_had_named_the_font(with_font: Executor) -> None:
    """In each kind of file, with a formula too, without a setting changing."""
    code = f"""
    settings = lambda: {{name: value for name, value in plt.rcParams.items() if "font" in name}}
    before = settings()
    for kind in ("png", "svg", "pdf", "eps"):
        for title in ({TITLE!r}, "銷售 月 $x^2$".replace("銷", "")):
            ours = draw(title, kind)
            with plt.rc_context({{"font.family": ["DejaVu Sans", {FAMILY!r}]}}):
                print(ours == draw(title, kind), ours != draw(title[1:], kind))
    print(settings() == before, plt.rcParams["font.family"], {FAMILY!r} in plt.rcParams["font.sans-serif"])
    """
    result = ran(with_font, DRAW + textwrap.dedent(code))
    assert result.stdout == "True True\n" * 8 + "True ['sans-serif'] False\n"
    assert silent(result), result.stderr


def test_inline_styles_and_defaults(with_font: Executor) -> None:
    code = f"""
    import matplotlib.pyplot as plt
    plt.style.use("ggplot")
    plt.title({TITLE!r}, weight="bold", style="italic", family="monospace"); plt.show()
    plt.rcdefaults()
    plt.title({TITLE!r}); plt.xlabel("月 $月$"); plt.show()
    """
    result = ran(with_font, "%matplotlib inline\n" + textwrap.dedent(code))
    assert silent(result), result.stderr
    assert len(result.images) == 2


@pytest.mark.long
def test_what_needs_no_such_font_is_drawn_as_before(with_font: Executor, without_font: Executor) -> None:
    code = """
    for kind in ("png", "svg", "pdf", "eps"):
        for title in ("plain", "naïve – Größe ∑ $\\\\alpha^2$"):
            print(kind, draw(title, kind), draw(title, kind, weight="bold"), draw(title, kind, family="serif"))
    """
    results = [ran(ex, DRAW + textwrap.dedent(code)) for ex in (with_font, without_font)]
    assert results[0].stdout == results[1].stdout
    assert all(map(silent, results))


def test_the_users_fonts_come_first(with_font: Executor, tmp_path: Path) -> None:
    """By name and by file; and what the user adds, or makes matplotlib use, is taken up."""
    mine = typefaces.make(tmp_path / "mine.ttf", "My Own", "中月lp", height=300)
    code = f"""
    from matplotlib import font_manager
    font_manager.fontManager.addfont({str(mine)!r})
    found = font_manager.fontManager._find_fonts_by_props
    print([p.rpartition("/")[2] for p in found(font_manager.FontProperties(family=["My Own", "DejaVu Sans"]))][:2])
    print([p.rpartition("/")[2] for p in found("My Own")][0])
    named = found(font_manager.FontProperties(family=["DejaVu Sans", {FAMILY!r}]))
    print(len(named) == len(set(named)) > 1)
    print(draw("中", family="My Own") != draw("中"), draw("中文", family="My Own") != draw("中", family="My Own"))
    properties = font_manager.FontProperties
    by_name, by_file = properties(family="My Own"), properties(fname={str(mine)!r})
    print(draw("中文", fontproperties=by_file) == draw("中文", fontproperties=by_name))
    """
    result = ran(with_font, DRAW + textwrap.dedent(code))
    lines = result.stdout.splitlines()
    assert lines[0] == "['mine.ttf', 'DejaVuSans.ttf']"
    assert lines[1] == "mine.ttf"
    assert lines[2:] == ["True", "True True", "True"]
    assert silent(result), result.stderr


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".otf", ".ttc"])
def test_other_kinds_of_fonts(fresh: Callable[..., Executor], tmp_path: Path, suffix: str) -> None:
    font = typefaces.make(tmp_path / f"all{suffix}", FAMILY, SCRIPTS)
    ex = fresh(kernel=kernel_with(tmp_path / "kernel", font))
    code = f"""
    for kind in ("png", "svg", "pdf", "eps"):
        print(draw({TITLE!r}, kind) != draw("", kind), draw("月 $月$", kind, weight="bold") != draw("", kind))
    """
    result = ran(ex, DRAW + textwrap.dedent(code))
    assert result.stdout == "True True\n" * 4
    assert "missing from" not in result.stderr
    assert not result.notes


def test_a_script_for_each_font(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    """Fonts that have one of the scripts each add up; bold text takes the bold one; a broken one is passed over."""
    fonts = tmp_path / "fonts"
    (fonts / "x").mkdir(parents=True)
    (fonts / "gone.ttf").symlink_to(fonts / "nowhere")
    made = [
        typefaces.make(fonts / "han.ttf", "WenQuanYi Zen Hei", "们們中文"),
        typefaces.make(fonts / "kana.ttf", "IPAexGothic", "あひ們"),
        typefaces.make(fonts / "hangul.ttf", "NanumGothic", "한국"),
        typefaces.make(fonts / "hangul-bold.ttf", "NanumGothic", "한국", weight=700),
        typefaces.make(fonts / "more.ttf", "Unifont", SCRIPTS),
    ]
    ex = fresh(kernel=kernel_with(tmp_path / "kernel", *made))
    code = """
    from matplotlib import font_manager as fm
    def last(**wish):
        found = fm.fontManager._find_fonts_by_props(fm.FontProperties(**wish))
        return [path.rpartition("/")[2] for path in found][1:]
    print(last(), last(weight="bold"))
    """
    result = ran(ex, code)
    if "more.ttf" not in result.stdout and "han.ttf" in result.stdout:  # no better font on this machine
        regular = ["han.ttf", "kana.ttf", "hangul.ttf"]
        assert result.stdout == f"{regular} {[*regular[:2], 'hangul-bold.ttf']}\n"
    assert silent(
        ran(ex, "import matplotlib.pyplot as plt\nplt.title('中文 あ 한국', weight='bold')\nplt.savefig('a')")
    )


# What user code may do to it


@pytest.mark.long
def test_a_font_that_came_after_matplotlib_had_made_its_list(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    code = "import matplotlib.pyplot as plt\nfrom matplotlib.font_manager import fontManager\n"
    drawing = "plt.title('月'); plt.savefig('a.png'); plt.close()\nlen(fontManager.ttflist)"
    kernel = kernel_with(tmp_path)
    before = ran(fresh(kernel=kernel), code + drawing)
    (tmp_path / "fonts").mkdir()
    typefaces.make(tmp_path / "fonts" / "NotoSansCJK-Regular.ttf", FAMILY, SCRIPTS)
    (tmp_path / "fonts" / "NotoSansCJK-Broken.ttf").write_bytes(b"no font")
    after = ran(fresh(kernel=kernel), code + drawing)
    assert silent(after)
    assert after.outputs[-1]["data"] == before.outputs[-1]["data"]  # the list itself is the user's


def test_a_font_that_goes_away_takes_no_picture_with_it(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    font = typefaces.make(tmp_path / "all.ttf", FAMILY, SCRIPTS)
    ex = fresh(kernel=kernel_with(tmp_path / "kernel", font))
    assert silent(ran(ex, "import matplotlib.pyplot as plt\nplt.title('月'); plt.savefig('a.png')"))
    font.unlink()
    assert len(ran(ex, "plt.title('月 plain', weight='bold')").images) == 1


def test_other_font_managers_and_other_functions(with_font: Executor) -> None:
    code = """
    import json, pickle, threading
    from matplotlib import font_manager as fm
    class Manager(fm.FontManager): pass
    print(len(Manager()._find_fonts_by_props("sans")) > 1)
    fm.json_dump(fm.fontManager, "list.json")
    print(sorted(vars(fm.json_load("list.json"))) == sorted(vars(fm.fontManager)))
    print(len(pickle.loads(pickle.dumps(fm.fontManager)).ttflist) > 0)
    kept = fm.FontManager._find_fonts_by_props
    fm.FontManager._find_fonts_by_props = lambda self, *a, **k: kept(self, *a, **k)[:1]
    print(fm.fontManager._find_fonts_by_props("sans") == [fm.findfont("sans")])
    fm.FontManager._find_fonts_by_props = kept
    found = []
    find = lambda: found.append(tuple(Manager()._find_fonts_by_props(None)))
    threads = [threading.Thread(target=find) for _ in "four"]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(found), len(set(found)))
    """
    assert ran(with_font, code).stdout == "True\nTrue\nTrue\nTrue\n4 1\n"


PACKAGE = "import os; os.mkdir('matplotlib')\nopen('matplotlib/__init__.py', 'w').close()\n"
IMPORTS = {
    "a module of the user's": """
        open("matplotlib.py", "w").write("mine = 1")
        import matplotlib
        print(matplotlib.mine)
        """,
    "a package of the user's": f"""
        exec({PACKAGE!r})
        open("matplotlib/font_manager.py", "w").write("mine = 1")
        from matplotlib import font_manager
        print(font_manager.mine)
        """,
    "one that fails at first": f"""
        import importlib
        exec({PACKAGE!r})
        open("matplotlib/font_manager.py", "w").write("1 / 0")
        for _ in range(2):
            try: import matplotlib.font_manager
            except ZeroDivisionError: pass
        open("matplotlib/font_manager.py", "w").write("mine = 111")
        importlib.invalidate_caches()
        import matplotlib.font_manager
        print(matplotlib.font_manager.mine // 111)
        """,
    "in a thread": """
        import threading
        thread = threading.Thread(target=__import__, args=("matplotlib.font_manager",))
        thread.start(); thread.join()
        import matplotlib.font_manager
        print(1)
        """,
    "without our finder": """
        import sys
        sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "_Finder"]
        import matplotlib.font_manager
        print(1)
        """,
    "beside other finders": """
        import sys
        class Finder:
            def find_spec(*arguments): return None
        sys.meta_path.insert(0, Finder())
        import matplotlib.pyplot
        del sys.meta_path[0]
        print(1)
        """,
    "asked for, and again": """
        import importlib, importlib.util
        spec = importlib.util.find_spec("matplotlib.font_manager")
        print(int(bool(spec.loader.get_code(spec.name))))
        import matplotlib.font_manager
        importlib.reload(matplotlib.font_manager)
        """,
}


@pytest.mark.parametrize("code", IMPORTS.values(), ids=IMPORTS)
def test_an_import_is_what_it_would_be(fresh: Callable[..., Executor], able: HostKernel, code: str) -> None:
    result = ran(fresh(kernel=able), code)
    assert result.stdout == "1\n"
    assert not result.stderr


# Where no font exists

MANY = "".join(map(chr, range(0x4E00, 0x4E00 + 30)))


def told(result: ExecutionResult) -> str:
    """Return the only sentence about characters that a result has; its text has it once, and no warning."""
    (note,) = result.notes
    assert result.text.count(note) == result.text.count("could not be drawn") == 1
    assert "Glyph" not in result.text
    return note


def test_it_is_told_once_with_the_remedy(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    """However many characters, figures and cells; the streams stay as they are."""
    ex = fresh(kernel=kernel_without(tmp_path))
    draw = "import matplotlib.pyplot as plt\nfor n in '12':\n    plt.figure(); plt.title({!r}); plt.savefig(n)\n"
    result = ran(ex, draw.format(MANY) + "print('done')")
    assert told(result).startswith(f"30 characters could not be drawn ({MANY[:10]}...): no font that matplotlib uses")
    assert "apt-get install fonts-noto-cjk" in told(result)
    assert result.text.removeprefix(BUILDING).startswith("done\n")
    assert result.stderr.count("missing from") >= 30
    again = ran(ex, "import warnings; warnings.simplefilter('always')\n" + draw.format(MANY))
    assert not again.notes
    assert f"[30 characters could not be drawn ({MANY[:10]}...), as told before]" in again.text
    assert "Glyph" not in again.text
    more = ran(ex, draw.format("中" + MANY))
    assert told_new(more) == "1 character could not be drawn (中)"
    assert silent(ran(ex, "warnings.simplefilter('ignore')\n" + draw.format("丽")))


def told_new(result: ExecutionResult) -> str:
    """Return what the only note says first."""
    (note,) = result.notes
    return note.partition(":")[0]


def test_formulas_and_other_characters(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    """They are told too; what no font for Chinese has gets another remedy."""
    ex = fresh(kernel=kernel_without(tmp_path))
    formula = ran(ex, "import matplotlib.pyplot as plt\nplt.title('銷售額 $x^2$')")
    assert told(formula).startswith("3 characters could not be drawn (銷售額): no font")
    assert "does not have a glyph" in formula.stderr
    assert "does not have a glyph" not in formula.text
    other = told(ran(ex, "plt.title('\\U0001fae8 \\U00013000')"))
    assert other.startswith("2 characters could not be drawn (")
    assert "apt-get" not in other
    assert "plt.rcParams['font.family']" in other


def test_a_stock_kernel_tells_it_too(fresh: Callable[..., Executor], stock: HostKernel, tmp_path: Path) -> None:
    ex = fresh(kernel=replace(stock, env={**stock.env, **kernel_without(tmp_path).env}))
    result = ran(ex, "import matplotlib.pyplot as plt\nplt.title('中文')")
    assert told(result).startswith("2 characters could not be drawn (中文): no font that matplotlib uses here (DejaVu")


def test_the_users_own_lines_stay(without_font: Executor) -> None:
    code = """
    import sys
    print("before", file=sys.stderr)
    print("Glyph 20013 of mine is missing from font(s) that I know", file=sys.stderr)
    print("  after", file=sys.stderr)
    """
    result = ran(without_font, code)
    assert result.text == result.stderr.rstrip("\n")
    assert not result.notes

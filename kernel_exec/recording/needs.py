"""Which cells the value of a variable depends on, as far as their text tells. Pure.

It errs on the side of too many cells: what calls a method of a value may change it, and whoever was given a value may
hold it as well. Functions, objects of classes made here, and iterators act when they are only looked at. What no text
tells (a file, an import that changes another module) is for a run to find out.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_NAME = re.compile(r"[^\W\d]\w*")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOKING = """
abs all any bool bytes callable complex dict dir display divmod enumerate float format frozenset hash id int isinstance
issubclass len list max min ord pow print range repr reversed round set sorted str sum tuple type vars zip
"""
_LOOKING_METHODS = """
astype copy corr count describe endswith format groupby head info isna isnull items join keys lower max mean median
memory_usage merge min notna nunique quantile replace round sample split startswith std strip sum tail to_csv to_dict
to_list to_numpy to_string tolist unique upper value_counts values var
"""
"""Of texts, dictionaries, arrays and data frames."""
_ITERATORS = """
DictReader StringIO BytesIO chain count cycle defaultdict enumerate filter islice iter map open reader reversed zip
"""
"""Calls that give what changes when somebody looks at it."""
_HIDDEN = "__import__ chdir environ eval exec get_ipython globals locals putenv run_path vars"
"""Names by which code reaches others that it does not name, or what all code depends on."""
_SEEDS = "manual_seed seed set_random_seed set_seed"
_DRAWS = re.compile(r"(?i)rand|seed|sample|shuffle|choice|noise|split")
"""Names of what may draw from the generator of all: where that was seeded, in the same order again."""
_HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[io]h|In|Out")
"""Names of IPython for what earlier cells were and gave."""
_MAGIC = re.compile(r"^\s*(?:[%!?]|.*\?\s*$)|=\s*[%!]", re.MULTILINE)


@dataclass(slots=True)
class Names:
    """What a cell does to names.

    Attributes:
        reads: names whose value it uses that it has from other cells.
        sets: names that it gives a value.
        certain: those of them that it sets whatever happens, without a look at what they were.
        changes: names whose value it may change in place.
        later: for a name that it sets to a function or class, the names that are looked up when that is called.
        links: names that may mean the same object behind it, or hold it; each set by itself.
        packages: names from one package, and one that stands for it.
        modules: names of modules: what two names have from one is not the same for that.
        functions: names that it sets to functions whose results are data.
        active: names that it sets to what acts when it is looked at: classes, iterators, functions that make such ones.
        makes: for names that it sets, those that make them active if they are.
        words: all names and attributes in it.
        opaque: whether its text does not tell what it does: it is not Python, or reaches what it does not name.
    """

    reads: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    certain: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    later: dict[str, set[str]] = field(default_factory=dict)
    links: list[set[str]] = field(default_factory=list)
    packages: list[set[str]] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    makes: dict[str, set[str]] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    opaque: bool = False


def needed(sources: Sequence[str], wanted: Iterable[str]) -> set[int]:
    """Return the indexes of the cells that the values of some names depend on.

    Args:
        sources: the code of the cells, in the order in which they ran.
        wanted: the names.
    """
    cells = [names_of(source) for source in sources]
    _know_each_other(cells)
    later: dict[str, set[str]] = {}
    for cell in cells:
        for name, reads in cell.later.items():
            later.setdefault(name, set()).update(reads)
    open_names = _with_later(set(wanted), later)
    found: set[int] = set()
    for index in range(len(cells) - 1, -1, -1):
        cell = cells[index]
        same = _same(open_names, cells[: index + 1])
        if not (cell.opaque or cell.sets & open_names or cell.changes & same):
            continue
        if any(map(_HISTORY.fullmatch, cell.reads)):
            return found | set(range(index + 1))
        found.add(index)
        open_names = _with_later((open_names - cell.certain) | cell.reads, later)
    return found


def _know_each_other(cells: Sequence[Names]) -> None:
    """Add to what each cell does what only the others tell: what is active, a module, or hidden in a function."""
    active = _with_later(set().union(*(cell.active for cell in cells)), _turned(cells))
    active = active.union(*(cell.functions for cell in cells))
    seeded = any(not cell.words.isdisjoint(_SEEDS.split()) for cell in cells)
    hidden = {name for cell in cells if cell.opaque for name in cell.later}
    modules = set().union(*(cell.modules for cell in cells))
    for cell in cells:
        cell.changes |= cell.reads & active
        cell.opaque |= bool(cell.reads & hidden) or (seeded and any(map(_DRAWS.search, cell.words)))
        cell.links = [group - modules for group in cell.links]


def _turned(cells: Iterable[Names]) -> dict[str, set[str]]:
    """Return for each name those that are active if it is."""
    turned: dict[str, set[str]] = {}
    for cell in cells:
        for name, makers in cell.makes.items():
            for maker in makers:
                turned.setdefault(maker, set()).add(name)
    return turned


def names_of(source: str) -> Names:
    """Return what a cell does to names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Magics, or what no kernel could run either: each word of it may be a name.
        words = set(_NAME.findall(source))
        return Names(reads=words, sets=words, changes=words, words=words, opaque=_MAGIC.search(source) is not None)
    names = Names(words={word for node in ast.walk(tree) for word in _words(node)})
    for statement in tree.body:
        _Statement(names).take(statement)
    if not names.words.isdisjoint(_HIDDEN.split()) or any(
        isinstance(node, ast.alias) and node.name == "*" for node in ast.walk(tree)
    ):
        names.opaque = True
        names.reads |= set(_NAME.findall(source))  # in texts as well
    return names


def _words(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr


class _Statement:
    """Adds what one statement of a cell does."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def take(self, statement: ast.stmt) -> None:
        names = self._names
        is_code = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        reads, sets, changes = _loads(statement), set(_stores(statement)), set(_changed(statement))
        if is_code or any(isinstance(node, ast.Lambda) for node in ast.walk(statement)):
            for name in sets:
                names.later.setdefault(name, set()).update(reads)
        self._link(statement, sets | changes, reads)
        self._activate(statement, sets, reads)
        names.reads |= reads - names.certain
        names.changes |= changes
        names.sets |= sets
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign):
            names.certain |= sets - names.reads
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.certain |= {statement.name} - names.reads

    def _link(self, statement: ast.stmt, touched: set[str], reads: set[str]) -> None:
        """Tell which names may mean the same object from then on."""
        names = self._names
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                package = (getattr(statement, "module", None) or alias.name).partition(".")[0]
                name = (alias.asname or alias.name).partition(".")[0]
                names.packages.append({name, f"{package}."})  # no variable: all that comes from one package
                if isinstance(statement, ast.Import):
                    names.modules.add(name)
        elif touched:
            names.links.append(touched | reads)

    def _activate(self, statement: ast.stmt, sets: set[str], reads: set[str]) -> None:
        """Tell what acts when it is looked at."""
        names = self._names
        if any(map(_makes_active, ast.walk(statement))):
            names.active |= sets
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            names.functions |= sets
        for name in sets:
            names.makes.setdefault(name, set()).update(reads)


def _makes_active(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        return name in _ITERATORS.split()
    return isinstance(node, ast.Lambda | ast.GeneratorExp | ast.Yield | ast.YieldFrom | ast.ClassDef)


def _loads(node: ast.AST) -> set[str]:
    """Return the names that are looked up, here or when a function of it is called."""
    found = {child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load)}
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        found.add(node.target.id)
    for scope in (child for child in ast.walk(node) if isinstance(child, _SCOPES)):
        own = {argument.arg for argument in ast.walk(scope.args) if isinstance(argument, ast.arg)}
        if not isinstance(scope, ast.Lambda):
            own |= {name for line in scope.body for name in _stores(line)} - set(_declared(scope))
        used_outside = {child.id for child in _outside(node, scope) if isinstance(child.ctx, ast.Load)}
        found -= own - used_outside
    return found


def _outside(node: ast.AST, scope: ast.AST) -> Iterator[ast.Name]:
    if node is scope:
        return
    if isinstance(node, ast.Name):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _outside(child, scope)


def _stores(node: ast.AST) -> Iterator[str]:
    """Yield the names that get a value in the user's namespace."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        yield from _declared(node)
        return
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif (isinstance(node, ast.ExceptHandler) and node.name) or (
        isinstance(node, ast.MatchAs | ast.MatchStar) and node.name
    ):
        yield node.name
    for child in ast.iter_child_nodes(node):
        yield from _stores(child)


def _declared(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Global):
            yield from child.names


def _changed(node: ast.AST) -> Iterator[str]:
    """Yield the names whose values may be changed in place: by an assignment into them, or by a call that has them."""
    for child in ast.walk(node):
        if isinstance(child, ast.Attribute | ast.Subscript) and not isinstance(child.ctx, ast.Load):
            yield from _roots(child)
        elif isinstance(child, ast.Call) and not _only_looks(child):
            yield from _roots(child.func)  # a method changes its object, and a function what it calls global
            for argument in (*child.args, *(keyword.value for keyword in child.keywords)):
                yield from _roots(argument)
        elif isinstance(child, ast.AugAssign) and isinstance(child.target, ast.Name):
            yield child.target.id


def _only_looks(call: ast.Call) -> bool:
    """Whether a call is known to leave all that it is given as it is."""
    if any(keyword.arg == "inplace" for keyword in call.keywords):
        return False
    if isinstance(call.func, ast.Name):
        return call.func.id in _LOOKING.split()
    return isinstance(call.func, ast.Attribute) and call.func.attr in _LOOKING_METHODS.split()


def _roots(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            yield child.id


def _with_later(names: set[str], later: dict[str, set[str]]) -> set[str]:
    """Return the names, and those that are looked up when they are called."""
    found, new = set(names), set(names)
    while new:
        new = {read for name in new for read in later.get(name, ())} - found
        found |= new
    return found


def _same(names: set[str], cells: Iterable[Names]) -> set[str]:
    """Return the names, and those that may mean the same objects."""
    links: dict[str, set[str]] = {}
    for cell in cells:
        for group in filter(None, (*cell.links, *cell.packages)):
            first = min(group)
            links.setdefault(first, set()).update(group)
            for name in group:
                links.setdefault(name, set()).add(first)
    return _with_later(names, links)

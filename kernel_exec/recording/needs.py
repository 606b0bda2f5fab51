"""Which cells the value of a variable depends on, as far as their text tells. Pure.

It errs on the side of too many cells: what calls a method of a value may change it, and whoever was given a value may
hold it as well. What no text tells (a file, an import that changes another module) is for a run to find out.
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
"""Of texts, dictionaries, arrays and data frames. An object of another class may do anything under these names: that is
for the run to find out."""
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
        links: pairs of names that may mean the same object behind it.
        opaque: whether it holds what is not Python, so that its text does not tell what it does.
    """

    reads: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    certain: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    later: dict[str, set[str]] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)
    opaque: bool = False


def needed(sources: Sequence[str], wanted: Iterable[str]) -> set[int]:
    """Return the indexes of the cells that the values of some names depend on.

    Args:
        sources: the code of the cells, in the order in which they ran.
        wanted: the names.
    """
    cells = [names_of(source) for source in sources]
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
        found.add(index)
        open_names = _with_later((open_names - cell.certain) | cell.reads, later)
    return found


def names_of(source: str) -> Names:
    """Return what a cell does to names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Magics, or what no kernel could run either: each word of it may be a name.
        words = set(_NAME.findall(source))
        return Names(reads=words, sets=words, changes=words, opaque=_MAGIC.search(source) is not None)
    names = Names()
    for statement in tree.body:
        _Statement(names).take(statement)
    return names


class _Statement:
    """Adds what one statement of a cell does."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def take(self, statement: ast.stmt) -> None:
        names = self._names
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.later.setdefault(statement.name, set()).update(_loads(statement))
            names.links.update((statement.name, name) for name in _stores(statement))
        reads, sets, changes = _loads(statement), set(_stores(statement)), set(_changed(statement))
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.AsyncFor | ast.With):
            names.links.update((one, other) for one in sets for other in reads)
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Lambda):
                for name in sets:
                    names.later.setdefault(name, set()).update(reads)
        names.reads |= reads - names.certain
        names.changes |= changes
        names.sets |= sets
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign):
            names.certain |= sets - names.reads
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.certain |= {statement.name} - names.reads


def _loads(node: ast.AST) -> set[str]:
    """Return the names that are looked up, here or when a function of it is called."""
    found = {child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load)}
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        found.add(node.target.id)
    for scope in (child for child in ast.walk(node) if isinstance(child, _SCOPES)):
        own = {argument.arg for argument in ast.walk(scope.args) if isinstance(argument, ast.arg)}
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
        for child in ast.walk(node):
            if isinstance(child, ast.Global):
                yield from child.names
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
        for one, other in cell.links:
            links.setdefault(one, set()).add(other)
            links.setdefault(other, set()).add(one)
    return _with_later(names, links)

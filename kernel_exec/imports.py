"""What a cell imports and which commands it gives to a shell, as far as that can be read in its code. Pure.

This is the quick look before a cell runs. What is made up while it runs is for the guard inside the kernel.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

_CALLS = frozenset({"__import__", "import_module"})
_SHELLS = frozenset({"system", "getoutput", "system_piped", "system_raw"})
SHELL_MAGICS = frozenset(
    {"sx", "system", "sc", "bash", "sh", "script", "cmd", "perl", "ruby", "pypy", "python", "python2", "python3"}
)
"""Magics of IPython that give commands to a shell, or to another interpreter."""
_MAGIC = re.compile(r"^[ \t]*[!%]|=[ \t]*[!%]", re.MULTILINE)


class Found(NamedTuple):
    """Something in the code.

    Attributes:
        what: the name of a module, or a command.
        line: where, from 1.
    """

    what: str
    line: int


def is_below(name: str, modules: Collection[str]) -> bool:
    """Return whether a module is one of these, or in one of them."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def is_allowed(name: str, modules: Collection[str]) -> bool:
    """Return whether a module is one of these, in one of them, or on the way to one."""
    return is_below(name, modules) or any(module.startswith(f"{name}.") for module in modules)


def parsed(code: str) -> ast.AST | None:
    """Return the syntax tree of a cell; None when it has none, which the kernel will say better."""
    try:
        if _MAGIC.search(code):
            from IPython.core.inputtransformer2 import TransformerManager

            code = TransformerManager().transform_cell(code)
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def imports(tree: ast.AST) -> Iterator[Found]:
    """Yield the modules that are imported: by statements, and by calls that name one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Found(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield Found(node.module, node.lineno)
            yield from (Found(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in _CALLS and (name := _text(node)):
            yield Found(name, node.lineno)


def commands(tree: ast.AST) -> Iterator[Found]:
    """Yield the commands that are given to a shell."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if not isinstance(node.func.value, ast.Call) or _name(node.func.value.func) != "get_ipython":
            continue
        if node.func.attr in _SHELLS:
            yield Found(f"!{_text(node)}", node.lineno)
        elif node.func.attr in ("run_line_magic", "run_cell_magic") and _text(node) in SHELL_MAGICS:
            yield Found(f"%{_text(node)}", node.lineno)


def may_have_commands(code: str) -> bool:
    """Return whether it is worth to look for commands."""
    return "get_ipython" in code or _MAGIC.search(code) is not None


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _text(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""

"""Keeps the code of cells from importing what the session's policy does not allow, and from giving commands to a shell.

A guard rail: it sees what goes through Python's and IPython's front doors, however the name was made up. Code that
wants to gets around it, by modules that others have imported, for example; it is no wall.
"""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

POLICY_VARIABLE = "KERNEL_EXEC_POLICY"
_SHELLS = ("system", "system_piped", "system_raw", "getoutput")
_MAGICS = ("sx", "system", "sc", "bash", "sh", "script", "cmd", "perl", "ruby", "pypy", "python", "python2", "python3")


class ImportDenied(ImportError):
    """The policy of the session does not allow cells to import it."""


class ShellDenied(PermissionError):
    """The policy of the session does not allow cells to give commands to a shell."""


class ImportGuard:
    """Stands between the code of cells and what it imports; libraries import what they like.

    Args:
        blocked: modules that cells must not import, with all in them.
        allowed: the only ones that they may import; None for all others.
        is_cell: tells whether code that was compiled under a name is that of a cell.
    """

    def __init__(
        self, blocked: Collection[str], allowed: Collection[str] | None, is_cell: Callable[[str], bool]
    ) -> None:
        self._blocked, self._allowed = frozenset(blocked), None if allowed is None else frozenset(allowed)
        self._is_cell = is_cell
        self._directory = os.path.join(os.path.realpath(os.getcwd()), "")  # the work directory: no cell has run yet

    def install(self) -> None:
        """Begin to watch."""
        do_import, import_module, frame = builtins.__import__, importlib.import_module, sys._getframe

        def guarded_import(name: str, *args: Any, **kwargs: Any) -> Any:
            if self._is_users(frame(1)):
                level = kwargs.get("level", args[3] if len(args) > 3 else 0)
                whole = _absolute("." * level + name, kwargs.get("globals", args[0] if args else None))
                parts = kwargs.get("fromlist", args[2] if len(args) > 2 else ())
                self._check(whole, *(f"{whole}.{part}" for part in parts or ()))
            return do_import(name, *args, **kwargs)

        def guarded_import_module(name: str, package: str | None = None) -> Any:
            if self._is_users(frame(1)):
                self._check(_absolute(name, {"__package__": package}))
            return import_module(name, package)

        builtins.__import__ = importlib.__import__ = guarded_import
        importlib.import_module = guarded_import_module

    def _check(self, *names: str) -> None:
        for name in names:
            if _is_below(name, self._blocked):
                raise ImportDenied(f"the policy of this session does not allow cells to import {name!r}", name=name)
        if self._allowed is not None and not _is_allowed(names[0], self._allowed):
            allowed = ", ".join(sorted(self._allowed))
            raise ImportDenied(
                f"the policy of this session allows cells to import {allowed} only, and not {names[0]!r}", name=names[0]
            )

    def _is_users(self, frame: FrameType) -> bool:
        """Whether a frame is one of a cell, of a module in the work directory, or of code made up by either."""
        file, module = frame.f_code.co_filename, frame.f_globals.get("__name__")
        if module == "__main__" or self._is_cell(file):
            return True
        if file.startswith("<"):
            return not file.startswith("<frozen ") and module not in sys.modules
        return file.startswith(self._directory)


def guard(shell: Any, settings: str) -> None:
    """Watch a shell as the policy of its session, given as JSON, says."""
    policy = json.loads(settings)
    if policy["blocked"] or policy["allowed"] is not None:
        ImportGuard(policy["blocked"], policy["allowed"], shell.compile.is_cell).install()
    if not policy["shell"]:
        _close_shell(shell)


def _close_shell(shell: Any) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise ShellDenied("the policy of this session does not allow cells to give commands to a shell")

    for name in _SHELLS:
        setattr(shell, name, denied)
    for magics in shell.magics_manager.magics.values():
        magics.update({name: denied for name in _MAGICS if name in magics})


def _absolute(name: str, namespace: Any) -> str:
    """Return the whole name of a module that is named relative to a package; as it is where that cannot be told."""
    if not name.startswith("."):
        return name
    package = (namespace or {}).get("__package__") or (namespace or {}).get("__name__")
    try:
        return importlib.util.resolve_name(name, package)
    except (ImportError, TypeError, ValueError, AttributeError):
        return name


def _is_below(name: str, modules: Collection[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _is_allowed(name: str, modules: Collection[str]) -> bool:
    """Return whether a module is one of these, in one of them, or on the way to one."""
    return _is_below(name, modules) or any(module.startswith(f"{name}.") for module in modules)

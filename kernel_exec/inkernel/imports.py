"""Changes libraries when user code imports them, and not before: an import of matplotlib takes half a second.

Loaded at the start of every kernel, so it is small; what is done with matplotlib then is in `fonts`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

Change = Callable[[Any], None]


def await_imports(changes: dict[str, Change]) -> None:
    """Begin to wait for the imports of modules, which are changed then; of matplotlib's as well."""
    sys.meta_path.insert(0, _Finder({**_MATPLOTLIB, **changes}))


def _fonts(name: str) -> Change:
    def change(module: Any) -> None:
        from . import fonts

        getattr(fonts, name)(module)

    return change


_MATPLOTLIB = {
    "matplotlib.font_manager": _fonts("extend_lists"),
    "matplotlib._mathtext": _fonts("extend_formulas"),
}


class _Finder:
    """Stands first in `sys.meta_path` until the modules that it waits for have been imported."""

    def __init__(self, changes: dict[str, Change]) -> None:
        self._changes = changes

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module as the others do, with our loader around theirs; None for those that do not matter."""
        if name not in self._changes:
            return None
        finders = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self._imported)  # type: ignore[assignment]
        return spec

    def _imported(self, module: Any) -> None:
        change = self._changes.pop(module.__name__, None)
        if not self._changes:
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)
        with contextlib.suppress(Exception):  # a module of the user's own, or another version of it
            if change is not None:
                change(module)


class _Loader:
    """Loads a module as another loader does, leaves that one in its place, and says that it is loaded."""

    def __init__(self, loader: Any, imported: Callable[[Any], None]) -> None:
        self._loader, self._imported = loader, imported

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: Any) -> None:
        """Run the module."""
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._imported(module)

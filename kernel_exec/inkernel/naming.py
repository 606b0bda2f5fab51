"""Cells that have a name of a file: what they raise and warn of points into it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ipykernel.compiler import XCachingCompiler


class Compiler(XCachingCompiler):
    """Compiles cells, each under its name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._directory = os.getcwd()  # the work directory: no cell has run yet
        self._cell: tuple[str, str] | None = None
        self._files: set[str] = set()

    def expect(self, request: Mapping[str, Any]) -> None:
        """A cell begins, whose `execute_request` may name a file, relative to the work directory."""
        ours = request["metadata"].get("kernel_exec")
        name = ours.get("filename") if isinstance(ours, dict) else None
        self._cell = None
        if isinstance(name, str):
            self._cell = request["content"].get("code", ""), os.path.join(self._directory, name)

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        """Return the name under which code is compiled: that of the file for the cell itself, not for what it runs."""
        if self._cell is not None and raw_code == self._cell[0]:
            self._files.add(self._cell[1])
            return self._cell[1]
        return str(super().get_code_name(raw_code, transformed_code, number))

    def is_cell(self, name: str) -> bool:
        """Return whether what is compiled under a name is the code of a cell."""
        return name in self._filename_map

    def format_code_name(self, name: str) -> Any:
        """Return what a traceback calls some code; None for a file as for any other."""
        return None if name in self._files else super().format_code_name(name)

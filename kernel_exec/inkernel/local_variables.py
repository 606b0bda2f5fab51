"""The local variables of the functions that an error went through, told without running any code of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from .previews import variables

LOCALS_VARIABLE = "KERNEL_EXEC_LOCAL_VARIABLES"
MANY_FRAMES = 10
LONG_LINE = 1000


def local_variables(trace: TracebackType | None, compiler: Any) -> list[str]:
    """Return a line for each function of the user's cells on the way of an error, the innermost last."""
    return [line[:LONG_LINE] for line in _lines(trace, compiler)][-MANY_FRAMES:]


def _lines(trace: TracebackType | None, compiler: Any) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name != "<module>" and compiler.is_cell(code.co_filename):
            known = [variable for variable in variables(trace.tb_frame.f_locals, {}) if variable["name"].isidentifier()]
            if known:
                values = ", ".join(f"{variable['name']} = {variable['preview']}" for variable in known)
                yield f"Local variables of {code.co_name}, line {trace.tb_lineno}: {values}"
        trace = trace.tb_next

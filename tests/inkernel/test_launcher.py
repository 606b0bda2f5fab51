"""The launcher loads where the rest cannot, so that the stock kernel can start there."""

from __future__ import annotations
import __future__

import ast
from pathlib import Path

from kernel_exec import inkernel

LAUNCHER = Path(inkernel.__file__).with_name("launcher.py")


def test_it_loads_in_an_interpreter_that_is_too_old_for_the_rest() -> None:
    """Its syntax is old enough, and its annotations, in which `X | None` would be an error there, are left alone."""
    tree = ast.parse(LAUNCHER.read_text(), feature_version=(3, 7))
    code = compile(tree, str(LAUNCHER), "exec", dont_inherit=True)
    assert code.co_flags & __future__.annotations.compiler_flag

"""The structured difference of two notebooks, by nbdime (extra `diff`)."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from kernel_exec.errors import KernelExecError

if TYPE_CHECKING:
    from kernel_exec.replays.verify import Verification


def nbdiff_of(verification: Verification) -> str:
    """Return how the outputs of a notebook then and now differ, as `nbdiff` prints it.

    Every change is in it, also those that verify takes for the same, such as addresses and times.

    Raises:
        KernelExecError: nbdime is not installed.
    """
    try:
        from nbdime import diff_notebooks
        from nbdime.prettyprint import PrettyPrintConfig, pretty_print_notebook_diff
    except ImportError as error:
        raise KernelExecError("nbdime is not installed: pip install 'kernel-exec[diff]'") from error
    then, now = _notebook(verification, "old"), _notebook(verification, "new")
    out = io.StringIO()
    config = PrettyPrintConfig(out=out, use_color=False)
    pretty_print_notebook_diff(verification.origin.name, "now", then, diff_notebooks(then, now), config)
    return out.getvalue()


def _notebook(verification: Verification, side: str) -> Any:
    import nbformat

    cells = [getattr(cell, side) for cell in verification.cells if cell.status != "skipped"]
    # What is told of a cell, its number and its id change each time: they are no result.
    plain = [{**cell, "metadata": {}, "id": f"cell-{n}", "execution_count": None} for n, cell in enumerate(cells)]
    text = json.dumps({"cells": plain, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, default=repr)
    return nbformat.reads(text, as_version=4)  # which joins the lines of texts, as nbdime expects them

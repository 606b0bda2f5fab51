"""What differs between cells as they were recorded and as they ran again. Pure: no kernels and no files here.

    cells.py      a cell, a notebook: which rules are its own, what is compared at all
    outputs.py    which output is which, and in which order
    bundles.py    an output: the richest form that both have
    texts.py      lines -> words.py, without noise.py and by moments.py; literals.py for sets and dicts
    markup.py     HTML and SVG; its tables by grids.py and tables.py
    images.py     pictures, by pixels.py
    structure.py  JSON
    artifacts.py  files; stamps.py for those that hold when they were written

What may differ is for `Rules` to say, which configuration.py reads from pyproject.toml and marks.py from a cell's tags;
what is noise in which kind of text is in terms.py.
"""

from kernel_exec.compare.artifacts import Files
from kernel_exec.compare.cells import cell_differences, differences
from kernel_exec.compare.configuration import nearest_rules, rules_from, sanitizers_of
from kernel_exec.compare.difference import Difference
from kernel_exec.compare.marks import Marks, marks_of
from kernel_exec.compare.rules import Rules, Sanitizer

__all__ = [
    "Difference",
    "Files",
    "Marks",
    "Rules",
    "Sanitizer",
    "cell_differences",
    "differences",
    "marks_of",
    "nearest_rules",
    "rules_from",
    "sanitizers_of",
]

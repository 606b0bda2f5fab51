"""Cells and their outputs as HTML that can do nothing: no scripts, nothing from the network. Pure."""

from kernel_exec.pages.code import code_html
from kernel_exec.pages.document import page
from kernel_exec.pages.outputs import escaped, output_html, outputs_html

__all__ = ["code_html", "escaped", "output_html", "outputs_html", "page"]

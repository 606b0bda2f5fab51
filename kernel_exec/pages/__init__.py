"""Cells and their outputs as HTML that can do nothing: no scripts, nothing from the network. Pure."""

from kernel_exec.pages.cells import cell_html
from kernel_exec.pages.document import page
from kernel_exec.pages.outputs import output_html, outputs_html

__all__ = ["cell_html", "output_html", "outputs_html", "page"]

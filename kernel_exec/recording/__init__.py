"""How a session is written down: a notebook that is valid on disk at every instant."""

from kernel_exec.recording.cells import checked_cell, code_cell, language_info, markdown_cell, raw_cell
from kernel_exec.recording.recorder import Recorder

__all__ = ["Recorder", "checked_cell", "code_cell", "language_info", "markdown_cell", "raw_cell"]

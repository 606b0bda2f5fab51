"""How a session is written down: a notebook that is valid on disk at every instant."""

from kernel_exec.recording.cells import code_cell, markdown_cell, raw_cell
from kernel_exec.recording.recorder import Recorder

__all__ = ["Recorder", "code_cell", "markdown_cell", "raw_cell"]

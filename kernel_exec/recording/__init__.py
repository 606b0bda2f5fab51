"""How a session is written down: a notebook that is valid on disk at every instant."""

from kernel_exec.recording.cells import (
    CellType,
    checked_cell,
    checked_metadata,
    checked_notebook_metadata,
    code_cell,
    environment_of,
    language_info,
    markdown_cell,
    unrun_cell,
)
from kernel_exec.recording.recorder import Recorder, is_recorded

__all__ = [
    "CellType",
    "Recorder",
    "checked_cell",
    "checked_metadata",
    "checked_notebook_metadata",
    "code_cell",
    "environment_of",
    "is_recorded",
    "language_info",
    "markdown_cell",
    "unrun_cell",
]

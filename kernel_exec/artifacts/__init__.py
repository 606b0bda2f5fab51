"""What a cell changed on disk: files below the work directory, collected without trust in what lies there."""

from kernel_exec.artifacts.collector import Artifacts, Collected

__all__ = ["Artifacts", "Collected"]

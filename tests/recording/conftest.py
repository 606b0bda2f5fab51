"""Real disks that are small, and a recorder to try them with."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import nbformat
import pytest

from kernel_exec.recording import Recorder, code_cell

METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "version": "3.11.7"},
}


def a_cell(name: str, text: str = "hello\n", **metadata: Any) -> dict[str, Any]:
    """A code cell called `name` that printed `text`."""
    outputs = [{"output_type": "stream", "name": "stdout", "text": text}]
    return code_cell(name, f"print({name!r})", outputs, 1, metadata)


def read(path: Path) -> Any:
    """The notebook on disk, which must be valid and laid out as JupyterLab does it."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert nbformat.writes(notebook) + "\n" == text
    return notebook


def ids(path: Path) -> list[str]:
    """The ids of the cells on disk."""
    return [cell["id"] for cell in read(path).cells]


def descriptors() -> list[str]:
    """What this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(target for target in found if "/proc/" not in target)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """An open recorder of session.ipynb."""
    made = Recorder(tmp_path / "session.ipynb")
    made.open(METADATA)
    yield made
    made.close()


class Disk(Protocol):
    """A disk that can be filled up."""

    directory: Path

    def fill(self) -> None:
        """Leave no room on it."""

    def free(self) -> None:
        """Make room again."""


class LimitedFiles:
    """Files may not grow beyond what they are: the system's own limit, which needs no rights."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._old = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        largest = max(file.stat().st_size for file in self.directory.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, self._old[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._old)


class SmallDisk:
    """A file system of one megabyte."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self) -> None:
        with (self.directory / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    def free(self) -> None:
        (self.directory / "ballast").unlink(missing_ok=True)


def mount(directory: Path, *options: str) -> bool:
    """Mount a file system of one megabyte, or change one; whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join(("size=1m", *options)), "none", str(directory)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Disk]:
    """A real small file system where we may mount one, else a limit on files."""
    directory.mkdir()
    if not mount(directory):
        yield LimitedFiles(directory)
        return
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture(params=["file system", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk that a test can fill up."""
    if request.param == "file system":
        with small_disk(tmp_path / "disk") as disk:
            yield disk
    else:
        limited = LimitedFiles(tmp_path)
        yield limited
        limited.free()


@pytest.fixture
def closed_directory(tmp_path: Path) -> Iterator[tuple[Path, Callable[[bool], None]]]:
    """A directory, and a function that closes it for writing, or opens it again; for root, too."""
    directory = tmp_path / "closed"
    directory.mkdir()
    mounted = mount(directory)

    def close(closed: bool) -> None:
        if mounted:
            assert mount(directory, "remount", "ro" if closed else "rw")
        elif os.geteuid():
            directory.chmod(0o555 if closed else 0o755)
        elif closed:  # root without the right to mount: something else has the directory's name
            directory.rename(tmp_path / "away")
            directory.touch()
        else:
            directory.unlink()
            (tmp_path / "away").rename(directory)

    yield directory, close
    if mounted:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
    else:
        directory.chmod(0o755)

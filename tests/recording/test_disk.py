"""Disks that are full, closed, gone, or know less than Linux can."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel_exec.errors import RecordingError
from kernel_exec.recording import Recorder
from kernel_exec.recording.store import System
from tests.recording.conftest import METADATA, Disk, SmallDisk, a_cell, descriptors, ids, read


def test_a_full_disk_loses_nothing(disk: Disk) -> None:
    recorder = Recorder(disk.directory / "a.ipynb")
    recorder.open(METADATA)
    for name in "abc":
        recorder.write(a_cell(name, "x" * 1000))
    disk.fill()
    for name in "de":
        with pytest.raises(RecordingError, match=r"cannot be written now: (No space|File too large)"):
            recorder.write(a_cell(name, "x" * 100_000))
        assert ids(recorder.path) == list("abc")
    disk.free()
    recorder.write(a_cell("f"))
    assert ids(recorder.path) == list("abcdef")
    recorder.write(a_cell("g"))
    recorder.close()
    assert ids(recorder.path) == list("abcdefg")


def test_a_disk_that_stays_full_sends_the_session_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recorder = Recorder(disk.directory / "a.ipynb")
    recorder.open(METADATA)
    recorder.write(a_cell("a"))
    disk.fill()
    with pytest.raises(RecordingError):
        recorder.write(a_cell("b", "x" * 400_000))
    if isinstance(disk, SmallDisk):
        rescued = close_and_find(recorder)
        assert ids(rescued) == ["a", "b"]
        assert rescued.parent == tmp_path
    disk.free()
    recorder.close()
    assert ids(recorder.path)[0] == "a"


def close_and_find(recorder: Recorder) -> Path:
    """Close it; return the place that its error names."""
    with pytest.raises(RecordingError) as caught:
        recorder.close()
    return Path(str(caught.value).split("was saved as ")[1].split(" instead")[0])


def test_a_closed_directory_is_refused_at_the_door(
    closed_directory: tuple[Path, Callable[[bool], None]],
) -> None:
    directory, close = closed_directory
    close(True)
    before = descriptors()
    with pytest.raises(RecordingError, match="cannot be written"):
        Recorder(directory / "a.ipynb").open(METADATA)
    assert descriptors() == before


def test_a_directory_of_the_system_is_refused() -> None:
    with pytest.raises(RecordingError, match=r"/sys/kernel/a\.ipynb cannot be written"):
        Recorder(Path("/sys/kernel/a.ipynb")).open(METADATA)


def test_a_directory_that_is_closed_for_a_while(closed_directory: tuple[Path, Callable[[bool], None]]) -> None:
    directory, close = closed_directory
    recorder = Recorder(directory / "a.ipynb")
    recorder.open(METADATA)
    recorder.write(a_cell("a"))
    # What is open for writing keeps a file system from being closed, so only directories of other kinds show this.
    with contextlib.suppress(AssertionError):
        close(True)
        with pytest.raises(RecordingError):
            recorder.write(a_cell("b"))
        close(False)
    recorder.write(a_cell("c"))
    assert set(ids(recorder.path)) >= {"a", "c"}
    recorder.close()


@pytest.mark.parametrize("cells", [0, 1, 2, 5])
def test_a_directory_that_vanished_is_made_again_with_all_cells(tmp_path: Path, cells: int) -> None:
    path = tmp_path / "work" / "a.ipynb"
    recorder = Recorder(path)
    recorder.open(METADATA)
    for number in range(cells):
        recorder.write(a_cell(f"c{number}"))
    shutil.rmtree(path.parent)
    recorder.write(a_cell("new"))
    recorder.write(a_cell("c0", "again"))
    shutil.rmtree(path.parent)
    recorder.write(a_cell("newer"))
    assert set(ids(path)) == {*(f"c{number}" for number in range(cells)), "c0", "new", "newer"}
    recorder.close()
    assert os.listdir(path.parent) == ["a.ipynb"]


def test_a_notebook_that_was_deleted_comes_back_with_all_cells(recorder: Recorder) -> None:
    for name in "abc":
        recorder.write(a_cell(name))
    recorder.path.unlink()
    recorder.write(a_cell("d"))
    assert ids(recorder.path) == list("abcd")


def test_a_spare_that_was_deleted_is_made_again(recorder: Recorder) -> None:
    for name in "abc":
        recorder.write(a_cell(name))
        for hidden in recorder.path.parent.glob(".*"):
            hidden.unlink()
    recorder.write(a_cell("d"))
    assert ids(recorder.path) == list("abcd")


def test_a_vanished_directory_at_the_end_is_not_made_for_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "work" / "a.ipynb")
    recorder.open(METADATA)
    recorder.write(a_cell("a"))
    shutil.rmtree(tmp_path / "work")
    recorder.close()
    assert not (tmp_path / "work").exists()


def no_exchange(one: str, other: str, folder: int) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), one, None, other)


@contextlib.contextmanager
def no_lease(fd: int) -> Iterator[bool]:
    yield False


@pytest.mark.parametrize(
    "system",
    [System(exchange=no_exchange), System(alone=no_lease), System(exchange=no_exchange, alone=no_lease)],
    ids=["no exchange", "no lease", "neither"],
)
def test_a_file_system_that_knows_less_keeps_the_promises(tmp_path: Path, system: System) -> None:
    before = descriptors()
    recorder = Recorder(tmp_path / "a.ipynb", system=system)
    recorder.open(METADATA)
    for number in range(40):
        recorder.write(a_cell(f"c{number}"))
        assert len(ids(recorder.path)) == number + 1
    recorder.write(a_cell("c3", "again"))
    recorder.path.unlink()
    recorder.write(a_cell("c40"))
    replace_by_somebody(recorder.path)
    recorder.write(a_cell("c41"))
    assert ids(recorder.path) == [f"c{number}" for number in range(42)]
    assert read(recorder.path).metadata["title"] == "saved by somebody"
    recorder.close()
    assert os.listdir(tmp_path) == ["a.ipynb"]
    assert descriptors() == before


SAVE = """
import os, sys, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
notebook.metadata["title"] = "saved by somebody"
nbformat.write(notebook, sys.argv[1] + ".new")
os.replace(sys.argv[1] + ".new", sys.argv[1])
"""


def replace_by_somebody(path: Path) -> None:
    subprocess.run([sys.executable, "-c", SAVE, str(path)], check=True, timeout=60)

"""Somebody else saves the recording: between two cells, and at any instant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

import nbformat
import pytest

from kernel_exec.errors import RecordingError
from kernel_exec.recording import Recorder
from kernel_exec.recording import store as store_module
from kernel_exec.recording.store import System
from tests.recording.conftest import METADATA, a_cell, descriptors, ids, read


def replace(path: Path, data: bytes) -> None:
    """Save as careful programs do."""
    new = path.with_name("new")
    new.write_bytes(data)
    os.replace(new, path)


def in_place(path: Path, data: bytes) -> None:
    """Save as JupyterLab's server and nbformat do."""
    path.write_bytes(data)


ways = pytest.mark.parametrize("save", [replace, in_place])
Save = Callable[[Path, bytes], None]


def edited(path: Path, edit: Callable[[Any], None]) -> bytes:
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    return (nbformat.writes(notebook) + "\n").encode()


def add_note(notebook: Any) -> None:
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell("# Note", id="note"))
    notebook.cells[0].metadata["slideshow"] = {"slide_type": "skip"}
    notebook.metadata["title"] = "A title"


@ways
def test_their_work_between_two_cells_is_merged(recorder: Recorder, save: Save) -> None:
    for name in "abc":
        recorder.write(a_cell(name))
    save(recorder.path, edited(recorder.path, add_note))
    recorder.write(a_cell("d"))
    notebook = read(recorder.path)
    assert ids(recorder.path) == ["a", "note", "b", "c", "d"]
    assert notebook.cells[0].metadata == {"slideshow": {"slide_type": "skip"}}
    assert notebook.metadata["title"] == "A title"
    recorder.write(a_cell("a", "written again"))
    recorder.set_metadata({**METADATA, "kernel_exec": {}})
    notebook = read(recorder.path)
    assert notebook.cells[0].metadata == {"slideshow": {"slide_type": "skip"}}
    assert (notebook.metadata["title"], notebook.metadata["kernel_exec"]) == ("A title", {})


@ways
def test_a_save_of_an_old_state_takes_no_cell_away(recorder: Recorder, save: Save) -> None:
    recorder.write(a_cell("a"))
    recorder.write(a_cell("b"))
    old = edited(recorder.path, add_note)
    for name in "cdef":
        recorder.write(a_cell(name, f"output of {name}\n"))
    recorder.write(a_cell("b", "newer\n"))
    save(recorder.path, old)
    recorder.write(a_cell("g"))
    cells = read(recorder.path).cells
    assert [cell["id"] for cell in cells] == ["a", "note", "b", "c", "d", "e", "f", "g"]
    assert [cell.outputs[0].text for cell in cells[2:4]] == ["newer\n", "output of c\n"]


@ways
def test_an_edited_cell_of_ours_is_kept_twice_and_only_twice(recorder: Recorder, save: Save) -> None:
    for name in "ab":
        recorder.write(a_cell(name))
    old = recorder.path.read_bytes()
    for number in range(3):
        save(recorder.path, old.replace(b"print('a')", b"edit(%d)" % number))
        recorder.write(a_cell(f"c{number}"))
    assert ids(recorder.path) == ["a", "a-theirs", "b", "c0", "c1", "c2"]


@ways
def test_the_last_save_is_merged_at_close(tmp_path: Path, save: Save) -> None:
    recorder = Recorder(tmp_path / "a.ipynb")
    recorder.open(METADATA)
    recorder.write(a_cell("a"))
    recorder.write(a_cell("b"))
    old = edited(recorder.path, add_note)
    recorder.write(a_cell("c"))
    save(recorder.path, old)
    recorder.close()
    assert ids(recorder.path) == ["a", "note", "b", "c"]
    assert os.listdir(tmp_path) == ["a.ipynb"]


@ways
@pytest.mark.parametrize(
    "data", [b"my diary", b'{"cells": []}', b"{", b"\x00\xff", b'{"nbformat": 3, "worksheets": []}']
)
def test_what_is_no_notebook_is_kept_beside(recorder: Recorder, save: Save, data: bytes) -> None:
    for name in "abc":
        recorder.write(a_cell(name))
    save(recorder.path, data)
    recorder.write(a_cell("d"))
    assert ids(recorder.path) == list("abcd")
    assert recorder.path.with_name("session-1.ipynb").read_bytes() == data


def test_an_emptied_notebook_is_written_again(recorder: Recorder) -> None:
    for name in "abc":
        recorder.write(a_cell(name))
    os.truncate(recorder.path, 0)
    recorder.write(a_cell("d"))
    assert ids(recorder.path) == list("abcd")
    assert not recorder.path.with_name("session-1.ipynb").exists()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), os.mkdir])
def test_something_that_is_no_file_is_moved_aside_unread(recorder: Recorder, make: Callable[[Path], None]) -> None:
    recorder.write(a_cell("a"))
    recorder.path.unlink()
    make(recorder.path)
    recorder.write(a_cell("b"))
    assert ids(recorder.path) == ["a", "b"]
    assert os.path.lexists(recorder.path.with_name("session-1.ipynb"))


def test_a_file_too_large_to_be_read_is_moved_aside(recorder: Recorder) -> None:
    recorder.write(a_cell("a"))
    os.truncate(recorder.path, store_module.MAX_FOREIGN + 1)  # a hole: it takes no room
    recorder.write(a_cell("b"))
    assert set(ids(recorder.path)) >= {"b"}
    assert recorder.path.with_name("session-1.ipynb").stat().st_size == store_module.MAX_FOREIGN + 1


def test_a_reader_who_holds_it_open_sees_one_state_to_the_end(recorder: Recorder) -> None:
    readers = []
    for number in range(40):
        recorder.write(a_cell(f"c{number}", "x" * 300))
        if number % 3 == 0:
            file = recorder.path.open("rb", buffering=0)
            readers.append((number, file, file.read(100)))
    for number, file, begin in readers:
        with file:
            assert len(json.loads(begin + file.read())["cells"]) == number + 1
    before = len(descriptors())
    recorder.write(a_cell("last"))
    assert len(descriptors()) < before  # copies that nobody holds are let go


def test_a_save_through_a_file_opened_before_the_swap_is_merged_later(recorder: Recorder) -> None:
    recorder.write(a_cell("a"))
    theirs = edited(recorder.path, add_note)
    with recorder.path.open("r+b") as file:  # the editor has it open, and is slow
        recorder.write(a_cell("b"))
        recorder.write(a_cell("c"))
        file.write(theirs)
        file.truncate()
    recorder.write(a_cell("d"))
    assert ids(recorder.path) == ["a", "note", "b", "c", "d"]


def test_somebody_who_writes_slowly_is_waited_for(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "WRITER_PATIENCE", 60.0)  # this process may stand still for seconds
    recorder.write(a_cell("a"))
    recorder.write(a_cell("b"))
    theirs = edited(recorder.path, add_note)
    file = recorder.path.open("wb", buffering=0)
    file.write(theirs[:50])

    def finish() -> None:
        file.write(theirs[50:])
        file.close()

    timer = threading.Timer(0.2, finish)
    timer.start()
    recorder.write(a_cell("c"))
    timer.join()
    assert ids(recorder.path) == ["a", "note", "b", "c"]


def test_somebody_who_never_ends_is_an_error_and_loses_nothing(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WRITER_PATIENCE", 0.05)
    recorder.write(a_cell("a"))
    recorder.write(a_cell("b"))
    theirs = edited(recorder.path, add_note)
    with recorder.path.open("wb", buffering=0) as file:
        file.write(theirs[:50])
        for name in "cd":
            with pytest.raises(RecordingError, match="somebody is writing"):
                recorder.write(a_cell(name))
        file.write(theirs[50:])
    recorder.write(a_cell("e"))
    assert ids(recorder.path) == ["a", "note", "b", "c", "d", "e"]


class Meddler:
    """Saves something else in the instant before, or after, the names are swapped."""

    def __init__(self, save: Save, *, after: bool) -> None:
        self.system = System(exchange=self.exchange)
        self.todo: list[bytes] = []
        self._save, self._after = save, after

    def exchange(self, one: str, other: str, folder: int) -> None:
        path = Path(f"/proc/self/fd/{folder}", other)
        if not self._after:
            self._meddle(path)
        System().exchange(one, other, folder)
        if self._after:
            self._meddle(path)

    def _meddle(self, path: Path) -> None:
        if self.todo:
            self._save(path, self.todo.pop())


@ways
@pytest.mark.parametrize("after", [False, True])
def test_a_save_in_the_very_instant_of_the_swap(tmp_path: Path, save: Save, after: bool) -> None:
    meddler = Meddler(save, after=after)
    recorder = Recorder(tmp_path / "a.ipynb", system=meddler.system)
    recorder.open(METADATA)
    recorder.write(a_cell("a"))
    recorder.write(a_cell("b"))
    meddler.todo = [edited(recorder.path, add_note)]
    recorder.write(a_cell("c"))
    recorder.write(a_cell("d"))
    assert ids(recorder.path) == ["a", "note", "b", "c", "d"]
    recorder.close()
    assert os.listdir(tmp_path) == ["a.ipynb"]


SAVER = """
import json, os, sys
path, rounds, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
print("ready", flush=True)
for number in range(rounds):
    sys.stdin.readline()
    with open(path, encoding="utf-8") as file:
        notebook = json.load(file)
    note = {"cell_type": "markdown", "id": f"note{number}", "metadata": {}, "source": [f"note {number}"]}
    notebook["cells"].append(note)
    if way == "replace":
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(notebook, file)
        os.replace(path + ".new", path)
    else:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(notebook, file)
    print("saved", flush=True)
"""


@contextmanager
def saver(path: Path, rounds: int, way: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SAVER, str(path), str(rounds), way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


@pytest.mark.parametrize("way", ["replace", "in place"])
def test_a_second_process_that_saves_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    # On a busy machine the other one may stand still while it writes, or save whenever this one is about to.
    monkeypatch.setattr(store_module, "WRITER_PATIENCE", 60.0)
    monkeypatch.setattr("kernel_exec.recording.recorder._ATTEMPTS", 10_000)
    rounds = 60
    recorder = Recorder(tmp_path / "a.ipynb")
    recorder.open(METADATA)
    with saver(recorder.path, rounds, way) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n" * rounds)
        process.stdin.flush()
        written, saves = 0, 0
        saved = threading.Condition()

        def follow(out: IO[str]) -> None:
            nonlocal saves
            for _ in chain(out, ["the end"]):
                with saved:
                    saves += 1
                    saved.notify()

        threading.Thread(target=follow, args=(process.stdout,)).start()
        while saves <= rounds:
            # Some writes between two saves, and no more than there are copies that are watched for a late one: on a
            # busy machine the other program may not be scheduled for a hundred writes.
            for _ in range(4):
                recorder.write(a_cell(f"c{written}"))
                written += 1
            with saved:
                before = saves
                saved.wait_for(lambda before=before: saves > before or saves > rounds, timeout=10)
        recorder.write(a_cell("last"))
        assert process.wait(60) == 0
    recorder.close()
    found = set(ids(recorder.path))
    assert {f"c{number}" for number in range(written)} <= found
    # Two programs that read and write one file can lose each other's notes only where theirs overlap: they are one.
    assert {f"note{number}" for number in range(rounds)} <= found
    assert os.listdir(tmp_path) == ["a.ipynb"]

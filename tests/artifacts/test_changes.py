"""What a cell did to plain files is told, whole and once."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from kernel_exec.artifacts import Artifacts
from kernel_exec.artifacts.collector import mime_of
from tests.artifacts.conftest import Follow, told


def test_created_modified_deleted_and_nothing_else(work: Path, follow: Follow) -> None:
    (work / "old.csv").write_text("a,b\n")
    (work / "gone.txt").write_text("x")
    (work / "kept.txt").write_text("y")
    artifacts = follow()
    (work / "deep" / "er").mkdir(parents=True)
    (work / "deep" / "er" / "new.json").write_text("{}")
    (work / "old.csv").write_text("a,b\n1,2\n")
    (work / "gone.txt").unlink()
    (work / "brief.txt").write_text("z")
    (work / "brief.txt").unlink()
    found = artifacts.collect("cell").artifacts
    assert [(a.path, a.change, a.size, a.mime, a.cell_id) for a in found] == [
        (work / "deep" / "er" / "new.json", "created", 2, "application/json", "cell"),
        (work / "gone.txt", "deleted", 0, "text/plain", "cell"),
        (work / "old.csv", "modified", 8, "text/csv", "cell"),
    ]
    assert [a.sha256 for a in found] == [
        hashlib.sha256(b"{}").hexdigest(),
        "",
        hashlib.sha256(b"a,b\n1,2\n").hexdigest(),
    ]
    assert artifacts.collect("next") == artifacts.collect("next but one")
    assert artifacts.collect("last").artifacts == []


def test_what_lay_there_before_is_not_told(work: Path, follow: Follow) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "a").write_text("a")
    (work / "link").symlink_to("sub")
    os.mkfifo(work / "fifo")
    collected = follow().collect("cell")
    assert collected.artifacts == []
    assert collected.notes == ()


def test_the_same_size_in_the_same_moment(work: Path, follow: Follow) -> None:
    """A change so soon after the last look that the file's times may be the same."""
    artifacts = follow()
    for number in range(50):
        (work / "f").write_text(f"{number:02}")
        assert told(artifacts.collect("c"), work) == {"f": "modified" if number else "created"}


def test_times_that_were_set_back_hide_nothing(work: Path, follow: Follow) -> None:
    file = work / "f"
    file.write_text("one")
    artifacts = follow()
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert told(artifacts.collect("c"), work) == {"f": "modified"}


def test_a_known_content_that_is_written_again_is_no_change(work: Path, follow: Follow) -> None:
    artifacts = follow()
    (work / "f").write_text("same")
    artifacts.collect("c")
    (work / "f").unlink()
    (work / "f").write_text("same")
    os.chmod(work / "f", 0o600)
    assert told(artifacts.collect("c"), work) == {}
    (work / "f").write_text("other")
    assert told(artifacts.collect("c"), work) == {"f": "modified"}


def test_deleted_and_made_again_with_another_content(work: Path, follow: Follow) -> None:
    (work / "f").write_text("1")
    artifacts = follow()
    (work / "f").unlink()
    (work / "f").write_text("2")
    assert told(artifacts.collect("c"), work) == {"f": "modified"}


@pytest.mark.parametrize("value", [2**62, -(2**40)])
def test_absurd_times(work: Path, follow: Follow, value: int) -> None:
    artifacts = follow()
    (work / "f").write_text("1")
    os.utime(work / "f", (value, value))
    assert told(artifacts.collect("c"), work) == {"f": "created"}
    (work / "f").write_text("2")
    assert told(artifacts.collect("c"), work) == {"f": "modified"}


def test_moves_within_out_of_and_into_the_directory(work: Path, follow: Follow, tmp_path: Path) -> None:
    for name in ("within", "out"):
        (work / name / "sub").mkdir(parents=True)
        (work / name / "sub" / "f").write_text(name)
    (tmp_path / "into" / "sub").mkdir(parents=True)
    (tmp_path / "into" / "sub" / "f").write_text("into")
    artifacts = follow()
    (work / "within").rename(work / "moved")
    (work / "out").rename(tmp_path / "elsewhere")
    (tmp_path / "into").rename(work / "into")
    assert told(artifacts.collect("c"), work) == {
        "into/sub/f": "created",
        "moved/sub/f": "created",
        "out/sub/f": "deleted",
        "within/sub/f": "deleted",
    }
    # What is elsewhere now is no business of ours, and what came is.
    (tmp_path / "elsewhere" / "sub" / "f").write_text("changed")
    (work / "into" / "sub" / "g").write_text("g")
    (work / "moved" / "sub" / "f").write_text("changed")
    assert told(artifacts.collect("c"), work) == {"into/sub/g": "created", "moved/sub/f": "modified"}


def test_directories_that_change_places(work: Path, follow: Follow) -> None:
    for name in "ab":
        (work / name).mkdir()
        (work / name / f"only_{name}").write_text(name)
    artifacts = follow()
    (work / "a").rename(work / "c")
    (work / "b").rename(work / "a")
    (work / "c").rename(work / "b")
    assert told(artifacts.collect("c"), work) == {
        "a/only_a": "deleted",
        "a/only_b": "created",
        "b/only_a": "created",
        "b/only_b": "deleted",
    }
    (work / "a" / "x").write_text("x")
    (work / "b" / "y").write_text("y")
    assert told(artifacts.collect("c"), work) == {"a/x": "created", "b/y": "created"}


def test_a_directory_deleted_and_made_again(work: Path, follow: Follow) -> None:
    (work / "d").mkdir()
    (work / "d" / "f").write_text("1")
    artifacts = follow()
    for number in range(3):
        shutil.rmtree(work / "d")
        (work / "d").mkdir()
        (work / "d" / f"g{number}").write_text("2")
        before = f"g{number - 1}" if number else "f"
        assert told(artifacts.collect("c"), work) == {f"d/{before}": "deleted", f"d/g{number}": "created"}


def test_the_work_directory_deleted_and_made_again(work: Path, follow: Follow) -> None:
    (work / "f").write_text("1")
    artifacts = follow()
    shutil.rmtree(work)
    assert told(artifacts.collect("c"), work) == {"f": "deleted"}
    assert told(artifacts.collect("c"), work) == {}
    work.mkdir()
    (work / "g").write_text("2")
    assert told(artifacts.collect("c"), work) == {"g": "created"}
    (work / "h").write_text("3")
    assert told(artifacts.collect("c"), work) == {"h": "created"}


def test_a_work_directory_that_is_a_link(work: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(work)
    artifacts = Artifacts(link, limit=1000, ignored=[link / "session.ipynb"])
    artifacts.start()
    (work / "f").write_text("1")
    (work / "session.ipynb").write_text("{}")
    assert [a.path for a in artifacts.collect("c").artifacts] == [link / "f"]
    artifacts.close()


def test_the_recordings_own_files_are_left_out(work: Path, follow: Follow) -> None:
    artifacts = follow(ignored=[work / "session.ipynb", work / "session_files"], patterns=[".*.kernel_exec"])
    artifacts.ignore(work / "late")
    (work / "session_files" / "sub").mkdir(parents=True)
    for name in ("session.ipynb", ".session.ipynb.kernel_exec", "session_files/1.png", "session_files/sub/x", "late"):
        (work / name).write_text("x")
    (work / "sub").mkdir()
    (work / "sub" / "session.ipynb").write_text("mine")
    assert told(artifacts.collect("c"), work) == {"sub/session.ipynb": "created"}
    (work / "session_files" / "2.png").write_text("x")
    (work / "session.ipynb").unlink()
    assert told(artifacts.collect("c"), work) == {}


def test_ten_thousand_files_at_once(work: Path, follow: Follow) -> None:
    artifacts = follow()
    for number in range(10_000):
        (work / f"f{number:05}").touch()
    collected = artifacts.collect("c")
    assert [a.path.name for a in collected.artifacts] == [f"f{number:05}" for number in range(10_000)]
    assert collected.notes == ()
    assert artifacts.collect("c").artifacts == []


def test_more_files_than_are_told(work: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_exec.artifacts.collector.MAX_REPORTED", 3)
    artifacts = follow()
    for number in range(5):
        (work / f"f{number}").write_text("x")
    collected = artifacts.collect("c")
    assert list(told(collected, work)) == ["f0", "f1", "f2"]
    assert collected.notes == ("not among the artifacts, because no more than 3 are told of one cell: 'f3', 'f4'",)
    (work / "f4").write_text("y")
    assert told(artifacts.collect("c"), work) == {"f4": "modified"}


def test_more_files_than_are_followed(work: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_exec.artifacts.tree.MAX_ENTRIES", 10)
    artifacts = follow()
    for number in range(20):
        (work / f"f{number}").write_text("x")
    for _ in range(2):
        collected = artifacts.collect("c")
        assert collected.artifacts == []
        assert "holds more than" in collected.notes[0]


def test_a_file_that_is_mapped_into_memory(work: Path, follow: Follow) -> None:
    """Writing to it is no event for the file system."""
    (work / "old.bin").write_bytes(bytes(4096))
    artifacts = follow()
    old = np.memmap(work / "old.bin", dtype="u1", mode="r+")
    new = np.memmap(work / "new.bin", dtype="u1", mode="w+", shape=4096)
    artifacts.collect("c")
    for number in (1, 2):
        old[0] = new[0] = number
        old.flush()
        new.flush()
        assert told(artifacts.collect("c"), work) == {"new.bin": "modified", "old.bin": "modified"}


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("a.png", "image/png"),
        ("a.csv", "text/csv"),
        ("a.csv.gz", "application/gzip"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("data:text,a.html", "text/html"),
        ("a", "application/octet-stream"),
        (".png", "application/octet-stream"),
        ("a\n.svg", "image/svg+xml"),
    ],
)
def test_types(name: str, mime: str) -> None:
    assert mime_of(name) == mime


LISTINGS: list[str] = []


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("os.scandir", "os.listdir"):
        LISTINGS.append(event)


def test_a_cell_that_writes_nothing_costs_no_look(work: Path) -> None:
    for number in range(30):
        (work / f"d{number}").mkdir()
        (work / f"d{number}" / "f").touch()
    artifacts = Artifacts(work, limit=1000)
    artifacts.start()
    sys.addaudithook(_listen)
    artifacts.collect("c")
    LISTINGS.clear()
    artifacts.collect("c")
    (work / "d7" / "f").write_text("x")
    assert told(artifacts.collect("c"), work) == {"d7/f": "modified"}
    assert LISTINGS == []
    (work / "d7" / "new").mkdir()
    artifacts.collect("c")
    assert LISTINGS == ["os.scandir"]
    artifacts.close()

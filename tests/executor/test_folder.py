"""Folders below a directory that is not trusted: what is followed, what is made, what is refused."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_exec.folder import Folder, IsNoFile, located, move_aside, numbered, open_regular
from tests.executor.looks import descriptors


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "work" / "sub").mkdir(parents=True)
    (tmp_path / "work" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "way").symlink_to("work")
    (tmp_path / "deep").symlink_to("work/sub")
    (tmp_path / "sly").symlink_to("work/out/../x")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path / "work"


@pytest.mark.parametrize(
    ("path", "trusted", "names"),
    [
        ("work", "work", ()),
        ("work/a/b", "work", ("a", "b")),
        ("work/out/b", "work", ("out", "b")),
        ("way/out/b", "work", ("out", "b")),
        ("deep/b", "work", ("sub", "b")),
        ("sly", "work", ("x",)),
        ("work/../outside/b", "outside/b", ()),
        ("work/out/../b", "work", ("b",)),
        ("outside/b", "outside/b", ()),
        ("not/yet", "not/yet", ()),
    ],
)
def test_the_way_to_a_path(work: Path, tmp_path: Path, path: str, trusted: str, names: tuple[str, ...]) -> None:
    assert located(tmp_path / path, work) == (tmp_path / trusted, names)
    assert located(tmp_path / path, tmp_path / "way") == (tmp_path / trusted, names)


def test_without_a_directory_that_is_not_trusted_all_is_followed(work: Path, tmp_path: Path) -> None:
    for path in ("work/out/b", "deep/b", "sly", "outside"):
        assert located(tmp_path / path, None) == ((tmp_path / path).resolve(), ())
    with pytest.raises(OSError, match="Too many levels"):
        located(tmp_path / "loop", None)


def test_no_link_is_followed_and_what_lies_in_the_way_is_kept(work: Path, tmp_path: Path) -> None:
    before = descriptors()
    folder = Folder(work / "out" / "in", untrusted=work)
    with pytest.raises(NotADirectoryError, match="not followed"), folder.opened():
        pass
    with pytest.raises(NotADirectoryError):
        folder.check()
    path = folder.write([b"a", b"b"], "name", ".txt")
    assert (path, path.read_bytes()) == (work / "out" / "in" / "name.txt", b"ab")
    assert (work / "out-1").is_symlink()
    assert list((tmp_path / "outside").iterdir()) == []
    assert folder.write([b"c"], "name", ".txt").name == "name.1.txt"
    folder.check()
    assert descriptors() == before


def test_a_folder_that_is_not_there(work: Path) -> None:
    folder = Folder(work / "a" / "b", untrusted=work)
    folder.check()
    with pytest.raises(FileNotFoundError), folder.opened():
        pass
    assert not (work / "a").exists()
    with folder.opened(make=True) as fd:
        assert os.path.samestat(os.fstat(fd), (work / "a" / "b").stat())


def test_a_write_that_fails_leaves_nothing(work: Path) -> None:
    def pieces() -> object:
        yield b"first"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        Folder(work, untrusted=work).write(pieces(), "a", ".txt")  # type: ignore[arg-type]
    assert sorted(path.name for path in work.iterdir()) == ["out", "sub"]


def test_a_file_that_was_made_is_known_again(work: Path) -> None:
    folder = Folder(work / "sub", untrusted=work)
    made = folder.make("a", ".txt")
    os.write(fd := folder.reopen(made, os.O_WRONLY | os.O_APPEND), b"one")
    os.close(fd)
    assert made.path.read_bytes() == b"one"
    made.path.rename(work / "other")
    with pytest.raises(FileNotFoundError):
        folder.reopen(made, os.O_WRONLY)
    for put in (os.mkfifo, lambda path: path.symlink_to(work / "other"), os.mkdir, lambda path: path.touch()):
        put(made.path)
        with pytest.raises(FileExistsError, match="something else"):
            folder.reopen(made, os.O_WRONLY)
        made.path.rename(work / f"aside{len(list(work.iterdir()))}")


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_only_files_are_read(work: Path, put: Callable[[Path], None]) -> None:
    put(work / "a")
    before = descriptors()
    with pytest.raises(IsNoFile):
        open_regular(work / "a")
    assert descriptors() == before
    (work / "b").write_bytes(b"read")
    with open(open_regular(work / "b"), "rb") as file:
        assert file.read() == b"read"


def test_names_that_are_free(work: Path) -> None:
    assert list(itertools.islice(numbered("a.b.ipynb"), 2)) == ["a.b-1.ipynb", "a.b-2.ipynb"]
    assert all(len(os.fsencode(name)) <= 255 for name in itertools.islice(numbered("é" * 127), 200))
    for name in itertools.islice(numbered("sub"), 99):
        (work / name).touch()
    with Folder(work).opened() as fd:
        name = move_aside("sub", fd)
    assert (work / name).is_dir()

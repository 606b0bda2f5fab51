"""What is no plain file of the work directory is refused and told, and neither followed nor waited for."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_exec.artifacts import collector, content
from kernel_exec.artifacts.content import hash_of as true_hash_of
from tests.artifacts.conftest import MIB, Follow, told


def test_a_link_to_a_file_of_the_host(work: Path, follow: Follow) -> None:
    artifacts = follow()
    (work / "passwd").symlink_to("/etc/passwd")
    (work / "etc").symlink_to("/etc")
    (work / "nowhere").symlink_to("nowhere")
    collected = artifacts.collect("c")
    assert collected.artifacts == []
    assert collected.notes == (
        "not among the artifacts, because they are symbolic links, which are not followed: 'etc', 'nowhere', 'passwd'",
    )
    assert artifacts.collect("c").notes == ()


def test_a_file_in_the_place_of_a_link_and_the_other_way_round(work: Path, follow: Follow) -> None:
    (work / "one").write_text("1")
    (work / "two").symlink_to("one")
    artifacts = follow()
    (work / "one").unlink()
    (work / "one").symlink_to("/etc/passwd")
    (work / "two").unlink()
    (work / "two").write_text("2")
    collected = artifacts.collect("c")
    assert told(collected, work) == {"one": "deleted", "two": "created"}
    assert "'one'" in collected.notes[0]


def test_a_hard_link_to_a_file_from_elsewhere(work: Path, follow: Follow, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    artifacts = follow()
    os.link(tmp_path / "secret", work / "mine")
    collected = artifacts.collect("c")
    assert collected.artifacts == []
    assert collected.notes == ("not among the artifacts, because they are hard links to files from elsewhere: 'mine'",)


def test_hard_links_within_the_directory(work: Path, follow: Follow) -> None:
    (work / "a").write_text("1")
    (work / "sub").mkdir()
    artifacts = follow()
    os.link(work / "a", work / "sub" / "b")
    collected = artifacts.collect("c")
    assert told(collected, work) == {"sub/b": "created"}
    assert collected.notes == ()
    # Written under one name, it is another file under both.
    with (work / "sub" / "b").open("a") as file:
        file.write("2")
    assert told(artifacts.collect("c"), work) == {"a": "modified", "sub/b": "modified"}
    (work / "a").unlink()
    assert told(artifacts.collect("c"), work) == {"a": "deleted"}


def test_fifo_socket_and_device(work: Path, follow: Follow) -> None:
    artifacts = follow()
    os.mkfifo(work / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(work / "socket"))
    expected = {"they are FIFOs: 'fifo'", "they are sockets: 'socket'"}
    try:
        os.mknod(work / "device", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pass  # only root makes devices
    else:
        expected.add("they are devices: 'device'")
    collected = artifacts.collect("c")
    assert collected.artifacts == []
    assert set(collected.notes) == {f"not among the artifacts, because {reason}" for reason in expected}


def test_a_sparse_terabyte(work: Path, follow: Follow) -> None:
    artifacts = follow()
    (work / "a").write_text("small")
    with (work / "b").open("wb") as file:
        file.truncate(2**40)
    (work / "c").write_text("small")
    collected = artifacts.collect("c")
    assert told(collected, work) == {"a": "created", "c": "created"}
    assert collected.notes == (
        f"not among the artifacts, because they are beyond the limit of {64 * MIB} bytes (limits.artifact_bytes): 'b'",
    )


def test_the_limit_is_that_of_all_files_of_one_cell(work: Path, follow: Follow) -> None:
    artifacts = follow(limit=25)
    for name in "abcd":
        (work / name).write_text("x" * 10)
    (work / "e").write_text("x" * 5)
    collected = artifacts.collect("c")
    assert list(told(collected, work)) == ["a", "b", "e"]
    assert "(limits.artifact_bytes): 'c', 'd'" in collected.notes[0]
    (work / "f").write_text("x" * 25)
    assert list(told(artifacts.collect("c"), work)) == ["f"]
    # What was refused is known to be there all the same.
    (work / "c").unlink()
    assert told(artifacts.collect("c"), work) == {"c": "deleted"}


def test_names_that_are_no_text(work: Path, follow: Follow) -> None:
    artifacts = follow()
    names = [b"two\nlines", b"\xff\xfe", b"\x1b[31mred", "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe".encode()]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(work), name))).write_text("x")
    found = artifacts.collect("c").artifacts
    assert {os.fsencode(artifact.path.name) for artifact in found} == set(names)
    for artifact in found:
        artifact.path.unlink()
        artifact.path.symlink_to("x")
    (note,) = artifacts.collect("c").notes
    note.encode("utf-8")
    assert note.isprintable()
    assert "'two\\nlines'" in note


def test_notes_are_short_however_many_are_refused(work: Path, follow: Follow) -> None:
    artifacts = follow()
    folder = work
    for _ in range(15):
        folder /= "d" * 200
    folder.mkdir(parents=True)
    for number in range(1000):
        (folder / f"link{number:04}").symlink_to("x")
    (note,) = artifacts.collect("c").notes
    assert note.endswith("and 995 more")
    assert len(note) < 1000


def test_directories_deeper_than_any_sane_tree(work: Path, follow: Follow) -> None:
    artifacts = follow()
    fd = os.open(work, os.O_RDONLY)
    for _ in range(200):
        with open("f", "w", opener=lambda name, flags, fd=fd: os.open(name, flags, dir_fd=fd)):
            pass
        os.mkdir("deeper", dir_fd=fd)
        inner = os.open("deeper", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    collected = artifacts.collect("c")
    assert len(collected.artifacts) == 65
    assert re.fullmatch("not among the artifacts, because they lie too deep: .*", collected.notes[0])
    assert artifacts.collect("c").notes == ()


def test_a_file_under_a_lease_is_not_waited_for(work: Path, follow: Follow) -> None:
    artifacts = follow()
    with (work / "f").open("w") as file:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        assert "'f'" in artifacts.collect("c").notes[0]


Interfere = Callable[[Callable[[], None]], None]


@pytest.fixture
def before_reading(monkeypatch: pytest.MonkeyPatch) -> Interfere:
    """Does something after a file was found and before it is read."""

    def interfere(act: Callable[[], None]) -> None:
        def acting(*arguments: object) -> str | None:
            act()
            return true_hash_of(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(collector, "hash_of", acting)

    return interfere


@pytest.fixture
def while_reading(monkeypatch: pytest.MonkeyPatch) -> Interfere:
    """Does something when a file has been read and not yet been looked at again."""

    def interfere(act: Callable[[], None]) -> None:
        read = content._digest

        def acting(fd: int, size: int) -> str | None:
            digest = read(fd, size)
            act()
            return digest

        monkeypatch.setattr(content, "_digest", acting)

    return interfere


def once(act: Callable[[], None]) -> Callable[[], None]:
    acts = [act]
    return lambda: acts.pop()() if acts else None


def test_a_file_that_is_replaced_while_it_is_read(work: Path, follow: Follow, while_reading: Interfere) -> None:
    artifacts = follow()
    (work / "f").write_text("first")
    (work / "other").write_text("second, and longer")

    while_reading(once(lambda: (work / "other").replace(work / "f") and None))
    (found,) = artifacts.collect("c").artifacts
    assert (found.change, found.size) == ("created", 18)


def test_a_file_that_grows_or_shrinks_while_it_is_read(work: Path, follow: Follow, while_reading: Interfere) -> None:
    artifacts = follow()
    for size in (10, 0, 1000):
        (work / "f").write_text("x")
        while_reading(once(lambda size=size: os.truncate(work / "f", size)))
        (found,) = artifacts.collect("c").artifacts
        assert found.size == size


def test_a_file_that_never_rests(work: Path, follow: Follow, while_reading: Interfere) -> None:
    artifacts = follow()
    (work / "f").write_text("x")
    while_reading(lambda: (work / "f").open("a").close() or os.utime(work / "f", ns=(0, os.urandom(1)[0])))
    collected = artifacts.collect("c")
    assert collected.artifacts == []
    assert collected.notes == ("not among the artifacts, because they went on changing while they were read: 'f'",)


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "nothing"])
def test_something_else_lies_there_when_it_is_read(
    work: Path, follow: Follow, before_reading: Interfere, kind: str
) -> None:
    artifacts = follow()
    file = work / "f"
    file.write_text("x")

    def swap() -> None:
        file.unlink()
        if kind == "symlink":
            file.symlink_to("/etc/passwd")
        elif kind == "fifo":
            os.mkfifo(file)
        elif kind == "directory":
            file.mkdir()
            (file / "inner").write_text("y")

    before_reading(once(swap))
    collected = artifacts.collect("c")
    assert told(collected, work) == ({"f/inner": "created"} if kind == "directory" else {})
    assert bool(collected.notes) is (kind in ("symlink", "fifo"))
    assert told(artifacts.collect("c"), work) == {}


def test_a_directory_swapped_for_a_link_while_it_is_collected(
    work: Path, follow: Follow, before_reading: Interfere, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "f").write_text("secret")
    (tmp_path / "secret" / "g").write_text("secret")
    artifacts = follow()
    (work / "d").mkdir()
    (work / "a").write_text("read first")
    (work / "d" / "f").write_text("x")

    def swap() -> None:
        (work / "d").rename(tmp_path / "away")
        (work / "d").symlink_to(tmp_path / "secret")

    before_reading(once(swap))
    collected = artifacts.collect("c")
    assert told(collected, work) == {"a": "created"}
    again = artifacts.collect("c")
    assert set(told(again, work)) <= {"d/f"}
    assert "'d'" in "".join(again.notes)


def test_directories_and_links_swapped_all_the_time(work: Path, follow: Follow, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "f").write_text("secret")
    artifacts = follow()
    (work / "real").mkdir()
    (work / "real" / "f").write_text("mine")
    (work / "link").symlink_to(tmp_path / "secret")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one, other in (("real", "d"), ("d", "real"), ("link", "d"), ("d", "link")):
                os.rename(work / one, work / other)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        hashes = {a.sha256 for _ in range(300) for a in artifacts.collect("c").artifacts}
    finally:
        stop.set()
        thread.join()
    assert len(hashes - {""}) <= 1


def test_files_that_come_and_go_all_the_time(work: Path, follow: Follow) -> None:
    artifacts = follow()
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            folder = work / f"d{number % 7}"
            folder.mkdir(exist_ok=True)
            (folder / f"f{number % 11}").write_text("x" * (number % 100))
            if number % 3 == 0:
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(100):
            artifacts.collect("c")
    finally:
        stop.set()
        thread.join()
    artifacts.collect("c")
    assert artifacts.collect("c").artifacts == []

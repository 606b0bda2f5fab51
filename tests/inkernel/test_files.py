"""Files from one directory to another, and what somebody sends who is not to be trusted."""

from __future__ import annotations

import contextlib
import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_exec.inkernel import files
from kernel_exec.inkernel.files import (
    A_LINK,
    DEPTH,
    END,
    FILE,
    FOLDER,
    GONE,
    LINK,
    NO_FILE,
    NOT_YOURS,
    PATH,
    PIECE,
    RECORD,
    REFUSED,
    TOO_DEEP,
    TOO_LARGE,
    TOO_MANY,
    UNREADABLE,
    UNWRITTEN,
    Receiver,
    Side,
    TooLarge,
    record,
)
from kernel_exec.inkernel.mux import Broken


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def carry(source: Side, target: Side, limit: int = 10**9, *, links: bool = False, seed: int = 0) -> Receiver:
    """Carry what has changed, in pieces of any size."""
    chance = random.Random(seed)
    receiver = Receiver(target, limit, links=links)
    sent = b"".join(source.everything(limit) if links else source.changes(limit))
    while sent:
        size = chance.randrange(1, 5000)
        receiver.feed(sent[:size])
        sent = sent[size:]
    assert receiver.done
    return receiver


def content(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        found[name] = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


def test_what_changes_is_carried_and_nothing_else(here: Path, there: Path) -> None:
    source, target = Side(str(here)), Side(str(there))
    (here / "a" / "b").mkdir(parents=True)
    (here / "a" / "b" / "deep").write_bytes(random.Random(1).randbytes(300_000))
    (here / "empty").touch()
    (here / "tool").write_text("#!")
    (here / "tool").chmod(0o4755)
    (here / "new\nline \udcff").write_text("strange")
    os.utime(here / "empty", ns=(1, 1))
    carry(source, target)
    assert content(here) == content(there)
    assert stat.S_IMODE((there / "tool").stat().st_mode) == 0o755
    assert (there / "empty").stat().st_mtime_ns == 1
    assert list(source.changes(10**9)) == [record(END, "")]
    assert list(target.changes(10**9)) == [record(END, "")]  # it does not come back

    (here / "a" / "b" / "deep").unlink()
    (here / "a" / "b").rmdir()
    (here / "a" / "b").write_text("a file now")
    (here / "empty").unlink()
    (here / "empty").mkdir()
    (there / "tool").write_text("from there")
    carry(source, target)
    carry(target, source)
    assert content(here) == content(there)
    assert (here / "tool").read_text() == "from there"
    assert not [name for name in content(there) if name.endswith(".kernel_exec")]


def test_two_changes_within_a_tick_of_the_clock(here: Path, there: Path) -> None:
    source, target = Side(str(here)), Side(str(there))
    for number in range(20):
        with (here / "file").open("r+" if number else "w") as file:
            file.write(str(number % 10))
        carry(source, target)
        assert (there / "file").read_text() == str(number % 10)


def test_what_is_not_sent_is_told_once(here: Path, there: Path) -> None:
    source, target = Side(str(here)), Side(str(there))
    (here / "link").symlink_to("/etc/passwd")
    os.mkfifo(here / "fifo")
    (here / "large").write_bytes(bytes(1001))
    (here / "small").write_bytes(bytes(1000))
    refused = carry(source, target, 1000).refused
    assert refused == {A_LINK: ["link"], NO_FILE: ["fifo"], TOO_LARGE: ["large"]}
    assert content(there) == {"small": bytes(1000)}
    assert not carry(source, target, 1000).refused


def test_links_go_in_as_links(here: Path, there: Path) -> None:
    (here / "link").symlink_to("/etc/passwd")
    carry(Side(str(here)), Side(str(there)), links=True)
    assert content(there) == {"link": "/etc/passwd"}


@contextlib.contextmanager
def as_ordinary_user(*paths: Path) -> Iterator[None]:
    """Work as the owner of these: root may look into everything."""
    if os.getuid():
        yield
        return
    for path in paths:
        os.chown(path, 65534, -1)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_cannot_be_seen_is_not_taken_for_gone(here: Path, there: Path) -> None:
    source, target = Side(str(here)), Side(str(there))
    (here / "closed").mkdir()
    (here / "closed" / "file").write_text("kept")
    carry(source, target)
    (here / "closed").chmod(0)
    with as_ordinary_user(here, here / "closed", there, there / "closed"):
        refused = carry(source, target).refused
    (here / "closed").chmod(0o755)
    assert refused == {UNREADABLE: ["closed/..."]}
    assert (there / "closed" / "file").read_text() == "kept"


def test_what_lies_too_deep_is_told(here: Path, there: Path) -> None:
    source, target = Side(str(here)), Side(str(there))
    (here / "/".join(["d"] * (DEPTH + 5))).mkdir(parents=True)
    (here / "/".join(["long" * 60] * 5)).mkdir(parents=True)
    refused = carry(source, target).refused
    assert len(refused[TOO_DEEP]) == 2
    assert not carry(source, target).refused
    assert len(content(there)) == DEPTH + 4


def test_more_than_are_followed(here: Path, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = Side(str(here)), Side(str(there))
    for number in range(20):
        (here / str(number)).touch()
    carry(source, target)
    monkeypatch.setattr(files, "MANY", 10)
    assert carry(source, target).refused == {TOO_MANY: ["..."]}
    assert len(content(there)) == 20  # nothing is taken for gone
    with pytest.raises(TooLarge, match="more than 10 files"):
        next(source.everything(1000))


def test_too_much_is_not_begun(here: Path, there: Path) -> None:
    source, target = Side(str(here)), Side(str(there))
    (here / "a").write_bytes(bytes(600))
    (here / "b").write_bytes(bytes(600))
    with pytest.raises(TooLarge):
        next(source.everything(1000))
    (here / "a").unlink()
    carry(source, target, 1000, links=True)
    assert content(there) == {"b": bytes(600)}
    source.forget_content()
    (there / "b").unlink()
    carry(source, target, 1000, links=True)
    assert content(there) == {"b": bytes(600)}


def test_what_is_the_recordings_stays(here: Path, there: Path) -> None:
    (here / "session.ipynb").write_text("forged")
    (there / "session.ipynb").write_text("true")
    receiver = carry(Side(str(here)), Side(str(there), lambda path: path != "session.ipynb"))
    assert receiver.refused == {NOT_YOURS: ["session.ipynb"]}
    assert (there / "session.ipynb").read_text() == "true"


def a_file(path: str, data: bytes = b"bad") -> bytes:
    return record(FILE, path, 0o644) + PIECE.pack(len(data)) + data + PIECE.pack(0)


@pytest.mark.parametrize(
    "sent",
    [
        a_file("../out"),
        a_file("/out"),
        a_file("a/../../out"),
        a_file("."),
        a_file(""),
        a_file("a//b"),
        a_file("nul\0l"),
        a_file("x" * 256),
        a_file("a/" * 70 + "b"),
        a_file("/".join(["x" * 100] * (PATH // 100 + 1))),
        record(FILE, "x") + PIECE.pack(2**31),
        a_file("x", bytes(2000)),
        record(LINK, "x") + PIECE.pack(4) + b"/etc",
        record(REFUSED, "x", 99),
        record(9, "x"),
    ],
)
def test_what_is_refused_at_once(there: Path, sent: bytes) -> None:
    receiver = Receiver(Side(str(there)), 1000, links=False)
    with pytest.raises(Broken):
        receiver.feed(sent)
    receiver.close()
    assert not content(there)
    assert not (there.parent / "out").exists()


def test_nothing_comes_behind_the_last(there: Path) -> None:
    receiver = Receiver(Side(str(there)), 1000, links=False)
    receiver.feed(record(END, ""))
    with pytest.raises(Broken):
        receiver.feed(b"x")


def test_no_link_is_followed_where_it_is_written(there: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (there / "way").symlink_to(outside)
    (there / "name").symlink_to(outside / "kept")
    receiver = Receiver(Side(str(there)), 1000, links=False)
    receiver.feed(a_file("way/made") + record(GONE, "way/kept") + record(FOLDER, "way") + a_file("name"))
    receiver.feed(record(END, ""))
    assert receiver.refused == {UNWRITTEN: ["way/made", "way/kept", "way"]}
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"kept": "kept"}
    assert (there / "name").read_text() == "bad"
    assert not (there / "name").is_symlink()


def test_half_a_file_is_none(there: Path) -> None:
    (there / "x").write_text("before")
    receiver = Receiver(Side(str(there)), 1000, links=False)
    receiver.feed(a_file("x")[:-3])
    receiver.close()
    assert content(there) == {"x": b"before"}


def test_anything_at_all_is_refused_or_taken(there: Path) -> None:
    chance = random.Random(3)
    for _ in range(2000):
        receiver = Receiver(Side(str(there)), 1000, links=False)
        parts = [a_file("x"), record(FOLDER, "d"), record(GONE, "x"), RECORD.pack(chance.randrange(8), 1, 3, 1)]
        sent = bytearray(b"".join(chance.choices(parts, k=4)))
        for _ in range(3):
            sent[chance.randrange(len(sent))] = chance.randrange(256)
        try:
            receiver.feed(bytes(sent))
        except Broken:
            pass
        finally:
            receiver.close()
            receiver._side.close()
    assert sorted(path.name for path in there.parent.iterdir()) == ["there"]

"""Files that cells made: by path, change and hash; by what they show where they are at hand."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from kernel_exec.compare import Difference, Files, Rules, cell_differences, stamps
from tests.compare.cells import cell


def made(**files: bytes) -> dict[str, Any]:
    """A cell that created files; `a_csv` is `a.csv`."""
    return cell(status="ok", artifacts=[fact(name.replace("_", "."), content) for name, content in files.items()])


def fact(path: str, content: bytes, change: str = "created") -> dict[str, Any]:
    return {
        "path": path,
        "change": change,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest() if change != "deleted" else "",
    }


def contents(**files: bytes) -> Any:
    known: Mapping[str, bytes] = {name.replace("_", "."): content for name, content in files.items()}
    return known.get


def png(colour: str, note: str = "", size: tuple[int, int] = (40, 30)) -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("Note", note)
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG", pnginfo=about)
    return file.getvalue()


def read(old: dict[str, bytes], new: dict[str, bytes]) -> list[Difference]:
    return cell_differences(made(**old), made(**new), files=Files(contents(**old), contents(**new)))


def test_by_path_and_hash() -> None:
    found = cell_differences(made(a_csv=b"1", b_csv=b"2", c_csv=b"3"), made(b_csv=b"22", c_csv=b"3", d_csv=b"4"))
    assert [(difference.where, difference.message) for difference in found] == [
        ("artifact a.csv", "it is not made any more"),
        ("artifact b.csv", "other content (1 -> 2 bytes)"),
        ("artifact d.csv", "it is new"),
    ]
    assert {difference.kind for difference in found} == {"artifact"}


def test_what_happened_to_it() -> None:
    old, new = (cell(status="ok", artifacts=[fact("a", b"1", change)]) for change in ("modified", "deleted"))
    (found,) = cell_differences(old, new)
    assert found.message == "modified -> deleted"


def test_paths_that_are_ignored() -> None:
    rules = Rules(ignore_artifacts=("*.log", "cache/*"))
    assert cell_differences(made(a_log=b"1"), made(a_log=b"2", b_log=b""), rules) == []
    assert cell_differences(made(a_csv=b"1"), made(), Rules(ignore=frozenset({"artifacts"}))) == []
    assert cell_differences(made(a_csv=b"1"), made(), rules)


def test_a_notebook_that_does_not_tell_of_files() -> None:
    assert cell_differences(cell(), made(a_csv=b"1")) == []
    assert cell_differences(cell(status="ok"), made(a_csv=b"1"))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a_png", png("red", "a"), png("red", "b")),
        ("a_csv", b"a,b\n1,0.30000000000000004\n", b"a,b\n1,0.3\n"),
        ("a_json", b'{"a": 1, "b": 2.0}', b'{"b": 2, "a": 1}'),
        ("a_svg", b'<svg><path id="m0123456789"/></svg>', b'<svg><path id="m9876543210"/></svg>'),
        ("a_html", b"<p>2.0000000000001</p>", b"<p>2.0</p>"),
        ("a_log", b"2024-01-01 10:00:00 ok", b"2024-01-02 11:00:00 ok"),
    ],
)
def test_files_that_show_the_same(name: str, old: bytes, new: bytes) -> None:
    assert read({name: old}, {name: new}) == []
    assert cell_differences(made(**{name: old}), made(**{name: new}))  # not at hand


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("a_png", png("red"), png("blue"), "1,200 of 1,200 pixels differ, from (0, 0) to (39, 29)"),
        ("a_png", png("red"), png("red", size=(30, 30)), "size in pixels: 40 x 30 -> 30 x 30"),
        ("a_csv", b"a,b\n1,2.5\n", b"a,b\n1,2.6\n", "line 2: 2.5 -> 2.6 (tolerance 1e-09)"),
        ("a_csv", b"day\n2024-01-01\n", b"day\n2025-01-01\n", "line 2: 2024-01-01 -> 2025-01-01"),
        ("a_json", b'{"a": 1}', b'{"a": 2}', "['a']: 1 -> 2"),
        ("a_json", b'{"a": 1', b'{"a": 2', "1 -> 2"),
        ("a_bin", b"1", b"2", "other content (1 bytes as before)"),
        ("a_csv", b"\xff", b"\xfe", "other content (1 bytes as before)"),
    ],
)
def test_files_that_do_not(name: str, old: bytes, new: bytes, message: str) -> None:
    (found,) = read({name: old}, {name: new})
    assert (found.kind, found.message, found.where) == ("artifact", message, f"artifact {name.replace('_', '.')}")
    assert bool(found.picture) == (name == "a_png")


def test_a_file_that_is_no_longer_the_recorded_one_is_not_at_hand() -> None:
    old, new = made(a_csv=b"1.00"), made(a_csv=b"1.0")
    overwritten = Files(contents(a_csv=b"1.0"), contents(a_csv=b"1.0"))
    (found,) = cell_differences(old, new, files=overwritten)
    assert found.message == "other content (4 -> 3 bytes)"


def packed(text: str, year: int, author: str = "") -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.csv", (year, 1, 1, 0, 0, 0)), text)
        archive.writestr(zipfile.ZipInfo("docProps/core.xml", (year, 1, 1, 0, 0, 0)), author)
    return file.getvalue()


def tarred(text: str, year: int, mode: str = "w", kind: bytes = tarfile.REGTYPE) -> bytes:
    file = BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("a.csv")
        entry.size, entry.mtime, entry.type, entry.linkname = len(text), year, kind, "" if kind == b"0" else text
        archive.addfile(entry, BytesIO(text.encode()))
    return file.getvalue()


def pdf(text: str, year: int) -> bytes:
    return f"%PDF-1.4\n<< /CreationDate (D:{year}0101) /Title ({text}) >>".encode()


@pytest.mark.parametrize(
    ("name", "then", "now", "other"),
    [
        ("a_zip", packed("1", 2024), packed("1", 2025), packed("2", 2024)),
        ("a_xlsx", packed("1", 2024, "a"), packed("1", 2024, "b"), packed("2", 2024, "a")),
        ("a_gz", gzip.compress(b"1", mtime=1), gzip.compress(b"1", mtime=2), gzip.compress(b"2", mtime=1)),
        ("a_tar", tarred("1", 2024), tarred("1", 2025), tarred("2", 2024)),
        (
            "a_tar",
            tarred("/etc/passwd", 1, "w", b"2"),
            tarred("/etc/passwd", 2, "w", b"2"),
            tarred("/etc", 1, "w", b"2"),
        ),
        ("a_tgz", tarred("1", 2024, "w:gz"), tarred("1", 2025, "w:gz"), tarred("2", 2024, "w:gz")),
        ("a_pdf", pdf("a", 2024), pdf("a", 2025), pdf("b", 2024)),
    ],
    ids=["zip", "xlsx", "gz", "tar", "tar of a link", "tgz", "pdf"],  # the bytes hold the time of now
)
def test_when_it_was_written_is_no_matter(name: str, then: bytes, now: bytes, other: bytes) -> None:
    assert read({name: then}, {name: now}) == []
    assert [difference.kind for difference in read({name: then}, {name: other})] == ["artifact"]


def test_a_broken_archive_is_compared_as_it_is() -> None:
    assert read({"a_zip": b"PK\x03\x04"}, {"a_zip": b"PK\x03\x04"}) == []
    assert read({"a_zip": b"PK\x03\x04a"}, {"a_zip": b"PK\x03\x04b"})


def test_a_hostile_tar_is_compared_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    then, now = tarred("1", 2024), tarred("1", 2025)
    assert read({"a_tar": then[:512]}, {"a_tar": now[:512]})  # says that it has more than is there
    bomb, other = (gzip.compress(text + bytes(2**20), mtime=0) for text in (then, now))
    monkeypatch.setattr(stamps, "_MAX_UNPACKED", 2**20)
    assert read({"a_gz": bomb}, {"a_gz": other})
    monkeypatch.setattr(stamps, "_MAX_MEMBERS", 0)
    assert read({"a_tar": then}, {"a_tar": now})

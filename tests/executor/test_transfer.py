"""Files into the work directory and out of it, where cells may have put anything."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from kernel_exec import Executor, InvalidArgument, Limits, TransferError, WrongType


def test_a_file_goes_in(ex: Executor, tmp_path: Path) -> None:
    source = tmp_path / "sales.csv"
    source.write_bytes(b"a,b\n1,2\n")
    source.chmod(0o640)
    assert ex.upload(source) == "sales.csv"
    assert ex.execute("open('sales.csv').read()").text == repr("a,b\n1,2\n")
    assert (ex.workdir / "sales.csv").stat().st_mode & 0o777 == 0o640


def test_bytes_go_in_below_directories_that_are_made(ex: Executor) -> None:
    assert ex.upload(b"\0\1", "data/raw/x.bin") == "data/raw/x.bin"
    assert ex.execute("open('data/raw/x.bin', 'rb').read()").text == repr(b"\0\1")
    ex.upload(b"", "data/empty")
    assert (ex.workdir / "data" / "empty").read_bytes() == b""


def test_what_has_the_name_is_replaced(ex: Executor, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (ex.workdir / "link").symlink_to(outside)
    ex.upload(b"new", "link")
    assert not (ex.workdir / "link").is_symlink()
    assert outside.read_text() == "mine"


def test_a_directory_goes_in_and_comes_out(ex: Executor, tmp_path: Path) -> None:
    source = tmp_path / "data"
    (source / "deep" / "empty").mkdir(parents=True)
    (source / "deep" / "one").write_text("1")
    (source / "two").write_text("2")
    (source / "linked").symlink_to(source / "two")
    assert ex.upload(source, "in") == "in"
    assert ex.execute("import os; sorted(os.listdir('in')), os.listdir('in/deep/empty')").text == (
        "(['deep', 'linked', 'two'], [])"
    )
    out = ex.download("in", tmp_path / "out")
    assert out == tmp_path / "out"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == [
        *("deep", "deep/empty", "deep/one", "linked", "two")
    ]
    assert (out / "linked").read_text() == "2"


def test_an_artifact_comes_out(ex: Executor, tmp_path: Path) -> None:
    result = ex.execute("_ = open('result.txt', 'w').write('42')")
    assert ex.download(result.artifacts[0].path, tmp_path) == tmp_path / "result.txt"
    assert (tmp_path / "result.txt").read_text() == "42"


def test_an_upload_is_no_artifact(fresh: Callable[..., Executor]) -> None:
    executor = fresh()
    executor.upload(b"one", "a")
    executor.upload(b"one", "b")
    executor.upload(b"one", "c/d")
    result = executor.execute("_ = open('a', 'w').write('other')")
    assert [(artifact.path.name, artifact.change) for artifact in result.artifacts] == [("a", "modified")]
    executor.upload(b"again", "a")
    assert executor.execute("1").artifacts == []
    result = executor.execute("import os; os.remove('c/d')")
    assert [(artifact.path.name, artifact.change) for artifact in result.artifacts] == [("d", "deleted")]


def test_an_upload_is_recorded(fresh: Callable[..., Executor]) -> None:
    executor = fresh()
    executor.upload(b"one", "a")
    executor.execute("1")
    notebook = nbformat.read(executor.notebook_path, 4)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"]
    assert notebook.cells[0].metadata["kernel_exec"] == {
        "event": "upload",
        "path": "a",
        "files": 1,
        "size": 3,
        "sha256": hashlib.sha256(b"one").hexdigest(),
    }


def test_files_travel_while_a_cell_runs(ex: Executor, tmp_path: Path) -> None:
    code = "import time\nopen('begun', 'w').close()\nwhile not os.path.exists('go'): time.sleep(0.01)\n'went'"
    ex.execute("import os")
    running = ex.submit(code)
    while not (ex.workdir / "begun").exists():
        threading.Event().wait(0.01)
    ex.download("begun", tmp_path / "begun")
    assert not running.done
    ex.upload(b"", "go")
    result = running.result(20)
    assert result.text.startswith("'went'")
    assert [artifact.path.name for artifact in result.artifacts] == ["begun"]


HOSTILE = """
import os, socket
os.mkdir('trap')
os.symlink(TARGET, 'trap/link')
os.mkfifo('trap/fifo')
socket.socket(socket.AF_UNIX).bind('trap/socket')
open('trap/good\\nname', 'w').write('good')
os.symlink(os.path.dirname(TARGET), 'dir')
open('huge', 'w').truncate(1 << 40)
"""


@pytest.fixture(scope="module")
def trapped(ex: Executor, tmp_path_factory: pytest.TempPathFactory) -> Executor:
    secret = tmp_path_factory.mktemp("secret") / "secret"
    secret.write_text("secret")
    ex.execute(f"TARGET = {str(secret)!r}\n{HOSTILE}").raise_for_error()
    return ex


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("trap/link", "no regular file"),
        ("trap/fifo", "no regular file"),
        ("trap/socket", "no regular file"),
        ("dir/secret", "not followed"),
        ("dir", "no regular file"),
        ("huge", r"limits\.artifact_bytes"),
        ("nothing", "No such file"),
        ("trap/good\nname/more", "not followed"),
    ],
)
def test_what_does_not_come_out(trapped: Executor, tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(TransferError, match=reason):
        trapped.download(name, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_rest_of_a_directory_comes_out(trapped: Executor, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"'trap/fifo'.*'trap/link'.*'trap/socket'"):
        trapped.download("trap", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good\nname"]


def test_nothing_goes_in_through_a_link(trapped: Executor) -> None:
    with pytest.raises(TransferError, match="not followed"):
        trapped.upload(b"x", "dir/secret")
    with pytest.raises(TransferError, match="Is a directory"):
        trapped.upload(b"x", "trap")
    assert trapped.execute("open(TARGET).read()").text == "'secret'"


def test_a_limit_holds_for_all_that_comes_out(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    executor = fresh(limits=Limits(artifact_bytes=1000))
    executor.execute("import os; os.mkdir('d')\nfor name in 'ab': open('d/' + name, 'wb').write(bytes(600))")
    with pytest.raises(TransferError, match="'d/b' has 600 bytes"):
        executor.download("d", tmp_path / "out")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a\0b"])
def test_names_that_lead_elsewhere(ex: Executor, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument):
        ex.upload(b"x", name)
    with pytest.raises(InvalidArgument):
        ex.download(name, tmp_path)


def test_arguments_of_a_wrong_type(ex: Executor, tmp_path: Path) -> None:
    with pytest.raises(WrongType):
        ex.upload(5, "x")  # type: ignore[arg-type]
    with pytest.raises(WrongType):
        ex.upload(b"x")
    with pytest.raises(WrongType):
        ex.download("x", None)  # type: ignore[arg-type]


def test_sources_that_cannot_be_sent(ex: Executor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "up").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, reason in {
            "fifo": "no regular file",
            "socket": "no regular file",
            "missing": "No such file",
            "dir": "link to a directory",
        }.items():
            with pytest.raises(TransferError, match=reason):
                ex.upload(tmp_path / name, "sent")
    assert not (ex.workdir / "sent").is_file()


def test_nothing_comes_out_into_the_work_directory(ex: Executor) -> None:
    ex.upload(b"x", "inside")
    with pytest.raises(TransferError, match="work directory itself"):
        ex.download("inside", ex.workdir / "copy")


def test_what_cannot_be_read_leaves_what_was_there(ex: Executor, tmp_path: Path) -> None:
    ex.upload(bytes(1000), "large")
    with pytest.raises(TransferError, match="no regular file"):
        ex.upload("/dev/full", "large")
    assert (ex.workdir / "large").read_bytes() == bytes(1000)


def test_a_file_of_the_host_is_replaced_in_one_step(ex: Executor, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("before")
    with target.open() as before:
        ex.upload(bytes(1000), "large")
        ex.download("large", target)
        assert before.read() == "before"
    assert target.read_bytes() == bytes(1000)


def test_a_directory_that_is_not_there_is_no_target(ex: Executor, tmp_path: Path) -> None:
    ex.upload(b"x", "a")
    with pytest.raises(InvalidArgument, match="make it first"):
        ex.download("a", f"{tmp_path}/new/")
    assert not (tmp_path / "new").exists()

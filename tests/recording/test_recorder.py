"""What is written, where, and who may write it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.errors import RecordingError
from kernel_exec.recording import Recorder, markdown_cell
from kernel_exec.recording.store import hidden_name
from tests.recording.conftest import METADATA, a_cell, descriptors, ids, read


def recorded(path: Path, *names: str) -> Recorder:
    recorder = Recorder(path)
    recorder.open(METADATA)
    for name in names:
        recorder.write(a_cell(name))
    return recorder


def test_a_notebook_is_there_before_the_first_cell(recorder: Recorder) -> None:
    assert read(recorder.path).metadata == METADATA
    assert ids(recorder.path) == []


def test_each_cell_is_on_disk_when_write_returns(recorder: Recorder) -> None:
    for number in range(20):
        recorder.write(a_cell(f"c{number}"))
        assert ids(recorder.path) == [f"c{n}" for n in range(number + 1)]


def test_a_cell_written_again_replaces_the_first(recorder: Recorder) -> None:
    for name in "abcd":
        recorder.write(a_cell(name))
    for name, text in (("d", "longer than before\n"), ("a", "x"), ("b", "y\n" * 1000), ("b", "")):
        recorder.write(a_cell(name, text))
        cell = next(cell for cell in read(recorder.path).cells if cell["id"] == name)
        assert cell.outputs[0].text == text
        assert ids(recorder.path) == list("abcd")


def test_cells_of_all_kinds_and_sizes(recorder: Recorder) -> None:
    recorder.write(markdown_cell("text", "# Title"))
    recorder.write(a_cell("large", "x" * 5_000_000))
    recorder.write(a_cell("small"))
    recorder.write(a_cell("text", "was Markdown, is code"))
    assert ids(recorder.path) == ["text", "large", "small"]


def test_metadata_may_change_between_cells(recorder: Recorder) -> None:
    recorder.write(a_cell("a"))
    recorder.set_metadata({**METADATA, "kernel_exec": {"restarts": 1}})
    assert read(recorder.path).metadata["kernel_exec"] == {"restarts": 1}
    recorder.write(a_cell("b"))
    assert read(recorder.path).metadata["kernel_exec"] == {"restarts": 1}


def test_close_leaves_the_notebook_and_nothing_else(tmp_path: Path) -> None:
    before = descriptors()
    told: list[Path] = []
    recorder = Recorder(tmp_path / "a.ipynb", on_hidden=told.append)
    recorder.open(METADATA)
    recorder.write(a_cell("a"))
    recorder.write(a_cell("b"))
    assert set(told) == set(tmp_path.iterdir()) - {recorder.path}
    recorder.close()
    recorder.close()
    assert os.listdir(tmp_path) == ["a.ipynb"]
    assert descriptors() == before
    with pytest.raises(RecordingError, match="closed"):
        recorder.write(a_cell("c"))


@pytest.mark.parametrize(
    "name",
    [
        "with space.ipynb",
        "grüße 😀 мир.ipynb",
        "a'\"$`\\.ipynb",
        "no suffix",
        "é" * 124 + ".ipynb",
        "x" * 255,
    ],
)
def test_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    recorder = recorded(path, "a", "b")
    assert ids(path) == ["a", "b"]
    recorder.close()
    recorded(path, "c").close()  # the older one is moved aside, under a name that fits, too
    assert ids(path) == ["c"]
    (older,) = (other for other in tmp_path.iterdir() if other != path)
    assert ids(older) == ["a", "b"]


def test_a_name_of_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"latin-\xe9.ipynb")
    recorded(path, "a", "b").close()
    assert ids(path) == ["a", "b"]


def test_two_hidden_names_of_long_names_differ() -> None:
    assert hidden_name("x" * 254 + "a") != hidden_name("x" * 254 + "b")


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "a.ipynb"
    recorded(path, "a").close()
    assert ids(path) == ["a"]


def test_a_relative_path_means_the_directory_of_that_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = Recorder(Path("a.ipynb"))
    monkeypatch.chdir("/")
    recorder.open(METADATA)
    recorder.close()
    assert recorder.path == tmp_path / "a.ipynb"
    assert ids(tmp_path / "a.ipynb") == []


def test_an_older_file_is_kept_under_the_first_free_number(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    for name in "abc":
        recorded(path, name).close()
    assert {file.name: ids(file) for file in tmp_path.iterdir()} == {
        "a.ipynb": ["c"],
        "a-1.ipynb": ["a"],
        "a-2.ipynb": ["b"],
    }


def test_an_empty_file_is_no_work_to_keep(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.touch(0o640)
    path.chmod(0o640)
    recorded(path, "a").close()
    assert os.listdir(tmp_path) == ["a.ipynb"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def make_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [make_directory, os.mkfifo])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "a.ipynb")
    with pytest.raises(RecordingError, match="no file"):
        Recorder(tmp_path / "a.ipynb").open(METADATA)


def test_a_symbolic_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "here.ipynb"
    link.symlink_to("there/target.ipynb")
    recorder = recorded(link, "a", "b")
    assert recorder.path == link
    assert link.is_symlink()
    assert ids(tmp_path / "there" / "target.ipynb") == ["a", "b"]
    assert {file.name for file in tmp_path.iterdir()} == {"there", "here.ipynb"}
    recorder.close()


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").symlink_to("b.ipynb")
    (tmp_path / "b.ipynb").symlink_to("a.ipynb")
    with pytest.raises(RecordingError):
        Recorder(tmp_path / "a.ipynb").open(METADATA)


def test_two_recorders_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "other").symlink_to("real")
    (tmp_path / "link.ipynb").symlink_to("real/a.ipynb")
    first = recorded(tmp_path / "real" / "a.ipynb", "a")
    for path in (tmp_path / "real" / "a.ipynb", tmp_path / "other" / "a.ipynb", tmp_path / "link.ipynb"):
        with pytest.raises(RecordingError, match="another executor"):
            Recorder(path).open(METADATA)
    recorded(tmp_path / "real" / "b.ipynb").close()
    assert ids(first.path) == ["a"]
    first.close()
    recorded(tmp_path / "real" / "a.ipynb").close()


OPEN_AND_WAIT = """
import sys
from pathlib import Path
from kernel_exec.recording import Recorder
recorder = Recorder(Path(sys.argv[1]))
recorder.open({})
print("open", flush=True)
sys.stdin.read()
"""


def test_a_recorder_in_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    command = [sys.executable, "-c", OPEN_AND_WAIT, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(RecordingError, match="another executor"):
            Recorder(path).open(METADATA)
        other.kill()
    recorded(path, "a").close()
    assert ids(path) == ["a"]
    assert not path.with_name(hidden_name(path.name)).exists()


FORKED = """
import os, sys
from pathlib import Path
from kernel_exec.recording import Recorder
first = Recorder(Path(sys.argv[1]))
first.open({})
wait, go = os.pipe()
there, ready = os.pipe()
child = os.fork()
if child == 0:
    os.close(go)
    os.write(ready, b"x")
    os.read(wait, 1)
    os._exit(0)
os.read(there, 1)
first.close()
second = Recorder(Path(sys.argv[1]))
second.open({})
second.close()
os.close(go)
os.waitpid(child, 0)
"""


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKED, str(tmp_path / "a.ipynb")]
    subprocess.run(command, check=True, timeout=60)


def test_permissions_are_those_of_any_new_file_and_stay_as_somebody_sets_them(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    recorder = recorded(tmp_path / "a.ipynb", "a", "b")
    assert recorder.path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    recorder.path.chmod(0o600)
    for name in "cde":
        recorder.write(a_cell(name))
        assert stat.S_IMODE(recorder.path.stat().st_mode) == 0o600
    recorder.close()


def test_the_owner_stays_as_somebody_sets_it(recorder: Recorder) -> None:
    group = os.getgroups()[-1] if os.geteuid() else 1234  # root may give it to anybody
    os.chown(recorder.path, -1, group)
    for name in "abc":
        recorder.write(a_cell(name))
        assert recorder.path.stat().st_gid == group


def test_another_name_of_the_file_keeps_what_it_had(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write(a_cell("a"))
    os.link(recorder.path, tmp_path / "backup.ipynb")
    for name in "bcd":
        recorder.write(a_cell(name))
    assert ids(tmp_path / "backup.ipynb") == ["a"]
    assert ids(recorder.path) == list("abcd")


def test_memory_does_not_grow_with_the_session(recorder: Recorder) -> None:
    def resident() -> int:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    recorder.write(a_cell("first", "x" * 1_000_000))
    before = resident()
    for number in range(60):
        recorder.write(a_cell(f"c{number}", "x" * 1_000_000))
    assert resident() - before < 20_000_000

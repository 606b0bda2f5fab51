"""Kernels are not trusted: what one that holds the key should never send is refused, counted, and told once."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from kernel_exec import DockerKernel, Executor, HostKernel
from kernel_exec.kernels import docker
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.wire import flood
from tests.growth import MIB, growth
from tests.lies import kernel as lying_kernel

pytestmark = [pytest.mark.everywhere, pytest.mark.timeout(600)]

GROWTH = 32 * MIB


@pytest.fixture(scope="module")
def liar(kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelSettings]:
    """The settings of the lying kernel. In a container it has the place of ours, as in an image that lies."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(kernel, DockerKernel):
            shutil.copytree(docker.LAUNCHER.parent, folder, dirs_exist_ok=True)
            shutil.copy(lying_kernel.__file__, folder / docker.LAUNCHER.name)
            patch.setattr(docker, "LAUNCHER", folder / docker.LAUNCHER.name)
            yield kernel
        else:
            (folder / "kernels" / "liar").mkdir(parents=True)
            argv = [sys.executable, lying_kernel.__file__, "-f", "{connection_file}"]
            spec = {"argv": argv, "display_name": "L", "language": "x"}
            (folder / "kernels" / "liar" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
            patch.setenv("JUPYTER_PATH", str(folder))
            yield HostKernel(kernel_name="liar")


@pytest.fixture(scope="module")
def ex(liar: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One executor for all lies that a kernel survives."""
    with Executor(liar, workdir=tmp_path_factory.mktemp("work"), timeout=600) as executor:
        yield executor


REFUSED = {
    "bad_signatures": ("3 messages", "its signature is wrong (3)"),
    "broken_json": (
        "9 messages",
        "not JSON (JSONDecodeError)",
        "nested too deeply",
        "(RecursionError)",
        "(ValueError)",
    ),
    "no_frames": ("5 messages", "no delimiter", "too few frames, or too many"),
    "missing_fields": ("11 messages", "no valid 'msg_type'", "no valid 'msg_id'", "no valid name and text"),
    "wrong_types": ("messages of the kernel were refused", "a status message has no state", "input_request"),
    "unknown_types": ("1,003 messages", "its type is unknown"),
    "no_base64": ("2 messages", "a picture is not base64"),
    "strangers": ("5,000 messages", "not known here"),
    "replies_for_others": ("6 messages", "not known here"),
    "many_replies": ("5 messages", "answered already"),
    "endless_updates": ("5,000 messages", "a display that is not there"),
    "endless_widgets": ("messages", "more than is kept"),
    "long_names": ("6 messages", "too many MIME types", "display id", "header has no valid"),
}


@pytest.mark.parametrize("lie", REFUSED)
def test_what_is_refused_is_told_once_and_counted(ex: Executor, lie: str) -> None:
    before = sum(ex.metrics.refused.values())
    result = ex.execute(lie)
    assert result.status == "ok"
    assert f"said {lie}" in result.stdout
    (note,) = [note for note in result.notes if "refused" in note]
    for words in REFUSED[lie]:
        assert words in note
    assert len(note) < 1000
    assert sum(ex.metrics.refused.values()) > before
    after = ex.execute("honest")
    assert (after.text, after.notes) == ("said honest", ())
    assert_valid(ex)


@pytest.mark.long
@pytest.mark.host_only("what comes out of a container is read in the same way, and this takes half a minute")
def test_endless_displays_are_cut_and_told_and_pile_up_nowhere(ex: Executor) -> None:
    ex.execute("honest")
    # They come faster than they can be read, and tens of thousands may wait in zmq: other kernels would drop them.
    grown = growth(lambda: ex.execute("endless_displays"))
    assert grown.bytes < GROWTH + 100 * MIB
    result = grown.result
    assert result.truncated
    assert any("displays were left out" in note for note in result.notes)
    assert len(result.outputs) < 35_000
    assert ex.execute("honest").text == "said honest"


@pytest.mark.everywhere(soon=True)
def test_what_is_kept_of_a_picture_that_is_none(ex: Executor) -> None:
    result = ex.execute("no_base64")
    assert [output["data"] for output in result.outputs if "data" in output] == [{"text/plain": "a chart"}]
    assert result.images == []


@pytest.mark.everywhere(soon=True)
def test_no_file_is_taken_by_a_name_that_the_kernel_tells(ex: Executor) -> None:
    ex.execute("lies_about_cuts")
    files = [path for path in ex.workdir.rglob("*") if path.is_file()]
    assert all(b"root:" not in path.read_bytes() for path in files)
    assert {path.name.rpartition(".")[2] for path in files} <= {"ipynb", "kernel_exec", "txt"}


def test_questions_pile_up_nowhere(liar: KernelSettings, tmp_path: Path) -> None:
    with Executor(liar, workdir=tmp_path, timeout=60) as ex:
        asked: list[int] = []

        def answer(prompt: str, _: bool) -> str:
            asked.append(len(prompt))
            return ""

        result = ex.execute("endless_questions", on_input=answer)
        assert result.ok
        assert max(asked) < 20_000
        (note,) = result.notes
        assert "asks for more input" in note
        assert ex.execute("honest").ok
        assert ex.execute("endless_questions").ok


@pytest.mark.parametrize("lie", ["gigabyte", "gigabyte_reply", "closes_iopub"])
def test_a_connection_that_is_cut_ends_the_cell(liar: KernelSettings, tmp_path: Path, lie: str) -> None:
    """There is no deadline: without the news of its end the cell would wait for ever."""
    with Executor(liar, workdir=tmp_path, timeout=None) as ex:
        grown = growth(lambda: ex.submit(lie).result(timeout=30))
        assert grown.result.status == "died"
        assert "closed a channel, or sent a message of more than 768 MiB" in str(grown.result.error)
        assert not grown.result.state_preserved
        assert grown.bytes < GROWTH
        assert ex.execute("honest").text == "said honest"
        assert ex.metrics.kernels == 2
        assert ex.metrics.cells == {"died": 1, "ok": 1}
        assert_valid(ex)


def test_a_flood_is_read_as_fast_as_it_comes(ex: Executor) -> None:
    least = flood.MAX_GROWTH // 2
    for _ in range(3):  # of three gigabytes some messages wait, and more while this thread has no processor
        grown = growth(lambda: ex.execute("flood"))
        assert grown.bytes < flood.MAX_GROWTH // 2
        assert grown.result.notes == ("150 messages of the kernel were refused: it has no delimiter (150)",)
        if (least := min(least, grown.bytes)) < 5 * GROWTH:
            break
    assert least < 5 * GROWTH


def test_a_flood_that_cannot_be_read_ends_its_kernel(
    liar: KernelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Executor(liar, workdir=tmp_path, timeout=None) as ex:
        ex.execute("honest")
        monkeypatch.setattr(flood, "MAX_GROWTH", -1)  # as if this process had grown by more than it may
        result = ex.submit("endless_displays").result(timeout=60)
        monkeypatch.undo()
        assert result.status == "died"
        assert "more than can be read" in str(result.error)
        assert ex.execute("honest").text == "said honest"


@pytest.mark.parametrize("lie", ["no_reply", "no_idle"])
def test_a_cell_that_never_ends_ends_at_its_deadline(liar: KernelSettings, tmp_path: Path, lie: str) -> None:
    with Executor(liar, workdir=tmp_path, timeout=1) as ex:
        result = ex.execute(lie)
        assert result.status == "timeout"
        assert ex.execute("honest", timeout=60).text == "said honest"


@pytest.mark.long
@pytest.mark.host_only("what comes out of a container is read in the same way, and looking takes a minute")
@pytest.mark.parametrize("lie", [*REFUSED, "endless_questions"])
def test_no_lie_makes_this_process_grow(ex: Executor, lie: str) -> None:
    ex.execute("honest")
    waits = {"endless_updates": 30 * MIB, "endless_widgets": 40 * MIB}.get(lie, 0)  # while this thread has no processor
    assert growth(lambda: ex.execute(lie)).bytes < GROWTH + waits


def assert_valid(ex: Executor) -> None:
    assert ex.notebook_path is not None
    text = ex.notebook_path.read_text(encoding="utf-8")
    json.loads(text, parse_constant=pytest.fail)
    nbformat.validate(nbformat.reads(text, as_version=4))  # type: ignore[no-untyped-call]

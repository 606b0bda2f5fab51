"""What a cell may put out: cut where it is made, told, and whole in a file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernel_exec import Executor, InvalidArgument, Limits, WrongType
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import ended_by_its_deadline, wait_until

pytestmark = pytest.mark.everywhere

SMALL = Limits(text=2_000, output_bytes=20_000, image_bytes=50_000, artifact_bytes=1_000_000)
FILE = re.compile(r"in (/\S+?)(?: \.\.\.|\])")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module", params=["ours", "stock"])
def ex(request: pytest.FixtureRequest, home: Path, kernel: KernelSettings, stock: KernelSettings) -> Iterator[Executor]:
    with Executor(
        stock if request.param == "stock" else kernel, workdir=home / request.param, limits=SMALL
    ) as executor:
        yield executor


def file_in(text: str) -> str:
    """What is in the file that a text names."""
    found = FILE.search(text)
    assert found, text
    return Path(found[1]).read_text(encoding="utf-8")


def test_one_long_print(ex: Executor) -> None:
    result = ex.execute("print('head' + 'x' * 300_000 + 'tail')")
    assert result.ok
    assert result.truncated
    whole = "head" + "x" * 300_000 + "tail\n"
    assert result.stdout.startswith("head")
    assert result.stdout.endswith("tail\n")
    assert len(result.stdout) <= 20_000 + 1024
    assert len(result.text) <= 2_000
    assert file_in(result.stdout) == file_in(result.text) == whole
    assert "limits.output_bytes" in result.notes[0]
    notebook = nbformat.read(ex.notebook_path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[-1].outputs[0].text == result.stdout


def test_many_prints_on_both_streams(ex: Executor) -> None:
    result = ex.execute(
        "import sys\nfor i in range(5000):\n    print(f'out {i}')\n    print(f'err {i}', file=sys.stderr)"
    )
    for name, text in (("out", result.stdout), ("err", result.stderr)):
        assert file_in(text) == "".join(f"{name} {i}\n" for i in range(5000))
    assert result.stderr.endswith("err 4999\n")


def test_what_fits_is_whole(ex: Executor) -> None:
    result = ex.execute("for i in range(1_800): print(f'{i:>9}')")
    assert result.stdout == "".join(f"{i:>9}\n" for i in range(1_800))
    assert not result.truncated
    assert file_in(result.text) == result.stdout.rstrip("\n")
    assert result.text.startswith("        0\n")
    assert result.text.endswith("     1799")


def test_text_that_is_no_ascii(ex: Executor) -> None:
    result = ex.execute("print('é€𝄞' * 20_000)")
    assert file_in(result.stdout) == "é€𝄞" * 20_000 + "\n"
    assert "\ufffd" not in result.stdout
    assert len(result.stdout.encode()) <= 20_000 + 1024


def test_a_huge_display(ex: Executor) -> None:
    result = ex.execute("from IPython.display import HTML, display\ndisplay(HTML('<p>' * 100_000))\n1")
    assert file_in(result.outputs[0]["data"]["text/plain"]) == "<p>" * 100_000
    assert "text/html" not in result.outputs[0]["data"]
    assert result.outputs[1]["data"] == {"text/plain": "1"}
    assert result.truncated


def test_endless_displays(ex: Executor) -> None:
    # A stock kernel drops what is more than 1000 messages behind.
    result = ex.execute("for i in range(900): display(i)")
    assert result.outputs[0]["data"] == {"text/plain": "0"}
    assert len(result.outputs) < 200
    assert re.search(r"7\d\d displays were left out", " ".join(result.notes))


def test_pictures_beyond_their_limit(ex: Executor) -> None:
    code = "from IPython.display import Image, display\nimport os\n"
    code += (
        "png = bytes.fromhex('89504e470d0a1a0a') + bytes(15_000)\nfor i in range(4): display(Image(png, format='png'))"
    )
    result = ex.execute(code)
    assert [len(image.data) for image in result.images] == [15_008] * 3
    assert len(result.outputs) == 4
    assert "image/png" in " ".join(result.notes)


def test_endless_pictures_take_neither_descriptors_nor_disk(ex: Executor) -> None:
    count = "len(os.listdir('/proc/self/fd'))"
    code = "from IPython.display import Image, display\nimport os\n"
    code += "png = bytes.fromhex('89504e470d0a1a0a') + bytes(60_000)\n"
    code += f"for i in range(140): display(Image(png, format='png'))\nprint({count})"
    before = int(ex.execute(code).stdout)
    result = ex.execute(code)
    assert int(result.stdout) <= before + 2
    assert not result.images
    files = {
        Path(path) for path in FILE.findall(" ".join(o["data"]["text/plain"] for o in result.outputs if "data" in o))
    }
    assert 0 < sum(path.stat().st_size for path in files) <= SMALL.artifact_bytes
    assert len(files) <= 100


def test_who_follows_sees_where_something_was_left_out(kernel: KernelSettings, tmp_path: Path) -> None:
    seen: list[str] = []
    with Executor(kernel, workdir=tmp_path, limits=SMALL) as executor:
        executor.execute("print('x' * 300_000)\nprint('end')", on_output=lambda output: seen.append(output["text"]))
    assert "bytes of stdout left out" in "".join(seen)
    assert "".join(seen).endswith("end\n")


def test_descriptors_have_the_same_limit(kernel: KernelSettings, tmp_path: Path) -> None:
    with Executor(kernel, workdir=tmp_path, limits=SMALL) as executor:
        result = executor.execute("import os\nn = os.system('seq 50000')")
        assert file_in(result.stdout) == "".join(f"{i}\n" for i in range(1, 50_001))
        assert len(result.stdout) <= 20_000 + 1024


def test_late_text_has_the_room_that_its_cell_left(kernel: KernelSettings, tmp_path: Path) -> None:
    code = "import threading, time\ndef late():\n    while 'go' not in globals(): time.sleep(0.01)\n    print('late')\n"
    code += "threading.Thread(target=late).start()\nprint('x' * 15_000)"

    def text() -> object:
        return nbformat.read(tmp_path / "session.ipynb", as_version=4).cells[0].outputs[0].text

    with Executor(kernel, workdir=tmp_path, limits=SMALL) as executor:
        executor.execute(code)
        assert text() == "x" * 15_000 + "\n"
        executor.put("go", 1)  # no cell, which would push the text out
        assert wait_until(lambda: text() == "x" * 15_000 + "\nlate\n")


def test_a_text_limit_with_room_for_nothing(kernel: KernelSettings, tmp_path: Path) -> None:
    with Executor(kernel, workdir=tmp_path, limits=Limits(text=100)) as executor:
        text = executor.execute("print('x' * 1_000)").text
    assert len(text) <= 100
    assert text.endswith("cell-1-text.txt ...]\n")


def test_a_huge_error(ex: Executor) -> None:
    result = ex.execute("raise ValueError('v' * 500_000)")
    assert (result.status, result.error and result.error.name) == ("error", "ValueError")
    assert sum(len(output.get("evalue", "")) for output in result.outputs) < 20_000
    assert result.truncated


def test_the_next_cell_has_its_own_budget(ex: Executor) -> None:
    ex.execute("print('x' * 300_000)")
    result = ex.execute("print('fine')")
    assert (result.stdout, result.truncated, result.notes) == ("fine\n", False, ())


@pytest.mark.usefixtures("patient")
def test_an_endless_print_with_a_deadline(ex: Executor) -> None:
    # More than is kept, whatever the machine's speed.
    code = "i = 0\nwhile True:\n    print(i)\n    i += 1\n    if i == 6_000: open('far', 'w').close()"
    result = ended_by_its_deadline(ex, code, 1, (ex.workdir / "far").exists)
    assert result.status == "timeout"
    assert result.state_preserved
    last = ex.execute("i").text
    # The cell may have been interrupted between counting and printing.
    assert abs(int(result.stdout.split("\n")[-2]) - int(last)) <= 1
    whole = file_in(result.stdout)
    assert whole.startswith("0\n1\n2\n")


@pytest.mark.parametrize("code", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_the_end_of_a_long_text_survives_a_death(kernel: KernelSettings, tmp_path: Path, code: str) -> None:
    with Executor(kernel, workdir=tmp_path, limits=SMALL) as executor:
        result = executor.execute(f"import os\nfor i in range(50_000): print(i)\n{code}")
        assert result.status == "died"
        assert result.stdout.endswith("49999\n")
        assert file_in(result.stdout) == "".join(f"{i}\n" for i in range(50_000))
        # Less than the limit, and more than its half: nothing is cut.
        result = executor.execute(f"import os\nfor i in range(2_500): print(i)\n{code}")
        assert result.status == "died"
        assert executor.execute(f"import os\nfor i in range(2_500): print(i)\n{code}").stdout == "".join(
            f"{i}\n" for i in range(2_500)
        )


@pytest.mark.parametrize("code", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_displays_that_were_left_out_are_told_after_a_death(kernel: KernelSettings, tmp_path: Path, code: str) -> None:
    with Executor(kernel, workdir=tmp_path, limits=SMALL) as executor:
        executor.execute("for i in range(1000): display(i)")  # of which the next cell knows nothing
        result = executor.execute(f"import os\nfor i in range(1000): display(i)\n{code}")
        assert result.status == "died"
        assert result.truncated
        (note,) = (note for note in result.notes if "displays were left out" in note)
        assert int(note.split()[0].replace(",", "")) == 1000 - sum("data" in output for output in result.outputs)
        result = executor.execute(f"import os\ndisplay(1)\n{code}")
        assert (result.status, result.truncated) == ("died", False)


def test_a_file_of_what_was_cut_has_a_limit_too(kernel: KernelSettings, tmp_path: Path) -> None:
    with Executor(kernel, workdir=tmp_path, limits=Limits(output_bytes=1_000, artifact_bytes=5_000)) as executor:
        result = executor.execute("print('x' * 100_000)")
        assert file_in(result.stdout) == "x" * 5_000
        assert any("holds only the first 5,000 bytes" in note for note in result.notes)


@pytest.mark.everywhere(soon=True)
def test_a_kernel_that_swaps_the_file_for_a_link(kernel: KernelSettings, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    code = f"""
import os, sys
sys.stdout.write('x' * 100_000); sys.stdout.flush()
directory = os.environ['KERNEL_EXEC_DIRECTORY']
for name in ('cut.stdout', 'sent.stdout'):
    path = os.path.join(directory, name)
    if os.path.exists(path): os.unlink(path)
    os.symlink({str(secret)!r}, path)
"""
    with Executor(kernel, workdir=tmp_path / "work", limits=SMALL) as executor:
        result = executor.execute(code)
        assert "secret" not in file_in(result.stdout)
        assert any("is not whole" in note for note in result.notes)
        assert executor.execute("1 + 1").text == "2"


@pytest.mark.parametrize(
    "bad",
    [
        {"text": 1},
        {"output_bytes": 10},
        {"output_bytes": None},
        {"memory": 1},
        {"cpus": 0},
        {"cpus": float("nan")},
        {"cpus": "many"},
    ],
)
def test_limits_that_cannot_work(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Limits(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"text": "1"}, {"memory": 1e9}, {"pids": True}])
def test_limits_of_a_wrong_type(bad: dict[str, object]) -> None:
    with pytest.raises(WrongType):
        Limits(**bad)  # type: ignore[arg-type]
    with pytest.raises(WrongType, match="limits must be"):
        Executor(limits={"text": 5})  # type: ignore[arg-type]

"""`kernel-exec replay` and `resume`, as programs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kernel_exec import Executor
from kernel_exec.cli import values as status
from tests.cli.conftest import PATIENCE, PROGRAM, Terminal
from tests.replays.notebooks import code, read, write


def kx(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_one_notebook(tmp_path: Path) -> None:
    write(tmp_path / "n.ipynb", code("a = 1", "parameters"), "print(a)")
    done = kx(tmp_path, "replay", "n.ipynb", "-p", "a=[2]", "-o", "out.ipynb")
    assert (done.returncode, done.stderr) == (status.OK, "")
    assert "3 cells ran; recorded in" in done.stdout
    assert read(tmp_path / "out.ipynb").cells[2].outputs[0].text == "[2]\n"


@pytest.mark.long
def test_several(tmp_path: Path) -> None:
    for name, source in (("good", "1"), ("bad", "1/0"), ("slow", "while True: pass")):
        write(tmp_path / f"{name}.ipynb", source)
    (tmp_path / "broken.ipynb").write_text("{")
    names = [f"{name}.ipynb" for name in ("good", "slow", "bad", "broken")]
    done = kx(tmp_path, "replay", *names, "-o", "made", "--timeout", "5", "-j", "4", "--json")
    assert done.returncode == status.TIMEOUT
    found = json.loads(done.stdout)
    assert [one["notebook"] for one in found] == [str(tmp_path / name) for name in names[:3]] + ["broken.ipynb"]
    assert [one["ok"] for one in found] == [True, False, False, False]
    assert found[2]["cells"][0]["error"] == "ZeroDivisionError: division by zero"
    assert found[3]["error"]["name"] == "NotebookError"
    assert sorted(path.name for path in (tmp_path / "made").glob("*.ipynb")) == [
        "bad.ipynb",
        "good.ipynb",
        "slow.ipynb",
    ]
    done = kx(tmp_path, "replay", "good.ipynb", "bad.ipynb")
    assert done.returncode == status.ERROR
    assert done.stdout.endswith("1 of 2 notebooks ran as they should\n")
    assert "cell 0: ZeroDivisionError: division by zero" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["none.ipynb"], status.USAGE),
        (["n.ipynb", "--until", "7"], status.USAGE),
        (["n.ipynb", "--kernel", "no-such"], status.CANNOT),
        (["n.ipynb", "-j", "0"], status.USAGE),
        (["n.ipynb", "--kernel", "python3", "--docker"], status.USAGE),
        (["n.ipynb", "-o", "n.ipynb"], status.USAGE),
        (["n.ipynb", "./n.ipynb"], status.USAGE),
        (["n.ipynb", "other/n.ipynb", "-o", "out"], status.USAGE),
    ],
)
def test_what_cannot_be(tmp_path: Path, arguments: list[str], code: int) -> None:
    write(tmp_path / "n.ipynb", "1")
    done = kx(tmp_path, "replay", *arguments)
    assert done.returncode == code
    assert done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    write(tmp_path / "n.ipynb", *map(str, range(5)))
    with Terminal(tmp_path, ["n.ipynb"], [*PROGRAM, "replay"]) as terminal:
        assert terminal.end() == status.OK
    assert "100.0%" in terminal.text
    assert "5 cells ran" in terminal.text


def test_hostile_text_does_nothing(tmp_path: Path) -> None:
    write(tmp_path / "n.ipynb", "raise ValueError('\\x1b]0;title\\x07')")
    done = kx(tmp_path, "replay", "n.ipynb")
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_a_session_goes_on(tmp_path: Path) -> None:
    with Executor(workdir=tmp_path) as ex:
        ex.execute("x = 40")
    with Terminal(tmp_path, ["session.ipynb"], [*PROGRAM, "resume"]) as terminal:
        terminal.read_until("1 cells were run again")
        terminal.read_until("In [")
        terminal.type("x + 2\r")
        terminal.read_until("42")
        terminal.type("exit\r")
        assert terminal.end() == status.OK
    assert [cell.source for cell in read(tmp_path / "session.ipynb").cells][::2] == ["x = 40", "x + 2"]
    assert kx(tmp_path, "resume", "session.ipynb").returncode == status.USAGE

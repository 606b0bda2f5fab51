"""Notebooks compared with what they have recorded: the whole way, with real kernels."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kernel_exec import DockerKernel, Executor, InvalidArgument, ResultNotReady, Rules, WrongType, replay, verify
from kernel_exec.cli import values as status
from tests.compare.planted import CHANGES, HARMLESS, PRELUDE
from tests.executor.looks import wait_until
from tests.replays.notebooks import code, read, write
from tests.replays.test_commands import kx

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def session(tmp_path: Path, patient: None) -> Path:
    """The recording of a session with all that can come of cells."""
    work = tmp_path / "work"
    with Executor(workdir=work) as ex:
        ex.annotate("# Title")
        ex.execute("x = 41; print(x)")
        ex.execute("import pandas as pd; pd.DataFrame({'a': [1, 2.5]})")
        ex.execute("import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.savefig('plot.png'); plt.show()")
        ex.execute("1/0")
        ex.put("big", list(range(2000)))
        ex.execute("sum(big), object()")
        ex.execute("open('made.txt', 'w').write('content')")
        ex.execute("import os; sorted(os.listdir())")
        ex.execute("while True: pass", timeout=0.5)
        ex.restart()
        ex.execute("'x' in globals()")
    return work / "session.ipynb"


def change(path: Path, index: int, alter: Any) -> None:
    """Change what a notebook has recorded of a cell."""
    notebook = json.loads(path.read_text())
    alter(notebook["cells"][index])
    path.write_text(json.dumps(notebook))


def test_a_recording_verifies_as_equal(session: Path) -> None:
    before = {path: path.read_bytes() for path in session.parent.rglob("*") if path.is_file()}
    done = verify(session, runs=2)
    assert done.differences == []
    assert done.ok
    assert {cell.status for cell in done.cells} == {"same"}
    assert {cell.stable for cell in done.cells} == {True}
    assert (done.environment, done.notes) == ((), ())
    after = {path: path.read_bytes() for path in session.parent.rglob("*") if path.is_file()}
    assert after == before, "nothing that was recorded is touched"


def test_a_replay_verifies_as_equal(session: Path) -> None:
    fresh = session.parent.with_name("fresh")
    shutil.copytree(session.parent, fresh, ignore=shutil.ignore_patterns("plot.png", "made.txt", "session.ipynb"))
    again = replay(session, workdir=fresh, output=fresh / "session.ipynb")
    assert verify(again.notebook_path).differences == []


@pytest.mark.usefixtures("patient")
def test_what_was_interrupted_is_interrupted(tmp_path: Path) -> None:
    begun = tmp_path / "begun"  # no output and no artifact: of the replay there may be none yet when it is interrupted
    with Executor(workdir=tmp_path / "work") as ex:
        execution = ex.submit(f"open({str(begun)!r}, 'w').close()\nwhile True: pass")
        assert wait_until(begun.exists)
        with pytest.raises(ResultNotReady):
            execution.result(0.5)
        ex.interrupt()
        assert execution.result().status == "interrupted"
        ex.execute("1")
    assert verify(tmp_path / "work" / "session.ipynb").differences == []


def test_each_kind_of_difference(session: Path) -> None:
    change(session, 1, lambda cell: cell["outputs"][0].update(text=["42\n"]))
    change(session, 4, lambda cell: cell["outputs"][0].update(evalue="division by one"))

    def other_file(cell: Any) -> None:
        cell["metadata"]["kernel_exec"]["artifacts"][0]["sha256"] = "0" * 64

    change(session, 7, other_file)
    change(session, 8, lambda cell: cell.update(outputs=[]))
    done = verify(session)
    assert [(one.cell, one.kind) for one in done.differences] == [
        (1, "number"),
        (4, "error"),
        (7, "artifact"),
        (8, "extra output"),
    ]
    assert not done.ok
    assert "4 of" in str(done)


def test_what_never_gives_the_same(tmp_path: Path) -> None:
    with Executor(workdir=tmp_path) as ex:
        ex.execute("import random")
        ex.execute("random.random()")
        ex.execute("random.seed(1); random.random()")
    done = verify(tmp_path / "session.ipynb", runs=2)
    assert [cell.index for cell in done.unstable] == [1]
    assert [difference.cell for difference in done.differences] == [1]
    assert "something else each time" in str(done)
    assert verify(tmp_path / "session.ipynb").unstable == []
    for wrong, error in ((0, InvalidArgument), (1.5, WrongType)):
        with pytest.raises(error):
            verify(tmp_path / "session.ipynb", runs=wrong)  # type: ignore[arg-type]


@pytest.mark.long
def test_the_environment_explains(session: Path) -> None:
    notebook = json.loads(session.read_text())
    environment = notebook["metadata"]["kernel_exec"]["environment"]
    environment.update(python="3.9.1", locale="de_DE.UTF-8")
    environment["packages"].update(numpy="1.0", gone="2.0")
    session.write_text(json.dumps(notebook))
    done = verify(session)
    told = "\n".join(done.environment)
    assert "Python was 3.9.1 and is 3." in told
    assert "the locale was de_DE.UTF-8" in told
    assert "numpy was 1.0 and is" in told
    assert "gone was 2.0 and is not there" in told


def test_rules_of_the_project_and_of_cells(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    write(
        path,
        code("print('run', __import__('os').getpid())", outputs=[_text("run 1\n")]),
        code("print(1)", "nbval-ignore-output", outputs=[_text("2\n")]),
        code("# NBVAL_SKIP\nprint(1)", outputs=[_text("2\n")]),
        code("print(1.0)", "kernel_exec:relative=0.1", outputs=[_text("1.05\n")]),
        "print('never run when it was saved')",
    )
    (tmp_path / "pyproject.toml").write_text(
        "[tool.kernel_exec.verify]\nsanitize = [{regex = 'run \\d+', replace = 'run N'}]\n"
    )
    done = verify(path)
    assert done.differences == []
    assert [cell.status for cell in done.cells] == ["same", "same", "skipped", "same", "skipped"]
    assert len(verify(path, rules=Rules()).differences) == 1
    (tmp_path / "pyproject.toml").write_text("[tool.kernel_exec.verify]\nrelativ = 1\n")
    with pytest.raises(InvalidArgument, match="relativ"):
        verify(path)


def _text(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


@pytest.mark.long
def test_reports(session: Path, tmp_path: Path) -> None:
    change(session, 1, lambda cell: cell["outputs"][0].update(text=["<script>alert(1)</script>\x1b[31m\n"]))

    def moved(cell: Any) -> None:
        wide = "import matplotlib.pyplot as plt; plt.plot([3, 1, 2]); plt.show()"
        with Executor(workdir=tmp_path / "other", notebook=False) as ex:
            cell["outputs"] = ex.execute(wide).outputs

    change(session, 3, moved)
    done = verify(session)
    page = done.to_html(tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/png;base64,") >= 3, "old, new and what differs"
    found = json.loads(done.to_json(tmp_path / "report.json").read_text())
    assert found["ok"] is False
    assert found["cells"][2]["differences"][0]["kind"] == "image"
    suite = ET.parse(done.to_junit(tmp_path / "report.xml")).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("10", "2")
    assert len(suite.findall("testcase/failure")) == 2
    assert "\x1b" not in str(done)
    assert "/cells/0/outputs" in done.to_nbdiff()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What verify finds in recordings of which each cell has another code now, by the name of the case."""
    folder = tmp_path_factory.mktemp("planted")
    cases = [*CHANGES, *HARMLESS]
    with Executor(workdir=folder, limits=None) as ex:
        ex.execute(PRELUDE)
        for case in cases:
            ex.execute(case.before, metadata={"case": case.name})
    path = folder / "session.ipynb"
    notebook = json.loads(path.read_text())
    for cell, case in zip(notebook["cells"][1:], cases, strict=True):
        cell["source"] = case.after or case.before
    path.write_text(json.dumps(notebook))
    found: dict[str, set[str]] = {case.name: set() for case in cases}
    for one in verify(path).differences:
        found[cases[one.cell - 1].name].add(one.kind)
    return found


@pytest.mark.long
@pytest.mark.timeout(300)
def test_planted_changes_are_found_and_harmless_ones_are_not(planted: dict[str, set[str]]) -> None:
    assert {case.name for case in CHANGES if not planted[case.name]} == set()
    assert {case.name: planted[case.name] for case in HARMLESS if planted[case.name]} == {}
    assert (len(CHANGES) >= 30, len(HARMLESS) >= 30) == (True, True)


@pytest.mark.engine
def test_recorded_on_the_host_and_verified_in_a_container(engine: Any, tmp_path: Path) -> None:
    with Executor(workdir=tmp_path) as ex:
        ex.execute("import os; print(sum(range(10)))")
        ex.execute("open('made', 'w').write('x')")
    done = verify(tmp_path / "session.ipynb", kernel=DockerKernel())
    assert done.ok
    assert "where the kernel ran was host and is docker" in done.environment


@pytest.mark.parametrize("name", ["MANY", "LARGE"])
def test_a_directory_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(f"kernel_exec.replays.workdirs.{name}", 3)
    path = write(tmp_path / "n.ipynb", "1")
    for number in range(4):
        (tmp_path / str(number)).write_text("x")
    with pytest.raises(InvalidArgument, match="too much for a copy"):
        verify(path)
    assert verify(path, workdir=tmp_path).cells[0].status == "skipped"


def test_what_lies_beside_the_directory(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "far.txt").write_text("far")
    (folder / "link.txt").symlink_to("../far.txt")
    with Executor(workdir=folder) as ex:
        ex.execute("open('link.txt').read()")
        ex.execute("import pathlib; print(pathlib.Path.cwd().name, pathlib.Path.cwd())")
        ex.execute("open('../far.txt').read()")
    done = verify(folder / "session.ipynb")
    assert {difference.cell for difference in done.differences} == {2}
    assert "name a workdir" in "".join(done.notes)
    assert verify(folder / "session.ipynb", workdir=folder).ok


def test_recorded_outside_its_directory(tmp_path: Path) -> None:
    with Executor(workdir=tmp_path / "work", notebook=tmp_path / "notebooks" / "n.ipynb") as ex:
        ex.execute("1")
    done = verify(tmp_path / "notebooks" / "n.ipynb")
    assert done.ok
    (note,) = done.notes
    assert "'../work'" in note


def test_a_temporary_session_that_was_moved(tmp_path: Path) -> None:
    with Executor() as ex:
        ex.execute("import os; os.getcwd()")
        assert ex.notebook_path is not None
        shutil.copy(ex.notebook_path, tmp_path / "n.ipynb")
    assert not verify(tmp_path / "n.ipynb").differences


def test_artifacts_are_read_from_nowhere_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    work = tmp_path / "work"
    with Executor(workdir=work) as ex:
        ex.execute("open('a.txt', 'w').write('x')")

    def outside(cell: Any) -> None:
        cell["metadata"]["kernel_exec"]["artifacts"][0].update(path="../secret.txt", sha256="0" * 64)

    change(work / "session.ipynb", 0, outside)
    assert "secret\n" not in json.dumps(verify(work / "session.ipynb").as_dict())


def test_a_page_is_not_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        write(folder / "n.ipynb", code("print(1)", outputs=[_text("1\n")]))
    done = kx(tmp_path, "verify", "n.ipynb", "other/n.ipynb", "--html", "pages")
    assert done.returncode == status.USAGE
    assert "several pages would become pages/n.html" in done.stderr
    assert not (tmp_path / "pages").exists()


@pytest.mark.long
def test_the_command(session: Path, tmp_path: Path) -> None:
    done = kx(tmp_path, "verify", str(session))
    assert (done.returncode, done.stderr) == (status.OK, "")
    assert "none of 10 cells differ" in done.stdout
    write(tmp_path / "bad.ipynb", code("print(1)", outputs=[_text("2\n")]))
    (tmp_path / "broken.ipynb").write_text("{")
    names = ("bad.ipynb", "broken.ipynb", str(session))
    done = kx(tmp_path, "verify", *names, "--html", "pages", "--junit", "out/j.xml", "--json")
    assert done.returncode == status.ERROR
    assert [one["ok"] for one in json.loads(done.stdout)] == [False, False, True]
    assert sorted(os.listdir(tmp_path / "pages")) == ["bad.html", "session.html"]
    differs, broken, same = ET.parse(tmp_path / "out" / "j.xml").getroot()
    assert [suite.attrib["errors"] for suite in (differs, broken, same)] == ["0", "1", "0"]
    (error,) = broken.iter("error")
    assert (error.attrib["type"], error.text) == (
        "NotebookError",
        json.loads(done.stdout)[1]["error"]["value"],
    )
    done = kx(tmp_path, "verify", "bad.ipynb", "broken.ipynb", "--diff")
    assert "replaced" in done.stdout or "inserted" in done.stdout or "modified" in done.stdout
    assert "0 of 2 notebooks gave what they had recorded" in done.stdout
    assert kx(tmp_path, "verify", "broken.ipynb").returncode == status.USAGE
    assert kx(tmp_path, "verify", "bad.ipynb", "--runs", "0").returncode == status.USAGE


def test_the_plugin_of_pytest(session: Path, tmp_path: Path) -> None:
    books = tmp_path / "books"
    books.mkdir()
    write(books / "bad.ipynb", code("print(1)", outputs=[_text("2\n")]), code("x = 1", "skip-execution"))
    (books / "broken.ipynb").write_text("{")
    done = _pytest(tmp_path, "--kernel-exec", str(session), "books", "--continue-on-collection-errors")
    assert "10 passed, 1 skipped, 1 error" in done.replace("1 failed, ", ""), done
    assert "broken.ipynb': it is no notebook" in done
    assert "2 -> 1" in done
    assert "Traceback" not in done


@pytest.mark.long
def test_pages_of_notebooks_of_one_name(tmp_path: Path) -> None:
    books = [tmp_path / "books" / name / "n.ipynb" for name in ("a", "b")]
    for path in books:
        path.parent.mkdir(parents=True)
        write(path, code("x = 1", "skip-execution"))
    _pytest(tmp_path, "--kernel-exec", "books", "--kernel-exec-html", "pages")
    pages = sorted(path.relative_to(tmp_path / "pages") for path in (tmp_path / "pages").rglob("*.html"))
    assert pages == [Path("books/a/n.html"), Path("books/b/n.html")]


@pytest.mark.long
def test_the_plugin_does_nothing_unless_it_is_asked(session: Path, tmp_path: Path) -> None:
    assert "no tests ran" in _pytest(tmp_path, str(session.parent))
    _pytest(tmp_path, "--kernel-exec", str(session), "--kernel-exec-html", "pages", "--kernel-exec-runs", "2")
    (page,) = (tmp_path / "pages").rglob("*.html")
    assert page.name == "session.html"


def _pytest(folder: Path, *more: str) -> str:
    """Return what pytest prints, without the plugins of others, which take their time."""
    plugins = [option for name in ("nbval", "xdist", "asyncio", "hypothesispytest") for option in ("-p", f"no:{name}")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *plugins,
        "--rootdir",
        str(folder),
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=500, check=False)
    return done.stdout + done.stderr


@pytest.mark.long
def test_nbval_accepts_our_recordings(session: Path) -> None:
    pytest.importorskip("nbval")
    with Executor(workdir=session.parent, notebook=session.with_name("plain.ipynb")) as ex:
        ex.execute("x = 41; print(x)")
        ex.execute("x + 1")
        ex.execute("import pandas as pd; pd.DataFrame({'a': [1, 2.5]})")
    read(session.with_name("plain.ipynb"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "plain.ipynb"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=session.parent, timeout=500, check=False)
    assert "3 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("seconds", [0.6, 1.2])
def test_killed_in_the_middle(tmp_path: Path, seconds: float) -> None:
    path = write(tmp_path / "n.ipynb", "import time; time.sleep(5)")
    before = path.read_bytes()
    place = tmp_path / "tmp"
    place.mkdir()
    command = [sys.executable, "-c", f"import kernel_exec; kernel_exec.verify({str(path)!r})"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(place)}) as process:
        time.sleep(seconds)
        process.kill()
    assert path.read_bytes() == before
    wait_until(lambda: not list(place.iterdir()))


def test_without_outputs_a_failure_is_found(tmp_path: Path) -> None:
    expected = code("1 / 0", "raises-exception")
    done = verify(write(tmp_path / "n.ipynb", "x = 1; x", expected, "undefined"))
    assert [cell.status for cell in done.cells] == ["skipped", "skipped", "differs"]
    assert "NameError" in done.differences[0].message


def test_a_part_that_was_run_verifies_as_equal(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "1", "2", "undefined")
    part = replay(path, until=0)
    assert [cell.status for cell in verify(part.notebook_path).cells] == ["same", "skipped", "skipped"]

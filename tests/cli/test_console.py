"""`kernel-exec console`, typed into and looked at as a person does it: on terminals of tmux."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from kernel_exec.cli import values as status
from tests.cli.conftest import PATIENCE, PROGRAM, Terminal
from tests.cli.core import core_only
from tests.cli.leftovers import leftovers, nothing_is_left
from tests.cli.screen import Screen, python

ROOT = Path(__file__).parents[2]
CONSOLE = python(str(Path(__file__).with_name("console_program.py")))
Start = Callable[..., Screen]


def environment(folder: Path) -> dict[str, str]:
    (folder / "tmp").mkdir(exist_ok=True)
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    variables = {"TMPDIR": str(folder / "tmp"), "XDG_DATA_HOME": str(folder / "data"), "PYTHONPATH": paths}
    return {**variables, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "NO_COLOR": "", "COLORTERM": "truecolor"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a console, and wait for its prompt; nothing may be left of it."""
    screens: list[Screen] = []

    def start(*arguments: str, wait: str = "In [1]:", command: list[str] = CONSOLE, **env: str) -> Screen:
        screens.append(Screen(tmp_path, [*command, *arguments], {**environment(tmp_path), **env}))
        screens[-1].wait(wait)
        return screens[-1]

    yield start
    for screen in screens:
        with screen:
            pass
    nothing_is_left(tmp_path / "tmp")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def shared(home: Path) -> Iterator[Screen]:
    """One console that many tests type into."""
    with Screen(home, CONSOLE, environment(home)) as screen:
        screen.wait("In [1]:")
        yield screen
    nothing_is_left(home / "tmp")


def test_a_session_from_beginning_to_end(start: Start, tmp_path: Path) -> None:
    screen = start("--notebook", "mine.ipynb")
    assert re.match(r"kernel-exec [\d.]+, python3, recorded in .*/mine.ipynb", screen.text())
    screen.type("x = 20", "Enter")
    screen.wait("In [2]:")
    screen.type("x + 22", "Enter")
    assert "Out[2]: 42" in screen.wait("In [3]:")
    assert leftovers(tmp_path / "tmp")
    screen.type("", "C-d")
    assert screen.status() == status.OK
    assert f"recorded in {tmp_path}/mine.ipynb" in screen.text()
    nothing_is_left(tmp_path / "tmp")
    notebook = nbformat.read(tmp_path / "mine.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells] == ["x = 20", "x + 22"]


@pytest.mark.long
@pytest.mark.parametrize("word", ["exit", "quit()"])
def test_leaving_by_a_word(start: Start, word: str) -> None:
    screen = start()
    screen.type(word, "Enter")
    assert screen.status() == status.OK


def test_tab_completes(shared: Screen) -> None:
    shared.run("unmistakable_name = several_one = several_two = 'completed'")
    shared.prompted()
    shared.type("print('tab:', unmist", "Tab")
    shared.wait("print('tab:', unmistakable_name")
    shared.type(")", "Enter")
    shared.wait("tab: completed")


def test_tab_offers_a_choice(shared: Screen) -> None:
    shared.run("several_one = several_two = 'taken'")
    shared.prompted()
    before = shared.text().count("several_two")
    shared.type("'choice ' + sev", "Tab")  # what they have in common is put in
    shared.wait("'choice ' + several_")
    shared.wait("several_two", before + 1)  # the choice is there: a key that comes before is for none
    shared.type("", "Tab")
    shared.wait("'choice ' + several_one")
    shared.type("", "Tab")
    shared.wait("'choice ' + several_two")
    shared.type("", "Enter")  # it is taken, and not run yet
    shared.type("", "Enter")
    shared.wait("choice taken")


def test_a_question_is_answered_and_not_run(shared: Screen, home: Path) -> None:
    shared.run("def unmistakable_name(x): 'All about it.'\n", "unmistakable_name?")
    text = shared.wait("All about it.", times=2)
    assert "Docstring" in text
    assert "Signature" in text
    shared.run("no_such_name?")
    shared.wait("nothing is known of no_such_name")
    cells = nbformat.read(home / "session.ipynb", as_version=4).cells
    assert "?" not in "".join(cell.source for cell in cells)


def test_several_lines_are_one_cell(shared: Screen) -> None:
    shared.prompted()
    shared.type("for number in range(2):", "Enter")
    shared.type("print('line', number)", "Enter", "Enter")
    text = shared.wait("line 1")
    assert "...:     print('line', number)" in text


def test_output_streams_and_errors_are_short(shared: Screen) -> None:
    shared.run("import pandas", "pandas.DataFrame({'a': [1]})['missing']")
    text = shared.wait("\nKeyError: 'missing'")
    assert "more in libraries" in text
    assert "site-packages" not in text
    shared.run("import sys; print('to', 'stderr', file=sys.stderr); print('then', 'stdout')")
    shared.wait("\nthen stdout")
    shared.wait("\nto stderr")
    assert "\x1b[31mto stderr" in shared.text(colours=True)


def test_output_appears_while_the_cell_runs(shared: Screen, home: Path) -> None:
    # The cell waits for a file that is made only once its first line has been seen here.
    shared.run("import os, time\nprint('be', 'gun')\nwhile not os.path.exists('go'): time.sleep(0.01)")
    shared.wait("\nbe gun")
    (home / "go").touch()
    shared.prompted()


def test_a_table_is_drawn(shared: Screen) -> None:
    shared.run("import pandas; pandas.DataFrame({'town': ['Ulm', 'Bonn'], 'size': [1, 22]})")
    assert re.search(r"town +size *\n─+\n +0 +Ulm +1 *\n +1 +Bonn +22", shared.wait("Bonn", times=2))


def test_a_picture_is_drawn_and_its_path_told(shared: Screen, home: Path) -> None:
    shared.run("import matplotlib.pyplot as plt; _ = plt.plot([1, 2]); plt.show()")
    text = shared.wait("picture: ")
    path = re.findall(r"picture: (.*\.png)", text)[-1]
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    assert path.startswith(str(home))
    assert text.count("▀") > 200


@pytest.mark.long
def test_without_the_extra_a_picture_is_its_path(start: Start, tmp_path: Path) -> None:
    (tmp_path / "without.py").write_text(
        "import runpy, sys\nsys.modules.update(textual_image=None)\n"
        "from kernel_exec.cli import render\nrender.has_rich = lambda: False\n"
        f"sys.argv = ['console']\nrunpy.run_path({CONSOLE[1]!r}, run_name='__main__')\n"
    )
    screen = start(command=python(str(tmp_path / "without.py")))
    screen.run("import matplotlib.pyplot as plt; _ = plt.plot([1, 2]); plt.show()")
    assert "▀" not in screen.wait("picture: ")
    screen.run("import pandas; pandas.DataFrame({'town': ['Ulm']})")
    assert "  town\n0  Ulm" in screen.wait("0  Ulm")


def test_ctrl_c_interrupts_the_cell_and_keeps_the_state(shared: Screen) -> None:
    code = "try:\n    print('it', 'runs')\n    while True: pass\nfinally: print('cleaned', 'up')"
    shared.run("kept = 'still here'", code)
    shared.wait("\nit runs")
    shared.type("", "C-c")
    text = shared.wait("\ncleaned up")  # what it says behind the interrupt is seen
    assert "interrupting; Ctrl-C again" in text
    shared.wait("KeyboardInterrupt")
    shared.run("print(kept.upper())")
    shared.wait("STILL HERE")


STUBBORN = """while True:
    try:
        print('it', 'runs')
        while True: pass
    except KeyboardInterrupt: print('and', 'on')"""


@pytest.mark.parametrize("presses", [2, 3])
def test_more_of_ctrl_c_kills_and_says_what_was_lost(start: Start, presses: int) -> None:
    screen = start()
    screen.run("1", STUBBORN)
    screen.wait("it runs")
    screen.type("", "C-c")
    screen.wait("\nand on")
    for _ in range(presses - 1):
        screen.type("", "C-c")
        screen.wait("the kernel will be killed if")
    screen.wait("a fresh kernel: all variables are lost")
    screen.run("6 * 7")
    screen.wait("Out[1]: 42")


def test_ctrl_c_at_the_prompt_clears_the_line(shared: Screen) -> None:
    shared.prompted()
    shared.type("this is no code")
    shared.wait("this is no code")
    shared.type("", "C-c")
    shared.run("print('cleared'.upper())")
    assert "SyntaxError" not in shared.wait("CLEARED")


def test_input_and_passwords(shared: Screen) -> None:
    shared.run("answer = input('your \\x1b]0;evil\\x07name?')")
    shared.wait("\nyour name?")
    shared.type("Ada", "Enter")
    shared.run("print('hello', answer)")
    shared.wait("hello Ada")
    shared.run("import getpass; secret = getpass.getpass('the word:')")
    shared.wait("\nthe word:")
    shared.type("xyzzy", "Enter")
    shared.run("print(secret[::-1])")
    assert "xyzzy" not in shared.wait("yzzyx")


def test_ctrl_d_and_ctrl_c_at_an_input(shared: Screen) -> None:
    shared.run("input('end?')")
    shared.wait("\nend?")
    shared.type("", "C-d")
    shared.wait("\nEOFError")
    shared.run("input('stop?'); print('never', 'seen')")
    shared.wait("\nstop?")
    shared.type("", "C-c")
    shared.wait("Interrupted by user")
    shared.run("print('goes', 'on')")
    assert "never seen" not in shared.wait("goes on")


@pytest.mark.long
def test_an_input_ends_with_its_cell(start: Start) -> None:
    screen = start("--timeout", "5")
    screen.run("input('too late? ')")
    screen.wait("ExecutionTimeout")
    screen.run("print('the', 'terminal is free')")
    screen.wait("the terminal is free")


def test_the_death_of_the_kernel_is_told(start: Start) -> None:
    screen = start()
    screen.run("1", "import os; os._exit(3)")
    text = screen.wait("In [1]:", times=2)
    assert "exited with status 3" in text
    assert "a fresh kernel: all variables are lost" in text


def test_the_kernel_cannot_drive_the_terminal(shared: Screen) -> None:
    before = shared.title
    shared.run(
        r"print('\x1b]2;evil\x07\x1b[2J\x1b[H\x1b[6n\x1bPq\x1b\\', end='')",
        r"from IPython.display import *; display({'text/plain': '\x1b]2;evil\x07'}, raw=True)",
        r"raise ValueError('\x1b]2;evil\x07\x1bc')",
        "print('still', 'the same')",
    )
    text = shared.wait("still the same")
    assert shared.title == before
    assert "kernel-exec" in text.splitlines()[0]


@pytest.mark.long
def test_history_is_kept_for_the_next_time(start: Start, tmp_path: Path) -> None:
    screen = start()
    screen.run("print('remember'.upper())")
    screen.wait("REMEMBER")
    screen.run("exit")
    screen.status()
    again = start()
    again.type("", "Up", "Up", "Enter")
    again.wait("REMEMBER")
    assert (tmp_path / "data" / "kernel-exec" / "history").stat().st_mode & 0o777 == 0o600


def test_a_history_that_cannot_be_kept_is_told(start: Start) -> None:
    screen = start(XDG_DATA_HOME="/proc/no-such-place")
    assert "history is kept in memory only" in screen.text()


@pytest.mark.long
def test_a_small_window(start: Start) -> None:
    screen = start()
    screen.resize(20, 5)
    screen.run("print('x' * 100)", "import matplotlib.pyplot as plt; _ = plt.plot([1, 2]); plt.show()")
    screen.wait("picture: ")


@pytest.mark.parametrize("busy", [None, "print('it', 'runs')\nwhile True: pass", "print('it', 'runs'); input()"])
def test_a_polite_end_from_outside(start: Start, tmp_path: Path, busy: str | None) -> None:
    screen = start()
    screen.run("import os; print('pid', os.getppid())")
    supervisor = int(re.findall(r"\npid (\d+)", screen.wait("\npid "))[0])
    console = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    screen.prompted()
    if busy:
        screen.run(busy)
        screen.wait("\nit runs")
    os.kill(console, signal.SIGTERM)
    assert screen.status() == status.INTERRUPTED
    nothing_is_left(tmp_path / "tmp")
    screen.type("the terminal echoes", "Enter")
    screen.wait("the terminal echoes")


def test_a_terminal_that_goes_away_takes_the_kernel_with_it(tmp_path: Path) -> None:
    with Screen(tmp_path, CONSOLE, environment(tmp_path)) as screen:
        screen.run("print('it', 'runs')\nwhile True: pass")
        screen.wait("it runs")
        assert leftovers(tmp_path / "tmp")
    nothing_is_left(tmp_path / "tmp")


@pytest.mark.long
def test_without_any_extra(start: Start, tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    core_only(tmp_path / "core")
    command = [sys.executable, "-S", *CONSOLE[1:]]
    screen = start(command=command, PYTHONPATH=os.pathsep.join((str(ROOT), str(tmp_path / "core"))))
    screen.run("from IPython.display import *; Markdown('# Title')", "display(Image(data=b'junk', format='png'))")
    screen.run("for x in 'ab': print(x * 3)\n")
    assert "# Title" in screen.wait("\nbbb")


@pytest.mark.parametrize("arguments", [[], ["--kernel", "python3"]])
def test_without_a_terminal_it_says_what_to_use(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "console", *arguments],
        input="1\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status.USAGE, "")
    assert "kernel-exec run -" in done.stderr
    assert not list(tmp_path.iterdir())


def test_standard_streams_may_be_closed(tmp_path: Path) -> None:
    command = f"{sys.executable} -m kernel_exec.cli console <&- >&-"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == status.USAGE


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--kernel", "no-such-kernel"], status.CANNOT, "no kernel is named 'no-such-kernel'"),
        (["--notebook", "/sys/kernel/a.ipynb"], status.CANNOT, "/sys/kernel/a.ipynb"),
        (["--workdir", "/dev/null"], status.USAGE, "is a file"),
        (["--timeout", "0"], status.USAGE, "above zero"),
    ],
)
def test_what_cannot_be_used_is_said_clearly(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    with Terminal(tmp_path, ["console", *arguments], PROGRAM) as terminal:
        assert terminal.end() == code
    assert said in terminal.text
    assert "Traceback" not in terminal.text

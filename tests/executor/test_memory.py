"""A limit on memory: first the code is refused or interrupted and state is kept, only then the kernel is killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel_exec import ExecutionResult, Executor, HostKernel, KernelDiedError, KernelStartError, Limits
from kernel_exec.errors import ExecutionInterrupted
from tests.executor.looks import children, wait_until

MIB = 2**20
LIMIT = 256 * MIB

FILL = "def fill(m):\n    for i in range(0, len(m), 4096): m[i] = 1\n"
HOLD = "import time; held = bytearray({size}); held[::4096] = b'x' * len(held[::4096]); time.sleep(100)"
SHARED = FILL + "import mmap\nheld = mmap.mmap(-1, {size})\nfill(held)\n"
"""Memory that a process may share is not refused by the system: only the watch sees it."""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with Executor(workdir=tmp_path_factory.mktemp("limited"), limits=Limits(memory=LIMIT), timeout=60) as executor:
        yield executor


@pytest.fixture
def kept(limited: Executor) -> Iterator[Callable[[str], ExecutionResult]]:
    """Runs code after which what was there before must be there still, and not much besides."""
    limited.execute("kept = 42").raise_for_error()

    def run(code: str) -> ExecutionResult:
        result = limited.execute(code)
        assert result.state_preserved
        return result

    yield run
    assert limited.execute("held = None; kept").text == "42"


def named(text: str) -> bool:
    """Whether a sentence names the limit and the peak."""
    return f"({LIMIT} bytes)" in text and "held up to" in text


@pytest.mark.parametrize(
    "code",
    [
        "held = []\nwhile True: held.append(bytearray(1_000_000))",
        "held = []\nwhile True: held.append(str(len(held)))",
        "held = bytearray(100 * 2**30)",
        "held = list(range(10**9))",
        "import numpy as np\nheld = []\nwhile True: held.append(np.ones(100_000))",
        "import numpy as np\nheld = np.zeros(10**11, dtype='u1')",
    ],
    ids=["slow", "small", "huge", "list", "numpy", "numpy-huge"],
)
def test_code_that_wants_too_much_gets_a_memory_error(fresh: Callable[..., Executor], code: str) -> None:
    # Of its own: much of what a process got from the system it never gives back, and its children inherit that.
    ex = fresh(limits=Limits(memory=LIMIT))
    ex.execute("kept = 42").raise_for_error()
    result = ex.execute(code)
    assert result.state_preserved
    assert ex.execute("held = None; kept").text == "42"
    assert result.status == "error"
    assert result.error is not None
    assert "Memory" in result.error.name
    assert [note for note in result.notes if named(note)]
    assert result.peak_memory is not None
    assert result.peak_memory < LIMIT + 64 * MIB  # what of the files of programs is in memory counts there as well


@pytest.mark.usefixtures("patient")
def test_code_that_does_not_give_up(limited: Executor, kept: Callable[[str], ExecutionResult]) -> None:
    code = "held = []\nwhile True:\n    try: held.append(bytearray(1_000_000))\n    except MemoryError: pass"
    result = limited.execute(code, timeout=1)
    assert (result.status, result.steps, result.state_preserved) == ("timeout", ("interrupt",), True)


@pytest.mark.parametrize(
    "code",
    [
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'a=[]\\nwhile 1: a.append(bytearray({MIB}))'])",
        (
            f"import subprocess, sys\nps = [subprocess.Popen([sys.executable, '-c', {HOLD.format(size=LIMIT // 2)!r}]) "
            "for _ in range(3)]\nfor p in ps: p.wait()"
        ),
        (
            "import multiprocessing as mp, time\n"
            f"def hold():\n    held = bytearray({LIMIT // 2}); held[::4096] = b'x' * len(held[::4096])\n"
            "    time.sleep(100)\n"
            "ps = [mp.get_context('fork').Process(target=hold) for _ in range(3)]\n"
            "for p in ps: p.start()\nfor p in ps: p.join()"
        ),
    ],
    ids=["one", "three", "multiprocessing"],
)
@pytest.mark.usefixtures("patient")
def test_children_that_grow(limited: Executor, kept: Callable[[str], ExecutionResult], code: str) -> None:
    result = kept(code)
    # A single child is refused more by the system, as its parent would be, or is interrupted before.
    if result.status == "interrupted":
        assert result.error is not None
        assert result.error.name == "MemoryLimitExceeded"
        assert named(result.error.value)
        assert result.steps == ("interrupt",)
        assert result.peak_memory is not None
        assert result.peak_memory > LIMIT
        with pytest.raises(ExecutionInterrupted, match=r"limits\.memory"):
            result.raise_for_error()
    else:
        assert (result.status, "subprocess.run" in code) == ("ok", True)


def test_children_that_share_what_their_parent_holds(limited: Executor) -> None:
    """Ten copies of a process are not ten times its memory."""
    code = (
        f"import os, signal, time\nheld = bytearray({LIMIT // 2}); held[::4096] = b'x' * len(held[::4096])\n"
        "pids = []\nfor _ in range(10):\n    pid = os.fork()\n    if not pid: time.sleep(100); os._exit(0)\n"
        "    pids.append(pid)\ntime.sleep(1)\nfor pid in pids: os.kill(pid, 9), os.waitpid(pid, 0)\nheld = None"
    )
    result = limited.execute(code)
    assert (result.status, result.notes) == ("ok", ())
    assert result.peak_memory is not None
    assert LIMIT // 2 < result.peak_memory < LIMIT


def test_a_file_that_is_mapped_does_not_count(limited: Executor) -> None:
    code = (
        "import mmap\nwith open('big', 'wb') as file:\n"
        f"    for _ in range({2 * LIMIT // MIB}): file.write(bytes({MIB}))\n"
        "with open('big', 'rb') as file: mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "total = sum(mapped[i] for i in range(0, len(mapped), 4096))\nimport time; time.sleep(1)\n"
        "mapped.close(); import os; os.unlink('big'); total"
    )
    result = limited.execute(code)
    assert (result.status, result.text) == ("ok", "0")


@pytest.mark.usefixtures("patient")
def test_too_much_that_an_interrupt_gives_back(kept: Callable[[str], ExecutionResult]) -> None:
    code = SHARED.format(size=2 * LIMIT).replace(
        "fill(held)", "try: fill(held); import time; time.sleep(50)\nfinally: held.close()"
    )
    result = kept(code)
    assert result.status == "interrupted"
    assert result.error is not None
    assert named(result.error.value)


@pytest.mark.usefixtures("patient")
def test_a_cell_that_answers_the_interrupt_and_goes_on(kept: Callable[[str], ExecutionResult]) -> None:
    code = SHARED.format(size=2 * LIMIT).replace(
        "fill(held)", "try: fill(held); import time; time.sleep(50)\nexcept KeyboardInterrupt: held.close()"
    )
    result = kept(code + "'went on'")
    assert (result.status, result.text, result.steps) == ("ok", "'went on'", ("interrupt",))
    assert [note for note in result.notes if named(note)]


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.usefixtures("patient")
def test_too_much_that_nobody_gives_back(fresh: Callable[..., Executor], stubborn: bool) -> None:
    ex = fresh(limits=Limits(memory=LIMIT))
    code = SHARED.format(size=LIMIT * 2)
    if stubborn:
        code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + code + "time.sleep(100)"
    result = ex.execute("print('first')\n" + code)
    assert (result.status, result.state_preserved, result.stdout) == ("died", False, "first\n")
    assert result.steps[-2:] == ("kill", "restart")
    assert result.error is not None
    assert result.error.name == "MemoryLimitExceeded"
    assert "256 MiB" in result.error.value
    with pytest.raises(KernelDiedError, match=r"limits\.memory") as caught:
        result.raise_for_error()
    assert caught.value.oom
    assert ex.execute("6 * 7").text == "42"


@pytest.mark.long
def test_growth_between_cells(fresh: Callable[..., Executor]) -> None:
    ex = fresh(limits=Limits(memory=LIMIT))
    code = SHARED.format(size=LIMIT * 3 // 2).replace("fill(held)", "import threading")
    ex.execute(code + "threading.Timer(0.3, fill, (held,)).start()").raise_for_error()
    assert wait_until(lambda: not ex.is_alive)
    result = ex.execute("1")
    assert (result.status, result.state_preserved, result.attempts) == ("died", False, 0)
    assert "limits.memory" in str(result.error)
    assert ex.execute("2").ok


def test_code_in_c_that_cannot_live_with_a_refusal(fresh: Callable[..., Executor]) -> None:
    ex = fresh(limits=Limits(memory=LIMIT))
    result = ex.execute(
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.malloc.restype = ctypes.c_void_p\n"
        "while True: libc.memset(ctypes.c_void_p(libc.malloc(10**7)), 1, 10**7)"
    )
    assert (result.status, result.steps) == ("died", ("restart",))
    assert "lack of memory" in str(result.error)
    with pytest.raises(KernelDiedError) as caught:
        result.raise_for_error()
    assert caught.value.oom
    assert ex.execute("2").ok


def test_a_crash_that_has_nothing_to_do_with_memory(fresh: Callable[..., Executor]) -> None:
    result = fresh(limits=Limits(memory=LIMIT)).execute("import os; os.abort()")
    assert result.status == "died"
    with pytest.raises(KernelDiedError) as caught:
        result.raise_for_error()
    assert not caught.value.oom


def test_after_a_restart_the_limit_holds_still(fresh: Callable[..., Executor]) -> None:
    ex = fresh(limits=Limits(memory=LIMIT))
    ex.restart()
    assert "Memory" in str(ex.execute("bytearray(100 * 2**30)").error)


def test_nobody_looks_without_a_limit(fresh: Callable[..., Executor]) -> None:
    """The supervisor of a kernel without a limit sleeps until something happens."""
    here = children()
    fresh()
    (idle,) = children() - here
    fresh(limits=Limits(memory=LIMIT))
    (watching,) = children() - here - {idle}

    def switches(pid: int) -> int:
        text = Path(f"/proc/{pid}/status").read_text()
        return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    before, watched = switches(idle), switches(watching)
    assert wait_until(lambda: switches(watching) > watched + 2)
    assert switches(idle) == before


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(pids=10), "limits.pids cannot be enforced"),
        (Limits(disk=10 * MIB), "limits.disk cannot be enforced"),
        (Limits(cpus=0.5), "whole processors"),
        (Limits(cpus=4096), "but this process has"),
    ],
)
def test_what_a_kernel_on_the_host_cannot_be_held_to(limits: Limits, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Executor(limits=limits)
    assert "leave it out" in str(caught.value) or "whole number" in str(caught.value)


def test_processors(fresh: Callable[..., Executor]) -> None:
    ex = fresh(limits=Limits(cpus=1))
    inside = ex.execute("import os; cpus = os.sched_getaffinity(0); len(cpus)")
    assert inside.text == "1"
    child = (
        f"import subprocess; subprocess.run([{sys.executable!r}, '-c', 'import os; print(os.sched_getaffinity(0))'])"
    )
    assert ex.execute("print(cpus)").stdout == ex.execute(child).stdout
    there = os.sched_getaffinity(0)
    assert fresh(limits=Limits(cpus=len(there))).execute("import os; os.sched_getaffinity(0)").text == str(there)


GREEDY = FILL + "import mmap, sys\nsys.held = mmap.mmap(-1, 200 * 2**20)\nfill(sys.held)\n"


@pytest.mark.parametrize(
    "start",
    [
        GREEDY,
        GREEDY + "import time; time.sleep(50)",
        "import os\ntry: bytearray(2**30)\nexcept MemoryError: os.abort()",
    ],
    ids=["ready", "slow", "refused"],
)
def test_less_than_a_kernel_needs_to_start(tmp_path: Path, start: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(start)
    before, begin = children(), time.monotonic()
    ex = Executor(HostKernel(env={"PYTHONPATH": str(tmp_path)}), limits=Limits(memory=100 * MIB))
    try:
        with pytest.raises(KernelStartError, match=rf"limits.memory is 100 MiB \({100 * MIB} bytes\)"):
            ex.start()
        assert time.monotonic() - begin < 30
        assert wait_until(lambda: children() <= before)
    finally:
        ex.close()


def test_the_least_limit_is_enough_to_start(fresh: Callable[..., Executor]) -> None:
    assert fresh(limits=Limits(memory=64 * MIB)).execute("6 * 7").text == "42"

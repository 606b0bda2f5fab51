"""What a supervisor tells is checked to the last field: something else may speak in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_exec import Executor, KernelStartError
from kernel_exec.kernels import events, link
from kernel_exec.kernels.death import Usage
from kernel_exec.kernels.events import parsed
from tests.executor.looks import runs

GOOD: list[tuple[dict[str, Any], events.Event]] = [
    ({"directory": "/tmp/kernel-exec-1"}, events.Directory(Path("/tmp/kernel-exec-1"))),
    ({"started": 77}, events.Started(77)),
    ({"exited": 9, "rest": ["out", "err"]}, events.Exited(9, ("out", "err"))),
    ({"exited": 0x300, "rest": ["", ""]}, events.Exited(0x300, ("", ""))),
    (
        {"exited": 9, "rest": ["", ""], "oom": 1, "pids": 2, "full": ["/tmp", 3], "container": {"ExitCode": 9}},
        events.Exited(9, ("", ""), events.About(1, 2, ("/tmp",), {"ExitCode": 9})),
    ),
    (
        {"exited": 9, "rest": ["", ""], "oom": "1", "pids": None, "full": "/tmp", "container": []},
        events.Exited(9, ("", "")),
    ),
    ({"created": "0a1b"}, events.Created("0a1b")),
    ({"refused": "no such image", "answered": 404}, events.Refused("no such image", 404)),
    ({"attached": True}, events.Attached()),
    ({"mounted": None}, events.Mounted(None)),
    ({"mounted": "/tmp/a"}, events.Mounted(Path("/tmp/a"))),
    ({"usage": 1, "cpu": 0.5, "peak": 7}, events.Used(1, Usage(0.5, 7))),
    ({"usage": 1, "cpu": 0, "peak": 7}, events.Used(1, Usage(0.0, 7))),
    ({"memory": 0, "above": False}, events.Memory(0, False)),
    ({"outgrown": True}, events.Outgrown()),
    ({"signalled": 2}, events.Signalled()),
    ({"stopped": True}, events.Stopped()),
    ({"error": "no such file"}, events.Failed("no such file")),
]
BAD: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {"unknown": 1},
    {"created": "../0a1b"},
    {"created": ""},
    {"refused": "no such image"},
    *({"directory": path} for path in (None, 3, "", "relative", "/", "//", "/tmp/../etc", "/tmp/", "/a\0b")),
    *({"started": pid} for pid in (None, "7", 7.5, 0, 1, -1, True, 2**40, [7])),
    *({"exited": status, "rest": ["", ""]} for status in (None, "0", -1, 0x7F, 0x137F, 2**16, 2**70)),
    *({"exited": 0, "rest": rest} for rest in (None, "ab", [], ["a"], ["a", 1], ["a", "b", "c"])),
    {"exited": 0},
    *({"memory": held, "above": False} for held in (None, "1", -1, 1.5, 2**63, 10**4000)),
    {"memory": 1, "above": 1},
    {"attached": None},
    *({"mounted": path} for path in (3, "", "relative", "/", "/a\0b")),
    *({"usage": 1, "cpu": cpu, "peak": 7} for cpu in (None, "1", -1, float("nan"), float("inf"), 10**400)),
    *({"usage": 1, "cpu": 1, "peak": peak} for peak in (None, "1", -1, 1.5, 2**63)),
    {"usage": "1", "cpu": 1, "peak": 1},
    {"outgrown": False},
    {"signalled": "2"},
    {"stopped": None},
    {"error": None},
]


@pytest.mark.parametrize(("told", "event"), GOOD, ids=str)
def test_events(told: dict[str, Any], event: events.Event) -> None:
    assert parsed(json.dumps(told).encode()) == event


@pytest.mark.parametrize("told", BAD, ids=lambda told: repr(told)[:60])
def test_what_is_no_event(told: Any) -> None:
    assert parsed(json.dumps(told).encode()) is None


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"\xff\xfe", b"\x00", b"[" * 100_000, b'{"started":' * 50_000, b"1" * 10_000, b"NaN", b'"\\ud800"'],
)
def test_what_is_no_json(line: bytes) -> None:
    assert parsed(line) is None


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(repr).map(str.encode)
)
def test_nothing_raises(line: bytes) -> None:
    parsed(line)


@given(
    st.sampled_from(["directory", "started", "exited", "memory", "outgrown", "signalled", "stopped", "error", "rest"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.dictionaries(st.sampled_from(["rest", "above"]), st.lists(st.text()) | st.booleans() | st.none()),
)
def test_no_field_raises(name: str, value: Any, more: dict[str, Any]) -> None:
    parsed(json.dumps({name: value, **more}).encode())


def test_the_longest_line_is_allowed() -> None:
    rest = "\0" * 65_536
    assert len(json.dumps({"exited": 0, "rest": [rest, rest]})) < events.LONGEST


LIAR = """
import runpy, sys
start = runpy.run_path({start!r})
package = sys.modules["_kernel_exec"] = type(sys)("_kernel_exec")
package.__path__ = [start["HERE"]]
import _kernel_exec.loop as loop
tell = loop.tell
def lie(event, descriptor=0):
    tell(event, descriptor)
    if {when!r} in event:
        data = {lie}
        while data:
            data = data[loop.os.write(descriptor, data):]
loop.tell = lie
start["main"](sys.argv[1], sys.argv[2:])
"""


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes all supervisors of this test say something more after an event; `lie` is Python."""

    def lying(when: str, lie: str) -> None:
        script = tmp_path / "start.py"
        script.write_text(LIAR.format(start=str(link.START), when=when, lie=lie))
        monkeypatch.setattr(link, "START", script)

    return lying


def test_lies_are_ignored(tmp_path: Path, lying: Callable[[str, str], None]) -> None:
    (tmp_path / "precious").mkdir()
    lines = [
        json.dumps(told).encode() for told in [*BAD, {"directory": str(tmp_path / "precious")}, {"started": 4194303}]
    ]
    lines += [b"{", b"\xff", b"[" * 100_000, b"", b"x" * 500_000]
    lying("started", repr(b"\n".join(lines) + b"\n"))
    with Executor(workdir=tmp_path / "work", timeout=20) as ex:
        assert ex.execute("1 + 1").text == "2"
        pid = int(ex.execute("import os; os.getpid()").text)
        assert ex.execute("os._exit(3)").error.value.startswith("the kernel died: it exited with status 3")  # type: ignore[union-attr]
        assert ex.execute("2").text == "2"
    assert not runs(pid)
    assert (tmp_path / "precious").exists()


def test_a_flood_holds_up_nobody(tmp_path: Path, lying: Callable[[str, str], None]) -> None:
    lying("started", "b'x\\n' * 200_000 + b'{\"signalled\": 1}\\n' * 200_000")
    with Executor(workdir=tmp_path / "work", timeout=20) as ex:
        assert ex.execute("1 + 1").text == "2"


def test_a_line_without_end_while_it_starts(tmp_path: Path, lying: Callable[[str, str], None]) -> None:
    lying("directory", "b'x' * 2 ** 22")
    with pytest.raises(KernelStartError, match="a line of more than"):
        Executor(workdir=tmp_path / "work").start()


def test_a_line_without_end_while_a_cell_runs(tmp_path: Path, lying: Callable[[str, str], None]) -> None:
    lying("signalled", "b'x' * 2 ** 22")
    with Executor(workdir=tmp_path / "work", timeout=20) as ex:
        pid = int(ex.execute("import os; os.getpid()").text)
        result = ex.execute("while True: pass", timeout=0.5)
        assert result.status in ("timeout", "died")
        assert not result.state_preserved
        assert ex.execute("2").text == "2"
        assert not runs(pid)

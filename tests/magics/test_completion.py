"""What Tab offers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executor.looks import quickest
from tests.magics.conftest import Notebook


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%kx st", {"start", "stop"}),
        ("%kx start x --do", {"--docker"}),
        ("%kx start x --me", {"--memory"}),
        ("%kx stop la", {"lab"}),
        ("%kx stop --", {"--all"}),
        ("%%kx la", {"lab"}),
        ("%%kx lab --", {"--timeout", "--bg"}),
        ("x = 1\n%kx use la", {"lab"}),
    ],
)
def test_on_the_line(nb: Notebook, typed: str, offered: set[str]) -> None:
    nb.ok("%%kx lab\nx = 1")
    found = nb.complete(typed)
    assert set(found["matches"]) == offered
    assert typed[: found["cursor_start"]] + min(offered, key=len) != typed


@contextlib.contextmanager
def waiting_longer(nb: Notebook) -> Iterator[None]:
    """A kernel may stand still for the second that its answer is waited for, as somebody types."""
    nb.ok("from kernel_exec.magics import completion\ncompletion.PATIENCE, _before = 30.0, completion.PATIENCE")
    yield
    nb.ok("completion.PATIENCE = _before")


def test_in_the_body_it_is_what_the_session_knows(nb: Notebook) -> None:
    nb.ok("%%kx lab\nimport json\ntheirs_only = {'é': 1}")
    nb.ok("ours_only = 1")
    code = "%%kx lab\nx = 'é'\ny = theirs_o"
    with waiting_longer(nb):
        found = nb.complete(code)
        assert found["matches"] == ["theirs_only"]
        assert code[: found["cursor_start"]].endswith("y = ")
        assert found["cursor_end"] == len(code)
        found = nb.complete("%%kx lab\njson.dum")
        assert set(found["matches"]) >= {"json.dump", "json.dumps"} or set(found["matches"]) >= {".dump", ".dumps"}
        nb.ok("%%kx lab\nours_or_theirs = 1")
        assert nb.complete("%%kx lab\nours_o")["matches"] == ["ours_or_theirs"]
        assert nb.complete("ours_o")["matches"] == ["ours_only"]


def test_it_makes_nothing_and_takes_no_time(nb: Notebook, tmp_path: Path) -> None:
    nb.complete("%%kx nobody\nx.")
    assert "nobody" not in nb.ok("%kx list").text
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    nb.ok(f"%%kx lab --bg\nopen({str(gate)!r}).close()")
    assert quickest(lambda: nb.complete("%%kx lab\nimp")["status"], "ok", 1.9) < 1.9
    gate.write_text("")
    nb.ok("%kx result lab")
    nb.complete("%%kx lab 'broken\nx.")  # nobody is told while typing

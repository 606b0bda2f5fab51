"""`kernel-exec view --live`: a session in a browser while it runs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest

from kernel_exec import Executor
from kernel_exec.recording import Recorder, code_cell
from kernel_exec.viewing import follow
from kernel_exec.viewing.follow import Follower
from kernel_exec.viewing.server import MAX_CONNECTIONS, Server
from tests.cli.conftest import PATIENCE, PROGRAM
from tests.replays.notebooks import write
from tests.view import hostile
from tests.view.conftest import LEFT

pytestmark = pytest.mark.timeout(600)

SOON = 2.0
"""A second, and as much again for a machine that is busy."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """The server of a notebook that is not there yet."""
    with Server(tmp_path / "session.ipynb") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def seconds_until(page: Any, selector: str) -> float:
    """Wait until something is seen; return how long that took."""
    start = time.monotonic()
    page.wait_for_selector(selector)
    return time.monotonic() - start


def test_a_session_as_it_runs(watched: Any, served: Server, tmp_path: Path) -> None:
    with watched() as seen:
        page = seen.page
        page.goto(served.url)
        page.wait_for_selector(".live.gone")
        over = tmp_path.with_name(f"{tmp_path.name}-over")
        with Executor(workdir=tmp_path, timeout=120) as ex:
            ex.execute("print('sol' + 'ved')")
            took = [seconds_until(page, "#cell-0.ok pre:has-text('solved')")]
            job = ex.submit(
                "import itertools, os, time\nfor i in itertools.count():\n    print('step', i)\n    time.sleep(0.1)\n"
                f"    if os.path.exists({str(over)!r}): break\n"
            )
            took.append(seconds_until(page, "#cell-1.running"))
            page.wait_for_selector("#cell-1 pre:has-text('step 12')")
            page.wait_for_selector(".live:has-text('live · running ')")
            clock = page.locator("#cell-1 .status").text_content()
            page.wait_for_function(
                "(clock) => document.querySelector('#cell-1.running .status').textContent !== clock", arg=clock
            )
            over.touch()
            assert job.result().ok
            took.append(seconds_until(page, "#cell-1.ok"))
            ex.execute("import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.show()")
            took.append(seconds_until(page, "#cell-2 img"))
            page.wait_for_function("() => document.querySelector('#cell-2 img').naturalWidth > 100")
            assert "MB" in page.locator(".live").text_content()
            ex.execute("raise SystemError('x')")
            took.append(seconds_until(page, "#cell-3.error"))
            assert page.locator("article").count() == 4
            assert sorted(took)[len(took) // 2] < SOON, took  # whatever stands still for a moment spoils one of them
        before = os.stat(tmp_path / "session.ipynb")
        page.wait_for_selector(".live.ended")
        assert {urlsplit(one).netloc for one in seen.requests} == {f"127.0.0.1:{served.server_port}"}
        assert os.stat(tmp_path / "session.ipynb").st_mtime_ns == before.st_mtime_ns
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["session.ipynb"]


def test_hostile_cells_that_come_while_somebody_looks(
    watched: Any, listener: Any, served: Server, tmp_path: Path
) -> None:
    notebook = hostile.notebook(tmp_path / "other.ipynb", listener.address)
    write(tmp_path / "session.ipynb", "1")
    with watched() as seen:
        seen.page.goto(served.url)
        seen.page.wait_for_selector("#cell-0")
        os.replace(notebook, tmp_path / "session.ipynb")
        seen.page.wait_for_selector("#cell-60")
        assert seen.page.evaluate(LEFT) == []
        seen.did_nothing(listener)
        seen.page.reload()
        seen.page.wait_for_selector("#cell-60")
        assert seen.page.evaluate(LEFT) == []
        seen.did_nothing(listener)
        assert {one.partition("?")[0] for one in seen.requests} == {served.url, served.url + "events"}


@pytest.mark.long
def test_a_file_that_goes_and_comes_and_is_broken_for_a_while(watched: Any, served: Server, tmp_path: Path) -> None:
    path = tmp_path / "session.ipynb"
    write(path, "first = 1")
    with watched() as seen:
        page = seen.page
        page.goto(served.url)
        page.wait_for_selector("text=first")
        path.unlink()
        page.wait_for_selector(".live.gone")
        write(path, "second = 2", "third = 3")
        page.wait_for_selector("#cell-1:has-text('third')")
        path.write_text('{"cells": [{"cell_ty')
        page.wait_for_timeout(500)
        assert page.locator("#cell-0:has-text('second')").count() == 1
        write(path, "fourth = 4")
        page.wait_for_selector("#cell-0:has-text('fourth')")
        page.wait_for_function("() => document.querySelectorAll('article').length === 1")
        os.rename(tmp_path, tmp_path.with_name("moved"))
        page.wait_for_selector(".live.gone")
        os.rename(tmp_path.with_name("moved"), tmp_path)
        page.wait_for_selector("#cell-0:has-text('fourth')")


def test_only_whoever_has_the_token(served: Server, tmp_path: Path) -> None:
    write(tmp_path / "session.ipynb", "secret = 1")
    status, headers, body = ask(served, f"/{served.token}/")
    assert status == 200
    assert "secret" in body
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert headers["Referrer-Policy"] == "no-referrer"
    wrong = served.token[:-1] + ("a" if served.token[-1] != "a" else "b")
    mine = served.token
    for path in (
        "/",
        "//",
        f"/{wrong}/",
        f"/{wrong}/events",
        "/events",
        f"/x/{mine}/",
        "/%00/",
        f"/?{mine}",
        f"/{mine}x/",
    ):
        status, _, body = ask(served, path)
        assert (status, "secret" in body) == (403, False)
    for path in ("/session.ipynb", "/../session.ipynb", "/events/..", "/events/", "/x", "", "/.", "//"):
        status, _, body = ask(served, f"/{mine}{path}")
        assert (status, "secret" in body) == (404, False)
    port = served.server_port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1.nip.io:{port}",
        "",
        f"localhost:{port + 1}",
    ):
        assert ask(served, f"/{mine}/", Host=host)[0] == 403
    assert ask(served, f"/{mine}/", Host=f"localhost:{port}")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"):
        assert ask(served, f"/{served.token}/", method)[0] == 501
    with socket.create_connection(("127.0.0.1", served.server_port)) as plain:
        plain.sendall(f"GET /{served.token}/ HTTP/1.0\r\n\r\n".encode())
        assert b" 403 " in plain.recv(1000)


def test_connections_are_bounded(served: Server) -> None:
    held = [socket.create_connection(("127.0.0.1", served.server_port)) for _ in range(MAX_CONNECTIONS + 5)]
    for one in held[MAX_CONNECTIONS:]:  # they are taken in the order in which they came
        one.settimeout(PATIENCE)
        assert one.recv(1) == b""
    for one in held[:MAX_CONNECTIONS]:
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(1)
    for one in held:
        one.close()


def test_a_change_costs_what_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = follow._made
    monkeypatch.setattr(follow, "_made", lambda index, *rest: (made.append(index), original(index, *rest))[1])
    recorder = Recorder(tmp_path / "n.ipynb")
    recorder.open({})
    for number in range(300):
        recorder.write(code_cell(f"c{number}", f"x = {number}", (), number, {}))
    follower = Follower(tmp_path / "n.ipynb")
    follower.look()
    assert made == list(range(300))
    assert len(follower.snapshot.update(-1)["cells"]) == 300
    for number in range(300, 310):
        recorder.write(code_cell(f"c{number}", f"x = {number}", (), number, {}))
        made.clear()
        assert follower.look() is False
        assert made == [number]
        update = follower.snapshot.update(follower.snapshot.version - 1)
        assert [index for index, _ in update["cells"]] == [number]
        assert len(json.dumps(update)) < 5000
    recorder.write(code_cell("c7", "changed", (), 7, {}))
    made.clear()
    follower.look()
    assert made == [7]
    recorder.close()
    assert follower.look() is False
    assert "ended" in follower.snapshot.head


def test_every_change_is_followed_whatever_it_is(tmp_path: Path) -> None:
    random, path = Random(4), tmp_path / "n.ipynb"
    follower, cells = Follower(path), []
    seen: list[str] = []
    for turn in range(150):
        match random.choice(["new", "new", "change", "insert", "remove", "gone", "broken", "odd", "kernel"]):
            case "new":
                cells.append(f"new = {turn}")
            case "change" if cells:
                cells[random.randrange(len(cells))] = f"changed = {turn}"
            case "insert":
                cells.insert(random.randrange(len(cells) + 1), f"inserted = {turn}")
            case "remove" if cells:
                del cells[random.randrange(len(cells))]
            case "gone":
                path.unlink(missing_ok=True)
                follower.look()
                assert follower.snapshot.cells == ()
            case "broken":
                path.write_text("{")
                assert follower.look() is True
            case "odd":
                write(path, *cells, {"cell_type": "nothing", "source": 5})
                assert follower.look() is True
        language = random.choice(["python", "r"]) if turn % 10 == 0 else "python"
        write(path, *cells, language_info={"name": language})
        if turn % 2:
            path.write_text(nbformat.writes(nbformat.read(path, 4)))
        before = follower.snapshot.version
        assert follower.look() is False
        update = follower.snapshot.update(before)
        for index, html in update["cells"]:
            seen[index:] = [html, *seen[index + 1 :]]
        del seen[update["count"] :]
        fresh = Follower(path)
        fresh.look()
        assert tuple(seen) == follower.snapshot.cells == fresh.snapshot.cells
        assert len(seen) == len(cells)


def test_looking_makes_the_recorder_copy_nothing(served: Server, tmp_path: Path) -> None:
    stop = threading.Event()

    def listen() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.server_port)
        connection.request("GET", f"/{served.token}/events?seen=0")
        answer = connection.getresponse()
        while not stop.is_set():
            answer.readline()
        connection.close()

    recorder = Recorder(tmp_path / "session.ipynb")
    recorder.open({})
    thread = threading.Thread(target=listen)
    thread.start()
    inodes = set()
    number, deadline = 0, time.monotonic() + PATIENCE
    while number < 400 or (served.live.snapshot.version <= 5 and time.monotonic() < deadline):
        recorder.write(code_cell(f"c{number}", f"x = {number}", (), number, {}))
        inodes.add(os.stat(tmp_path / "session.ipynb").st_ino)
        number += 1
        time.sleep(0.003)
    looks = served.live.snapshot.version
    assert looks > 5
    # Two, but for a read that a write has met: on a slow machine there are more looks, and more of them are met.
    assert len(inodes) <= 2 + max(4, 0.4 * looks)
    stop.set()
    recorder.close()
    thread.join(10)


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    write(tmp_path / "n.ipynb", "1")
    command = [*PROGRAM, "view", "--live", "n.ipynb"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        address = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", address.port or 0)
        connection.request("GET", address.path + "events?seen=-")
        answer = connection.getresponse()
        assert answer.status == 200
        while not answer.readline().startswith(b"data:"):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "x"], ["-o", "x.html"], ["--scripts"]])
def test_what_cannot_be(tmp_path: Path, arguments: list[str]) -> None:
    command = [*PROGRAM, "view", "--live", "n.ipynb", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_port_that_is_taken(tmp_path: Path, served: Server) -> None:
    command = [*PROGRAM, "view", "--live", "n.ipynb", "--port", str(served.server_port)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("limit", "small"), [("follow.MAX_FILE", 100), ("slices._MANY_VALUES", 3)], ids=["bytes", "values"]
)
def test_what_is_too_large_is_told_and_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, small: int
) -> None:
    path = write(tmp_path / "n.ipynb", "1", "2")
    follower = Follower(path)
    with monkeypatch.context() as patch:
        patch.setattr(f"kernel_exec.viewing.{limit}", small)
        assert follower.look(), "it may be half written"
        assert not follower.look()
        assert "cannot be read now: it is too large" in follower.snapshot.head
        patch.setattr(follow, "_bytes_of", None)
        version = follower.snapshot.version
        assert not follower.look()
        assert follower.snapshot.version == version
    write(path, "1", "2", "3")
    assert not follower.look()
    assert len(follower.snapshot.cells) == 3
    assert "cannot be read" not in follower.snapshot.head


@pytest.mark.parametrize("broken", ["follow._made", "watch.Watch.wait", "watch.Watch.begin"])
def test_whatever_goes_wrong_is_told_on_the_page(
    tmp_path: Path, served: Server, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise SystemError("nobody <foresaw> it")

    write(tmp_path / "session.ipynb", "1")
    assert ask(served, f"/{served.token}/")[0] == 200
    seen = served.live.snapshot
    monkeypatch.setattr(f"kernel_exec.viewing.{broken}", fail)
    write(tmp_path / "session.ipynb", "1", "2")
    deadline = time.monotonic() + PATIENCE
    while "not followed any more" not in served.live.snapshot.head and time.monotonic() < deadline:
        served.live.wait(served.live.snapshot.version, 0.5)
    assert "not followed any more: SystemError: nobody &lt;foresaw&gt; it" in served.live.snapshot.head
    assert served.live.snapshot.cells[0] == seen.cells[0]
    status, _, body = ask(served, f"/{served.token}/")
    assert (status, body.count("not followed any more")) == (200, 1)
    closing = threading.Thread(target=served.live.close)
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive()

"""An engine elsewhere: nothing crosses but one connection to it, and the results are the same.

The engine is this machine's, reached through a port, TLS or a command; what tells it is that it is asked by no socket
of this machine. The command `ssh` is one of the test's own that runs the rest of its arguments here.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor, Limits
from kernel_exec.errors import EngineUnavailable, InvalidArgument, KernelStartError, TransferError
from kernel_exec.kernels import link
from tests.containers.conftest import containers, name_of
from tests.containers.elsewhere import ENGINE, elsewhere
from tests.containers.forwarder import forwarder
from tests.executor.looks import ended_by_its_deadline, wait_until

MIB = 2**20


@pytest.fixture(scope="module")
def box(engine: Any, far: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One executor in a container elsewhere, for what does it no harm."""
    folder = tmp_path_factory.mktemp("box")
    (folder / "given").mkdir()
    (folder / "given" / "data.csv").write_text("a,b\n1,2\n")
    (folder / "way").symlink_to("given")
    with Executor(kernel=DockerKernel(), workdir=folder, timeout=60) as executor:
        yield executor


def link_of(executor: Executor) -> Any:
    session = executor._core._conductor.kernels.session
    assert session is not None
    return session.kernel._provisioner.link  # type: ignore[attr-defined]


def most_memory(pid: int) -> int:
    """The most bytes that a process has ever held."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.long
def test_nobody_connects_before_the_kernel_listens(far: str, engine: Any, tmp_path: Path) -> None:
    """In every second start one of the sockets was there and did not listen yet: that looked like an end."""
    for number in range(8):
        with Executor(kernel=DockerKernel(), workdir=tmp_path / str(number), timeout=60) as executor:
            assert executor.execute("1 + 1").text == "2"
            session = executor._core._conductor.kernels.session
            assert session is not None
            assert session._cut_off is None


def test_nothing_is_mounted_and_nothing_listens(box: Executor, engine: Any) -> None:
    about = engine.containers.get(name_of(box)).attrs
    assert about["Mounts"] == []
    assert not about["HostConfig"]["Binds"]
    assert about["HostConfig"]["NetworkMode"] == "none"
    assert not about["NetworkSettings"]["Ports"]
    assert about["HostConfig"]["ReadonlyRootfs"]
    result = box.execute("import os, socket; print(os.listdir('/sys/class/net'), socket.gethostbyname('localhost'))")
    assert result.stdout == "['lo'] 127.0.0.1\n"


def test_the_work_directory_is_there(box: Executor) -> None:
    result = box.execute(
        "import os; print(open('given/data.csv').read(), os.readlink('way'), open('way/data.csv').read())"
    )
    assert result.stdout == "a,b\n1,2\n given a,b\n1,2\n\n"
    assert box.execute("sorted(os.listdir())").text == "['given', 'way']"  # nothing of the recording


def test_files_come_home_and_go_back(box: Executor) -> None:
    result = box.execute(
        "os.makedirs('out/deep'); open('out/deep/one', 'w').write('1'); open('given/data.csv', 'a').write('3')"
    )
    told = {(str(one.path.relative_to(box.workdir)), one.change) for one in result.artifacts}
    assert told == {("out/deep/one", "created"), ("given/data.csv", "modified")}
    assert (box.workdir / "given" / "data.csv").read_text() == "a,b\n1,2\n3"
    (box.workdir / "out" / "deep" / "one").write_text("from the host")
    (box.workdir / "more").write_text("more")
    assert box.execute("open('out/deep/one').read() + open('more').read()").text.startswith("'from the hostmore'")
    result = box.execute("import shutil; shutil.rmtree('out'); os.remove('more')")
    assert {(one.path.name, one.change) for one in result.artifacts} == {("one", "deleted"), ("more", "deleted")}
    assert not (box.workdir / "out").exists()


def test_files_go_in_and_out_while_a_cell_runs(box: Executor, tmp_path: Path) -> None:
    code = """
        import os, time
        while not os.path.exists('given/late'): time.sleep(0.01)
        open('answer', 'w').write(open('given/late').read())
        os.rename('answer', 'answered')
        while True: time.sleep(0.01)
    """
    execution = box.submit(textwrap.dedent(code), timeout=60)
    box.upload(b"question", "given/late")

    def brought() -> bool:
        with contextlib.suppress(TransferError):
            box.download("answered", tmp_path)
        return (box.workdir / "answered").exists()

    assert wait_until(brought)
    assert (tmp_path / "answered").read_text() == "question"
    box.interrupt()
    assert [one.path.name for one in execution.result().artifacts] == ["answered"]


def test_hostile_files_stay_where_they_are(box: Executor) -> None:
    code = """
        os.symlink('/etc/passwd', 'link'); os.mkfifo('fifo'); os.link('given/data.csv', 'hard')
        os.mkdir('dir'); os.symlink('/etc', 'dir/etc'); open('session.ipynb', 'w').write('forged')
        open('new\\nline', 'w').close(); f = open('sparse', 'wb'); f.truncate(2**40); f.close()
    """
    result = box.execute("\n".join(line.strip() for line in code.splitlines()))
    assert result.ok
    notes = " ".join(result.notes)
    for name in ("'link'", "'fifo'", "'dir/etc'", "'session.ipynb'", "'sparse'"):
        assert name in notes, notes
    assert {one.path.name for one in result.artifacts} == {"hard", "new\nline"}
    for name in ("link", "fifo", "dir/etc", "sparse"):
        assert not os.path.lexists(box.workdir / name)
    assert json.loads((box.workdir / "session.ipynb").read_text())["nbformat"] == 4
    assert box.execute("for n in 'link', 'fifo', 'hard', 'session.ipynb', 'new\\nline', 'sparse': os.remove(n)").ok


def test_much_with_little_memory(box: Executor, engine: Any) -> None:
    assert (
        box.execute("file = open('large', 'wb'); file.write(os.urandom(20_000_000)); file.close()").artifacts[0].size
        == 2e7
    )
    result = box.execute("print('x' * 20_000_000)")
    spilled = next(path for path in (box.workdir / "session_files").iterdir() if path.name.endswith("stdout.txt"))
    assert result.truncated
    assert spilled.stat().st_size == 20_000_001
    (box.workdir / "large").write_bytes(os.urandom(30_000_000))
    assert box.execute("os.path.getsize('large')").text.startswith("30000000")
    first = engine.containers.get(name_of(box)).attrs["State"]["Pid"]
    assert most_memory(link_of(box)._supervisor) < 64 * MIB
    assert most_memory(first) < 64 * MIB
    assert box.execute("os.remove('large')").ok


@pytest.mark.usefixtures("patient")
def test_an_interrupt_and_a_deadline(box: Executor) -> None:
    box.execute("kept = 5; import time")
    execution = box.submit("print('going', flush=True)\nwhile True: pass")
    while not execution.outputs():
        time.sleep(0.01)
    box.interrupt()
    assert execution.result().status == "interrupted"
    code = "open('partly', 'w').write('x')\nprint('before', flush=True)\ntime.sleep(60)"
    result = ended_by_its_deadline(box, code, 0.5)
    assert (result.status, result.stdout) == ("timeout", "before\n")
    assert [one.path.name for one in result.artifacts] == ["partly"]
    assert box.execute("kept").text == "5"


def test_a_death_with_its_last_words(box: Executor) -> None:
    result = box.execute("print('last words', end=''); open('late', 'w').write('x'); os._exit(3)")
    assert result.status == "died"
    assert "exited with status 3" in str(result.error)
    assert result.stdout == "last words"
    assert [one.path.name for one in result.artifacts] == ["late"]
    assert box.execute("open('late').read()").text == "'x'"  # by a fresh container


def test_the_container_is_killed(box: Executor, engine: Any) -> None:
    execution = box.submit("print('going', flush=True); import time; time.sleep(60)")
    while not execution.outputs():
        time.sleep(0.05)
    engine.api.kill(name_of(box))
    result = execution.result(60)
    assert result.status == "died"
    assert "signal 9" in str(result.error)
    assert box.execute("1 + 1").text == "2"


def test_a_full_disk(engine: Any, far: str, fresh: Callable[..., Executor]) -> None:
    executor = fresh(disk="8m")
    result = executor.execute("open('large', 'wb').write(bytes(9_000_000))")
    assert result.error is not None
    assert "No space left" in result.error.value
    assert executor.execute("import os; os.remove('large'); open('small', 'wb').write(b'1'); 2").text.startswith("2")
    (executor.workdir / "large").write_bytes(bytes(9_000_000))
    result = executor.execute("3")
    assert "cannot be copied into the container" in " ".join(result.notes)
    executor.close()
    with pytest.raises(KernelStartError, match=r"the limit is 8,388,608.*raise disk"):
        Executor(kernel=DockerKernel(disk="8m"), workdir=executor.workdir).start()


def test_a_disk_here_has_a_limit_as_well(engine: Any, fresh: Callable[..., Executor]) -> None:
    executor = fresh(memory="512m", limits=Limits(disk="8m"))
    about = engine.containers.get(name_of(executor)).attrs["HostConfig"]
    assert about["Memory"] > (512 + 8) * MIB
    result = executor.execute("open('large', 'wb').write(bytes(9_000_000))")
    assert result.error is not None
    assert "No space left" in result.error.value
    assert executor.execute("import socket; socket.gethostbyname('localhost')").text.startswith("'127.0.0.1'")


def test_nothing_of_this_machine_can_be_mounted(far: str, tmp_path: Path) -> None:
    with pytest.raises(KernelStartError, match="leave mounts out"):
        Executor(kernel=DockerKernel(mounts={tmp_path: "/data"})).start()


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the first process of all containers of this test run something more; it is sent to them by the keeper."""

    def lying(more: str) -> None:
        code = tmp_path / "code"
        shutil.copytree(link.START.parent, code)
        with (code / "farbox.py").open("a") as file:
            file.write(f"\n\ntold, opened = FarBox._tell, FarBox._opened\n\n{textwrap.dedent(more)}\n")
        monkeypatch.setattr(link, "START", code / "start.py")

    return lying


@pytest.mark.parametrize(
    "lie",
    [
        "HEADER.pack(OPEN, 99, 0)",
        *(
            pytest.param(lie, marks=pytest.mark.long)
            for lie in (
                "HEADER.pack(DATA, 99, 5) + b'hello'",
                "HEADER.pack(DATA, 1, 2**31)",
                "HEADER.pack(77, 0, 0)",
                "HEADER.pack(CONTROL, 0, 3) + b'{]\\n'",
            )
        ),
    ],
)
def test_a_container_that_breaks_the_rules_is_ended(
    far: str, fresh: Callable[..., Executor], lying: Callable[[str], None], lie: str
) -> None:
    lying(f"""
        from .mux import CONTROL, DATA, HEADER, OPEN

        def tell(self, event):
            told(self, event)
            if "started" in event:
                self._mux.out += {lie}
        FarBox._tell = tell
    """)
    with pytest.raises(KernelStartError, match="its container"):
        fresh()


@pytest.mark.parametrize(
    "path", ["../outside/made", *(pytest.param(path, marks=pytest.mark.long) for path in ("/tmp/made", "way/made"))]
)
def test_forged_files_are_written_nowhere(
    far: str, fresh: Callable[..., Executor], lying: Callable[[str], None], tmp_path: Path, path: str
) -> None:
    lying(f"""
        from .files import END, FILE, PIECE, record

        def forge(self, what):
            if b'"work"' not in what:
                return opened(self, what)
            return FilesOut(iter([record(FILE, {path!r}) + PIECE.pack(3) + b"bad" + PIECE.pack(0) + record(END, "")]))
        FarBox._opened = forge
    """)
    outside = tmp_path / "outside"
    outside.mkdir()
    executor = fresh()
    (executor.workdir / "way").symlink_to(outside)
    result = executor.execute("1")
    if path.startswith("way"):
        assert "could not be written: 'way/made'" in " ".join(result.notes)
    else:
        assert executor.execute("2").status == "died"  # the container was ended for it
    assert not list(outside.iterdir())
    assert not Path("/tmp/made").exists()


def test_the_connection_is_lost(engine: Any, monkeypatch: pytest.MonkeyPatch, fresh: Callable[..., Executor]) -> None:
    with elsewhere() as (port, process):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        executor = fresh()
        name = name_of(executor)
        execution = executor.submit("print('going', flush=True); import time; time.sleep(60)")
        while not execution.outputs():
            time.sleep(0.05)
        process.kill()
        start = time.monotonic()
        result = execution.result(60)
        assert result.status == "died"
        assert "engine has gone" in str(result.error)
        assert result.stdout == "going\n"
        assert time.monotonic() - start < 9  # an engine has ten to answer: they were not waited for
    until_gone(engine, name)


@pytest.mark.long
def test_the_keeper_is_killed(engine: Any, far: str, fresh: Callable[..., Executor]) -> None:
    executor = fresh()
    name = name_of(executor)
    os.kill(link_of(executor)._supervisor, signal.SIGKILL)
    until_gone(engine, name)
    assert executor.execute("1").status == "died"
    assert executor.execute("2").text == "2"


def test_the_client_is_killed(engine: Any, far: str, tmp_path: Path) -> None:
    code = f"""if True:
        import sys, time
        from kernel_exec import DockerKernel, Executor
        from tests.containers.conftest import name_of
        executor = Executor(kernel=DockerKernel(), workdir={str(tmp_path)!r}).start()
        print(name_of(executor), executor._core._conductor.kernels.session.kernel.directory, flush=True)
        executor.execute("file = open('large', 'wb')\\nfor _ in range(40): _ = file.write(bytes(2**20))")
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        name, directory = client.stdout.readline().split()
        time.sleep(0.3)  # anywhere in what comes then
        client.send_signal(signal.SIGKILL)
    until_gone(engine, name)
    assert wait_until(lambda: not Path(directory).exists())
    assert not list(tmp_path.glob(".*.kernel_exec"))


def until_gone(engine: Any, name: str) -> None:
    assert wait_until(lambda: not containers(engine, name))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, cert.pem and key.pem, good for either side; and a folder with an authority that nobody knows."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "other").mkdir()
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for place in (folder, folder / "other"):
        make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"
        subprocess.run(["openssl", *make.split()], cwd=place, check=True, capture_output=True)
    for command in (
        "req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout key.pem -out request.pem",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


def test_tls(engine: Any, certificates: Path, monkeypatch: pytest.MonkeyPatch, fresh: Callable[..., Executor]) -> None:
    files = [certificates / f"{name}.pem" for name in ("ca", "cert", "key")]
    with elsewhere(*files) as (port, _):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
        executor = fresh()
        name = name_of(executor)
        result = executor.execute("open('file', 'wb').write(bytes(3_000_000)); print('x' * 3_000_000)")
        assert len(result.stdout) == 3_000_001
        assert [one.size for one in result.artifacts] == [3_000_000]
        executor.close()
        until_gone(engine, name)
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates / "other"))
        with pytest.raises(EngineUnavailable, match="certificate verify failed"):
            Executor(kernel=DockerKernel()).start()


def test_ssh(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: Callable[..., Executor]) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
        test "$*" = "${{*#*-l someone -p 2222 -- far.example docker}}" && {{ echo 'no such host' >&2; exit 255; }}
        while test "$1" != --; do shift; done
        shift 2
        DOCKER_HOST=unix://{ENGINE} exec "$@"
    """)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", "ssh://someone@far.example:2222")
    executor = fresh()
    name = name_of(executor)
    result = executor.execute("open('file', 'wb').write(bytes(3_000_000)); print('x' * 3_000_000)")
    assert len(result.stdout) == 3_000_001
    assert [one.size for one in result.artifacts] == [3_000_000]
    executor.close()
    until_gone(engine, name)
    monkeypatch.setenv("DOCKER_HOST", "ssh://another@far.example")
    with pytest.raises(EngineUnavailable, match="no such host"):
        Executor(kernel=DockerKernel()).start()


@pytest.mark.parametrize(
    "answer",
    [
        b'200 OK\r\n\r\n{"Name": "docker-desktop", "KernelVersion": "6.10.14-linuxkit"}',
        pytest.param(b'403 Forbidden\r\n\r\n{"message": "not for you"}', marks=pytest.mark.long),
    ],
    ids=["another machine", "does not tell"],
)
def test_a_socket_here_of_an_engine_elsewhere(
    engine: Any, monkeypatch: pytest.MonkeyPatch, fresh: Callable[..., Executor], answer: bytes
) -> None:
    def meddle(line: str) -> bytes | None:
        return b"HTTP/1.0 " + answer if line.startswith("GET /info ") else None

    with forwarder(meddle) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        executor = fresh()
        assert engine.containers.get(name_of(executor)).attrs["Mounts"] == []
        assert executor.execute("1 + 1").text == "2"
        executor.close()


@pytest.mark.parametrize("address", ["http://x", "tcp://", "tcp://x:99999", "ssh://", "ssh://a:secret@b", "unix://"])
def test_an_address_that_is_none(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(InvalidArgument, match="not understood"):
        Executor(kernel=DockerKernel()).start()


def test_doctor_tells_the_way(engine: Any, far: str) -> None:
    def told(host: str) -> str:
        command = [sys.executable, "-m", "kernel_exec.cli", "doctor", "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "DOCKER_HOST": host}, check=False
        )
        found = json.loads(done.stdout)["checks"]
        return str(next(one["detail"] for one in found if one["name"] == "container engine"))

    version = engine.version()["Version"]
    assert told(f"unix://{ENGINE}").endswith(f"{version} at unix://{ENGINE}: files and sockets by mount")
    assert told(far).endswith(f"{version} at {far}: files and sockets by its attach stream")

"""`kernel-exec doctor` on machines where something is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.cli import values as status
from kernel_exec.cli.checks.finding import Finding
from kernel_exec.cli.checks.machine import linux_findings
from kernel_exec.cli.doctor import document_of, line_of, status_of
from tests.cli.conftest import PATIENCE, PROGRAM, Terminal
from tests.cli.core import core_only
from tests.cli.leftovers import nothing_is_left

ROOT = Path(__file__).parents[2]
STATES = {"ok", "warning", "missing", "failed"}


@dataclass
class Doctor:
    """Runs the command with a temporary directory of its own."""

    directory: Path
    environment: dict[str, str | None] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Its environment."""
        given = {**os.environ, "TMPDIR": str(self.directory / "tmp"), "DOCKER_HOST": "", **self.environment}
        return {name: value for name, value in given.items() if value is not None}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; nothing may be left of it."""
        return self.run([*PROGRAM, "doctor", *arguments])

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in its environment."""
        done = subprocess.run(
            command, cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        nothing_is_left(self.directory / "tmp")
        return done

    def findings(self, expected: int = status.OK) -> dict[str, dict[str, Any]]:
        """Run it with --json; return what it found, by name."""
        done = self("--json")
        assert done.returncode == expected, done.stdout + done.stderr
        return {found["name"]: found for found in json.loads(done.stdout)["checks"]}

    def checks(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run it with checks of one's own: `text` is a program that binds `checks`."""
        return self.run([sys.executable, "-c", self.program(text)])

    @staticmethod
    def program(text: str) -> str:
        """Return the program that `checks` runs."""
        head = "import sys\nfrom kernel_exec.cli.doctor import doctor\nfrom kernel_exec.cli.arguments import *\n"
        head += "from kernel_exec.cli.checks.finding import Check, Finding\n"
        return head + textwrap.dedent(text) + "\nsys.exit(doctor(DoctorArguments(False), checks))"

    def spec(self, name: str, spec: str | dict[str, Any]) -> None:
        """Install a kernelspec."""
        folder = self.directory / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(spec if isinstance(spec, str) else json.dumps(spec))
        self.environment["JUPYTER_PATH"] = str(self.directory / "jupyter")


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    (tmp_path / "tmp").mkdir()
    return Doctor(tmp_path)


def test_each_line_says_what_to_do(doctor: Doctor) -> None:
    done = doctor()
    assert (done.returncode, done.stderr) == (status.OK, "")
    *lines, last = done.stdout.splitlines()
    assert last == "Kernels can be used here."
    assert any(line.startswith("ok       kernel python3: started, computed 1 + 1") for line in lines)
    assert "\x1b" not in done.stdout
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        assert line.split()[0] in {*STATES, "->"}
        assert line.split()[0] not in {"missing", "failed"} or below.startswith("         -> ")


def test_json_is_one_document(doctor: Doctor) -> None:
    done = doctor("--json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (status.OK, "")
    assert (document["ok"], document["exit_status"]) == (True, status.OK)
    for found in document["checks"]:
        assert set(found) == {"name", "state", "detail", "remedy"}
        assert all(isinstance(value, str) for value in found.values())
        assert found["state"] in STATES
        assert found["detail"]
        assert found["remedy"] or found["state"] in {"ok", "warning"}
    names = [found["name"] for found in document["checks"]]
    assert len(set(names)) == len(names)
    assert {"python", "fork", "kernelspec python3", "font: Chinese", "browser", "extra terminal"} <= set(names)


@contextlib.contextmanager
def listener(*, trickles: bool) -> Iterator[str]:
    """An engine that takes calls and never answers them, or never comes to an end; its DOCKER_HOST."""
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as calls:
        over = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):  # the server was closed
                while True:
                    call = calls.enter_context(server.accept()[0])
                    while trickles and not over.wait(0.2):
                        call.sendall(b"X-More: and more\r\n" * (call.send(b"HTTP/1.1 200 OK\r\n") > 0))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.long
@pytest.mark.parametrize("trickles", [False, True])
def test_an_engine_that_never_answers(doctor: Doctor, trickles: bool) -> None:
    with listener(trickles=trickles) as host:
        doctor.environment["DOCKER_HOST"] = host
        found = doctor.findings()["container engine"]
    assert found["state"] in {"missing", "warning"}
    assert found["remedy"]
    assert trickles or host in found["detail"]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("unix:///no/such/socket", "No such file"),
        ("tcp://127.0.0.1:1", "refused"),
        ("ssh://nobody@127.0.0.1", ""),
        ("nonsense://", ""),
        ("tcp://", ""),
    ],
)
def test_an_engine_that_is_not_there(doctor: Doctor, host: str, said: str) -> None:
    doctor.environment["DOCKER_HOST"] = host
    found = doctor.findings()["container engine"]
    assert found["state"] == "missing"
    assert said in found["detail"]
    assert found["remedy"]


def test_an_engine_without_permission(doctor: Doctor) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(path := f"{folder}/docker")  # the directory of the test has too long a name for a socket
        server.listen()
        os.chmod(path, 0)
        doctor.environment["DOCKER_HOST"] = f"unix://{path}"
        done = doctor.checks("""
            import os
            import docker.api, requests.adapters, urllib3
            from kernel_exec.cli.checks import engine
            if not os.getuid():
                os.seteuid(65534)  # root may do everything
            checks = [Check("engine", engine)]
        """)
    assert "Permission denied" in done.stdout
    assert "usermod -aG docker" in done.stdout


@pytest.mark.long
def test_a_kernel_that_never_answers(doctor: Doctor) -> None:
    pid = doctor.directory / "pid"
    os.mkfifo(pid)
    doctor.spec("python3", {"argv": ["sh", "-c", f"echo $$ > {pid}; exec sleep 1000"], "display_name": "x"})
    program = """
        from dataclasses import replace
        from kernel_exec.cli.checks import CHECKS
        checks = [replace(check, seconds=10.0) for check in CHECKS if check.name == "kernel python3"]
    """
    with subprocess.Popen(
        [sys.executable, "-c", doctor.program(program)],
        cwd=doctor.directory,
        env=doctor.env,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        kernel = int(pid.read_text())
        told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == status.CANNOT
    assert told.startswith("failed   kernel python3: no answer within 10 s\n")
    nothing_is_left(doctor.directory / "tmp")
    assert not Path(f"/proc/{kernel}").exists()


def test_a_kernel_that_cannot_be_started(doctor: Doctor) -> None:
    doctor.spec("python3", {"argv": ["/no/such/python", "-m", "ipykernel_launcher"], "display_name": "x"})
    found = doctor.findings(status.CANNOT)
    assert found["kernel python3"]["state"] == "failed"
    assert "/no/such/python" in found["kernel python3"]["detail"]
    assert found["kernelspec python3"]["state"] == "warning"
    assert "pip install ipykernel" in found["kernel python3"]["remedy"]


def test_kernels_that_answer_wrongly(doctor: Doctor) -> None:
    echo = ROOT / "tests" / "kernels" / "echo_kernel.py"
    doctor.spec("python3", {"argv": [sys.executable, str(echo), "-f", "{connection_file}"], "display_name": "x"})
    assert doctor.findings(status.CANNOT)["kernel python3"]["detail"].startswith("1 + 1 gave")


def test_kernelspecs_of_all_kinds(doctor: Doctor) -> None:
    doctor.spec("ghost", {"argv": ["/no/such/kernel"], "display_name": "Ghost", "language": "ghostly"})
    doctor.spec("other", {"argv": ["/bin/sh", "-c", "true"], "display_name": "Other", "language": "shell"})
    doctor.spec("broken", "{")
    doctor.spec("empty", {"argv": [], "display_name": "Empty", "language": "none"})
    doctor.spec("typeless", {"argv": 5, "display_name": "Typeless"})
    doctor.spec("numbers", {"argv": [1, 2], "display_name": "Numbers"})
    doctor.spec("list", "[1]")
    found = doctor.findings()
    assert found["kernelspec ghost"]["state"] == "warning"
    assert "ghostly" in found["kernelspec ghost"]["detail"]
    assert "'/no/such/kernel' does not exist" in found["kernelspec ghost"]["detail"]
    assert found["kernelspec other"]["state"] == "ok"
    assert "without our launcher" in found["kernelspec other"]["detail"]
    assert found["kernelspec python3"]["detail"].endswith("started through our launcher")
    for name in ("broken", "empty", "typeless", "numbers", "list"):
        assert found[f"kernelspec {name}"]["state"] == "warning"
        assert found[f"kernelspec {name}"]["remedy"]


def test_an_empty_path(doctor: Doctor) -> None:
    doctor.environment["PATH"] = ""
    found = doctor.findings()
    assert found["kernel python3"]["state"] == "ok"
    assert found["browser"]["state"] == "missing"


@pytest.mark.long
@pytest.mark.parametrize("home", [None, "/proc/no/such/home", ""])
def test_no_home(doctor: Doctor, home: str | None) -> None:
    doctor.environment["HOME"] = home
    doctor.environment["MPLCONFIGDIR"] = None
    assert doctor.findings()["kernel python3"]["state"] == "ok"


@pytest.mark.long
def test_a_temporary_directory_that_is_too_deep(doctor: Doctor) -> None:
    deep = doctor.directory / "tmp" / ("deep" * 30)
    deep.mkdir()
    doctor.environment["TMPDIR"] = str(deep)
    found = doctor.findings()["runtime directory"]
    assert found["state"] == "ok"
    assert found["detail"].startswith("/tmp (")  # where else sockets find room
    assert "too long" in found["detail"]


def test_a_directory_that_is_gone(doctor: Doctor) -> None:
    command = f"mkdir gone && cd gone && rmdir ../gone && exec {shlex.join([*PROGRAM, 'doctor'])}"
    done = doctor.run(["sh", "-c", command])
    assert (done.returncode, done.stderr) == (status.OK, "")
    assert "disk: work directory: . cannot be looked at" in done.stdout


def test_a_browser_is_found(doctor: Doctor) -> None:
    (doctor.directory / "firefox").write_text("#!/bin/sh\n")
    (doctor.directory / "firefox").chmod(0o755)
    doctor.environment["PATH"] = str(doctor.directory)
    assert doctor.findings()["browser"]["detail"] == str(doctor.directory / "firefox")


@pytest.fixture
def core(doctor: Doctor) -> list[str]:
    """The command with nothing installed but what it needs."""
    folder = doctor.directory / "core"
    folder.mkdir()
    core_only(folder)
    doctor.environment["PYTHONPATH"] = f"{ROOT}:{folder}"
    return [sys.executable, "-S", *PROGRAM[1:]]


@pytest.mark.long
def test_without_any_extra(doctor: Doctor, core: list[str]) -> None:
    done = doctor.run([*core, "doctor", "--json"])
    assert done.returncode == status.OK, done.stdout + done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert found["python"]["state"] == "ok"
    assert found["extra terminal"]["detail"].startswith("not installed: rich>=")
    assert "textual-image" in found["extra terminal"]["detail"]
    assert found["extra terminal"]["remedy"] == "python -m pip install 'kernel-exec[terminal]'"
    assert found["terminal pictures"]["remedy"] == found["extra terminal"]["remedy"]
    assert "rich" in found["extra dev"]["detail"]  # an extra that is made of others


def test_packages_that_are_too_old(doctor: Doctor) -> None:
    for name in ("rich", "pyzmq"):
        (doctor.directory / "old" / f"{name}-1.0.dist-info").mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        (doctor.directory / "old" / f"{name}-1.0.dist-info" / "METADATA").write_text(text)
    doctor.environment["PYTHONPATH"] = f"{doctor.directory / 'old'}:{ROOT}"
    found = doctor.findings(status.CANNOT)
    assert found["extra terminal"]["detail"].startswith("not installed: rich>=")
    assert found["python"]["state"] == "failed"
    assert found["python"]["remedy"].startswith("python -m pip install 'pyzmq>=")


def test_a_check_that_hangs_is_told_and_does_not_hold_the_others(doctor: Doctor) -> None:
    done = doctor.checks("""
        import threading
        hang = threading.Event().wait
        checks = [Check("one", hang, seconds=0.5), Check("two", hang, needed=True, seconds=0.5),
                  Check("three", lambda: [Finding("three", "ok", "fine")])]
    """)
    assert done.returncode == status.CANNOT
    assert [line.split(":")[0] for line in done.stdout.splitlines() if "->" not in line] == [
        "warning  one",
        "failed   two",
        "ok       three",
        "Kernels cannot be used here",
    ]
    assert done.stdout.count("no answer within 0.5 s") == 2


def test_a_check_that_holds_the_interpreter_ends_too(doctor: Doctor) -> None:
    done = doctor.checks("""
        import ctypes
        checks = [Check("held", lambda: ctypes.PyDLL(None).sleep(1000), seconds=0.2)]
    """)
    assert done.returncode == status.ERROR
    assert "Timeout" in done.stderr


def test_a_check_that_breaks_is_told(doctor: Doctor) -> None:
    done = doctor.checks("""
        def breaks(): raise LookupError("what?")
        def leaves(): sys.exit("never")
        checks = [Check("one", breaks), Check("two", leaves, needed=True)]
    """)
    assert done.returncode == status.CANNOT
    assert "warning  one: the check itself failed: LookupError: what?" in done.stdout
    assert "failed   two: the check itself failed: SystemExit: never" in done.stdout
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_it(doctor: Doctor) -> None:
    program = doctor.program("""
        import threading
        checks = [Check("one", lambda: [Finding("one", "ok", "fine")]), Check("two", threading.Event().wait)]
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ok       one: fine\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == status.INTERRUPTED


def test_its_probes_end_with_it(doctor: Doctor) -> None:
    settings = doctor.directory / "matplotlibrc"
    os.mkfifo(settings)
    doctor.environment["MATPLOTLIBRC"] = str(settings)
    with subprocess.Popen([*PROGRAM, "doctor"], env=doctor.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with settings.open("w"):  # returns when matplotlib reads it
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == status.INTERRUPTED
            nothing_is_left(doctor.directory / "tmp")


@pytest.mark.long
def test_standard_streams_may_be_closed(doctor: Doctor) -> None:
    command = f"{shlex.join([*PROGRAM, 'doctor'])} <&- >&- 2>&-"
    done = doctor.run(["sh", "-c", command])
    assert done.returncode == status.OK


def test_output_that_cannot_be_written_is_said_clearly(doctor: Doctor) -> None:
    done = doctor.run(["sh", "-c", f"{shlex.join([*PROGRAM, 'doctor'])} > /dev/full"])
    assert done.returncode == status.CANNOT
    assert done.stderr == "kernel-exec: the output cannot be written: [Errno 28] No space left on device\n"


def test_a_reader_who_goes_away_is_no_error(doctor: Doctor) -> None:
    with subprocess.Popen(
        [*PROGRAM, "doctor"], env=doctor.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == status.BROKEN_PIPE
    nothing_is_left(doctor.directory / "tmp")


@pytest.mark.long
def test_on_a_terminal_it_has_colours_and_knows_what_that_shows(doctor: Doctor, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(doctor.directory / "tmp"))
    with Terminal(doctor.directory, ["doctor"], PROGRAM) as terminal:
        assert terminal.end() == status.OK
    assert "\x1b[32mok" in terminal.text
    assert "terminal pictures: coarse pictures" in terminal.text
    nothing_is_left(doctor.directory / "tmp")


def test_what_linux_lacks() -> None:
    lacking = {"fork": "no", "pidfd": "no", "subreaper": "no", "lease": "no", "directories": {"/tmp": "full"}}
    found = {one.name: one for one in linux_findings(lacking)}
    assert {name for name, one in found.items() if one.state == "failed"} == {
        "fork",
        "pidfd",
        "subreaper",
        "runtime directory",
    }
    assert found["file leases"].state == "warning"
    assert all(one.remedy for one in found.values())


def test_the_report() -> None:
    fine, missing = Finding("a", "ok", "all\nis well"), Finding("b", "missing", "not there", "get one")
    failed = Finding("c", "failed", "broken", "mend it")
    assert line_of(fine) == "ok       a: all is well\n"
    assert line_of(missing) == "missing  b: not there\n         -> get one\n"
    assert line_of(fine, colour=True) == "\x1b[32mok      \x1b[0m a: all is well\n"
    assert status_of([fine, missing]) == status.OK
    assert status_of([fine, failed, missing]) == status.CANNOT
    assert json.loads(document_of([failed])) == {
        "ok": False,
        "exit_status": status.CANNOT,
        "checks": [{"name": "c", "state": "failed", "detail": "broken", "remedy": "mend it"}],
    }

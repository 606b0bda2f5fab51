"""What code in a container cannot do. Every target outside of it is one that the test itself opens."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import Executor, Limits

TRY = """
def attempt(do):
    try:
        return ["done", do()]
    except BaseException as error:
        return [type(error).__name__, getattr(error, "errno", None) or str(error)]
"""


def attempt(box: Executor, code: str) -> tuple[str, Any]:
    """What came of an expression: "done" and its value, or the name of the error and its number."""
    result = box.execute(f"{TRY}\nimport os, socket, ctypes, sys\ntried = attempt(lambda: {code})")
    assert result.ok, result.text
    kind, value = box.get("tried")
    return kind, value


def test_no_address_and_no_name_can_be_reached(box: Executor, engine: Any) -> None:
    bridge = engine.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    for address in ("127.0.0.1", bridge):
        with socket.create_server((address, 0)) as server:
            port = server.getsockname()[1]
            with contextlib.closing(socket.create_connection((address, port), timeout=2)):
                pass  # it can be reached from here
            kind, _ = attempt(box, f"socket.create_connection(({address!r}, {port}), timeout=2)")
            assert kind in {"ConnectionRefusedError", "OSError", "TimeoutError"}
    assert attempt(box, "[name for _, name in socket.if_nameindex()]") == ("done", ["lo"])
    assert attempt(box, "socket.getaddrinfo('host.docker.internal', 80)")[0] == "gaierror"
    assert attempt(box, "socket.getaddrinfo('localhost', 80) and 1") == ("done", 1)


def test_it_can_listen_and_talk_to_itself(box: Executor) -> None:
    code = "s = socket.create_server(('localhost', 0)); c = socket.create_connection(s.getsockname()); 1"
    assert box.execute(f"import socket\n{code}").text == "1"


def test_the_host_cannot_be_seen(box: Executor, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    secret.chmod(0o644)
    assert attempt(box, f"open({str(secret)!r}).read()")[0] == "FileNotFoundError"
    for path in ("/var/run/docker.sock", "/run/docker.sock"):
        assert attempt(box, f"os.path.exists({path!r})") == ("done", False)
    kind, pids = attempt(box, "[int(name) for name in os.listdir('/proc') if name.isdigit()]")
    assert kind == "done"
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_nothing_of_the_environment_comes_in(fresh: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    executor = fresh()
    executor.execute("import os; seen = dict(os.environ); first = open('/proc/self/environ').read()")
    assert "hunter2" not in str(executor.get("seen")) + executor.get("first")
    assert "PYTHONPATH" not in executor.get("seen")


@pytest.mark.parametrize(
    "place", ["/", "/usr", "/etc", "/opt/kernel_exec", "/opt", "/run", "/sys", "/proc/sys/kernel", "/sys/fs/cgroup"]
)
def test_nothing_can_be_written_elsewhere(box: Executor, place: str) -> None:
    assert attempt(box, f"open({place!r} + '/x', 'w')")[0] in {"OSError", "PermissionError", "FileNotFoundError"}


@pytest.mark.parametrize("path", ["/etc/hosts", "/opt/kernel_exec/launcher.py", "/usr/bin/python3"])
def test_what_is_there_cannot_be_changed(box: Executor, path: str) -> None:
    assert attempt(box, f"open({path!r}, 'a')")[0] in {"OSError", "PermissionError"}
    assert attempt(box, f"os.unlink({path!r})")[0] in {"OSError", "PermissionError"}


def test_these_are_all_places_that_can_be_written(box: Executor) -> None:
    """Beside devices that are nothing but a stream: the work directory, that of the sockets, and files in memory."""
    found = box.execute(
        "import os\nplaces = set()\nfor top, folders, files in os.walk('/'):\n"
        "    folders[:] = [name for name in folders if (top, name) not in {('/', 'proc'), ('/', 'sys')}]\n"
        "    if os.access(top, os.W_OK) and top not in places: places.add(top)\n"
        "    places.update(path for path in (os.path.join(top, name) for name in files)\n"
        "                  if os.access(path, os.W_OK) and os.path.isfile(path) and top not in places)\n"
        "    if top in places: folders.clear()\nsorted(places)"
    )
    assert found.text == str(["/dev/mqueue", "/dev/shm", "/run/kernel_exec", "/tmp", "/workspace"])
    kinds = "{place: os.statvfs(place).f_blocks * os.statvfs(place).f_frsize for place in ('/dev/shm', '/tmp')}"
    assert box.execute(kinds).text == str({"/dev/shm": 64 << 20, "/tmp": 256 << 20})


def test_no_rights_are_held_and_none_can_be_gained(box: Executor) -> None:
    box.execute(
        "status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())\n"
        "status = {name: value.strip() for name, value in status.items()}"
    )
    status = box.get("status")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split()
    assert attempt(box, "os.setuid(0)")[0] == "PermissionError"
    assert attempt(box, "os.setgroups([0])")[0] == "PermissionError"
    assert attempt(box, "os.chroot('/tmp')")[0] == "PermissionError"
    assert attempt(box, "os.mknod('/workspace/null', 0o20666, os.makedev(1, 3))")[0] == "PermissionError"


@pytest.mark.parametrize(
    "call",
    [
        "mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "umount2(b'/workspace', 2)",
        "unshare(0x10000000)",
        "unshare(0x20000)",
        "ptrace(16, 1, None, None)",
        "setns(0, 0)",
        "klogctl(3, None, 0)",
        "init_module(None, 0, b'')",
        "reboot(0x1234567)",
        "sethostname(b'x', 1)",
        "swapon(b'/tmp', 0)",
        "adjtimex(None)",
        "syscall(321, 0, None, 0)",
        "syscall(248, b'user', b'x', b'', 0, -3)",
    ],
)
def test_the_system_refuses(box: Executor, call: str) -> None:
    kind, value = attempt(box, f"[ctypes.CDLL(None, use_errno=True).{call}, ctypes.get_errno()]")
    assert kind == "AttributeError" or value[0] == -1, value


def test_the_first_process_cannot_be_touched(box: Executor) -> None:
    for path in ("/proc/1/mem", "/proc/1/environ", "/proc/1/fd/0", "/proc/1/fd/1"):
        assert attempt(box, f"open({path!r}, 'rb')")[0] == "PermissionError", path
    box.execute(
        "import ctypes, os, struct\nfor number in range(1, 65):\n    os.kill(1, number)\n"
        # rt_sigqueueinfo(2): whoever calls that names the sender himself
        "    for code in (0, -1, -6):\n"
        "        ctypes.CDLL(None).syscall(129, 1, number, struct.pack('iiiiii104x', number, 0, code, 0, 0, 0))"
    )
    assert box.execute("1 + 1").text == "2"
    assert attempt(box, "sys.modules['signal'].pthread_sigmask(0, ()) == set()") == ("done", True)


def test_a_setuid_program_makes_nobody_root(box: Executor) -> None:
    code = (
        "import os, shutil, subprocess, sys\nshutil.copy('/usr/bin/id', 'mine')\nos.chmod('mine', 0o4755)\n"
        "subprocess.run(['./mine', '-u'], capture_output=True, text=True).stdout.strip() == str(os.getuid())"
    )
    assert box.execute(code).text.startswith("True")
    box.execute("import os; os.unlink('mine')")


def test_files_belong_to_the_caller(box: Executor) -> None:
    box.execute("open('mine.txt', 'w').write('x'); import os; os.makedirs('folder', exist_ok=True)")
    for name in ("mine.txt", "folder"):
        state = (box.workdir / name).stat()
        assert (state.st_uid, state.st_gid) == (os.getuid(), os.getgid())
        assert not state.st_mode & 0o022
    (box.workdir / "given.txt").write_text("from the host")
    (box.workdir / "given.txt").chmod(0o600)
    assert attempt(box, "open('given.txt').read()") == ("done", "from the host")


def test_processes_are_bounded(fresh: Callable[..., Executor]) -> None:
    executor = fresh(limits=Limits(pids=40))
    code = (
        "import os, time\nmade = []\nrefused = 0\n"
        "for _ in range(200):\n    try:\n        pid = os.fork()\n    except OSError as error:\n"
        "        refused = error.errno\n        break\n"
        "    if not pid:\n        time.sleep(20); os._exit(0)\n    made.append(pid)\n"
        "for pid in made: os.kill(pid, 9)\nfor pid in made: os.waitpid(pid, 0)\n(refused, len(made) < 40)"
    )
    assert executor.execute(code).text == "(11, True)"
    assert executor.execute("1").ok


def test_descriptors_are_bounded(box: Executor) -> None:
    code = (
        "files = []\ntry:\n    while len(files) < 10000: files.append(open('/dev/null'))\n"
        "except OSError as error: found = error.errno\n"
        "n = len(files); del files; (found, n <= 4096)"
    )
    assert box.execute(code).text == "(24, True)"


def test_memory_files_are_bounded(fresh: Callable[..., Executor]) -> None:
    executor = fresh(tmpfs="16m")
    code = (
        "try:\n    open('/tmp/big', 'wb').write(bytes(32 << 20))\nexcept OSError as error: found = error.errno\nfound"
    )
    assert executor.execute(code).text == "28"
    assert executor.execute("import os; os.unlink('/tmp/big'); open('/tmp/small', 'w').write('x')").ok


def test_inodes_are_bounded(box: Executor) -> None:
    code = (
        "import os\nos.makedirs('/tmp/many')\ntry:\n    for n in range(100000): open(f'/tmp/many/{n}', 'w').close()\n"
        "except OSError as error: found = error.errno\nimport shutil; shutil.rmtree('/tmp/many'); found"
    )
    assert box.execute(code).text == "28"


def test_processors_are_bounded(fresh: Callable[..., Executor]) -> None:
    executor = fresh(limits=Limits(cpus=0.5))
    code = (
        "import time\nwall, used = time.perf_counter(), time.process_time()\n"
        "while time.perf_counter() - wall < 2: pass\n(time.process_time() - used) / (time.perf_counter() - wall)"
    )
    assert float(executor.execute(code).text) < 0.75


def test_too_much_memory_is_a_memory_error_first(fresh: Callable[..., Executor]) -> None:
    executor = fresh(limits=Limits(memory="256m"))
    executor.execute("kept = 1")
    result = executor.execute("data = bytearray(400 << 20)")
    assert result.error is not None
    assert result.error.name == "MemoryError"
    assert executor.execute("kept").text == "1"


def test_no_other_user_reaches_the_endpoint(box: Executor) -> None:
    session = box._core._conductor.kernels.session
    assert session is not None
    directory = session.kernel.directory
    assert directory is not None
    state = directory.stat()
    assert (state.st_uid, state.st_mode & 0o077) == (os.getuid(), 0)
    listening = "[line.split()[1] for name in ('tcp', 'tcp6') for line in open(f'/proc/net/{name}').readlines()[1:]]"
    kind, addresses = attempt(box, listening)
    assert kind == "done"
    assert all(address.startswith("0100007F:") for address in addresses)  # its own loopback, where nobody else is

"""A list of hosts: what is on it can be reached, and nothing else. Every target is one that the test itself opens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from jupyter_client.manager import AsyncKernelManager

from kernel_exec import DockerKernel, ExecutionResult, Executor, InvalidArgument, KernelStartError, Limits, WrongType
from kernel_exec.inkernel.gate import hand_out
from kernel_exec.kernels.link import SupervisorLink
from tests.containers.conftest import name_of
from tests.containers.elsewhere import elsewhere
from tests.executor.looks import runs, wait_until

INSIDE = """
import contextlib, socket, urllib.error, urllib.request

def talk(*pieces, shut=False):
    with socket.create_connection(("127.0.0.1", 3128), timeout=15) as out:
        with contextlib.suppress(ConnectionError):
            for piece in pieces: out.sendall(piece)
        if shut: out.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionError):
            while chunk := out.recv(1 << 16): got += chunk
    return got.decode("latin-1")

def tunnel(authority):
    out = socket.create_connection(("127.0.0.1", 3128), timeout=15)
    out.sendall(f"CONNECT {authority} HTTP/1.1\\r\\n\\r\\n".encode())
    got = b""
    while b"\\r\\n\\r\\n" not in got and (chunk := out.recv(1)): got += chunk
    return out, got.decode("latin-1")

def status(url):
    try:
        with urllib.request.urlopen(url, timeout=15) as answer: return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error: return [error.code, error.read().decode()]
"""


class Site:
    """Something that can be reached from here; notes what arrives."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.requests: list[str] = []
        self.elsewhere = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.requests.append(f"{self.path} {self.headers['Host']}")
                body = b"from the site"
                self.send_response(302 if self.path == "/away" else 200)
                self.send_header("Location", site.elsewhere)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quietly."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.address, self.port = address, self._server.server_port
        self.target = f"{address}:{self.port}"

    def __enter__(self) -> Site:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def other(engine: Any) -> Iterator[Site]:
    """One that nobody may reach; on an address that containers with a network do."""
    with Site(engine.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")) as site:
        yield site
        assert site.requests == []


@pytest.fixture(scope="module")
def box(engine: Any, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor that may reach one site, and names that do not lead anywhere public."""
    network = [site.target, f"localhost:{site.port}", f"{socket.gethostname()}:{site.port}", "*.example.org"]
    workdir = tmp_path_factory.mktemp("allowed")
    with Executor(kernel=DockerKernel(network=network), workdir=workdir, timeout=60) as executor:
        assert executor.execute(INSIDE).ok
        yield executor


def value(box: Executor, code: str) -> Any:
    """What an expression is there."""
    result = box.execute(f"found = {code}")
    assert result.ok, result.text
    return box.get("found")


def proxies(mark: str) -> list[int]:
    """The proxies in whose environment something stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            started = b"start.py\0proxy\0" in (path / "cmdline").read_bytes()
            if started and mark.encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


def link_of(executor: Executor) -> SupervisorLink:
    session = executor._core._conductor.kernels.session
    assert session is not None
    link = session.kernel._provisioner.link
    assert link is not None
    return link


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_what_is_listed_can_be_reached(box: Executor, site: Site) -> None:
    assert value(box, f"status('http://{site.target}/plain')") == [200, "from the site"]
    assert value(box, f"status('http://localhost:{site.port}/name')") == [200, "from the site"]
    ask = "GET /tunnel HTTP/1.1\\r\\nHost: any\\r\\nConnection: close\\r\\n\\r\\n"
    assert box.execute(f"out, head = tunnel('{site.target}')\nout.sendall(b'{ask}')").ok
    told = value(box, "head + out.makefile(newline='').read()")
    assert box.execute("out.close()").ok
    assert told.startswith("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
    assert told.endswith("from the site")
    assert {f"/plain {site.target}", f"/name localhost:{site.port}", "/tunnel any"} <= set(site.requests)


LIBRARIES = """
import importlib, subprocess, sys
sys.path.append("/mnt/site")
def tried(name, url):
    try: return importlib.import_module(name).get(url).status_code
    except Exception as error: return str(error)
def pip(index):
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries=0", "--index-url", index, "none-such"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": "/mnt/site"}, capture_output=True, text=True)
    return done.stdout + done.stderr
"""


def is_told(executor: Executor, result: ExecutionResult, *words: str) -> bool:
    """Whether a note of this cell, or of one soon after, has these words: it comes by another way than the answer."""
    notes = list(result.notes)

    def found() -> bool:
        if any(all(word in note for word in words) for note in notes):
            return True
        notes.extend(executor.execute("1").notes)
        return False

    return wait_until(found)


def test_libraries_find_the_way(fresh: Callable[..., Executor], site: Site) -> None:
    """This machine's are mounted: the image has none of them."""
    executor = fresh(network=[site.target], mounts={Path(requests.__file__).parents[1]: "/mnt/site"})
    executor.execute(f"import os\n{LIBRARIES}")
    for name in ("requests", "pip._vendor.requests"):
        assert value(executor, f"tried('{name}', 'http://{site.target}/{name}')") == 200
        assert f"/{name} {site.target}" in site.requests
        assert "403" in str(value(executor, f"tried('{name}', 'https://example.com/')"))
    value(executor, f"pip('http://{site.target}/simple')")
    assert f"/simple/none-such/ {site.target}" in site.requests
    result = executor.execute("print(pip('https://pypi.org/simple'))")
    assert "No matching distribution found" in result.stdout  # that is all that it says
    assert is_told(executor, result, "pypi.org:443")


def test_all_else_is_refused_and_told(box: Executor, other: Site, site: Site) -> None:
    told, body = value(box, f"status('http://{other.target}/')")
    assert told == 403
    assert body.startswith(f"{other.target} is not allowed: DockerKernel(network=[...])")
    assert f"add '{other.target}'" in body
    result = box.execute("urllib.request.urlopen('https://example.com/x')")
    assert result.error is not None
    assert "403 example.com:443 is not allowed: DockerKernel(network=[...])" in result.error.value
    assert is_told(box, result, "does not allow it", "example.com:443")
    for authority in ("127.0.0.1:1", "127.0.0.1:22", "[::1]:443", "example.org:443", "other.invalid:443"):
        assert " 403 " in value(box, f"talk(b'CONNECT {authority} HTTP/1.1\\r\\n\\r\\n')"), authority
    assert site.requests.count("/") == 0


def test_there_is_no_other_way(box: Executor, other: Site, site: Site, engine: Any) -> None:
    about = engine.containers.get(name_of(box)).attrs
    assert about["HostConfig"]["NetworkMode"] == "none"
    assert value(box, "[name for _, name in socket.if_nameindex()]") == ["lo"]
    assert value(box, "open('/proc/net/route').read().count('\\n')") == 1
    for address, port in ((other.address, other.port), (site.address, site.port)):
        code = f"socket.create_connection(({address!r}, {port}), timeout=2)"
        assert box.execute(code).error.name in {"OSError", "ConnectionRefusedError"}  # type: ignore[union-attr]
    for name in ("example.com", socket.gethostname()):
        assert box.execute(f"socket.getaddrinfo({name!r}, 80)").error.name == "gaierror"  # type: ignore[union-attr]


def test_nothing_of_ours_is_inside(box: Executor) -> None:
    """No process that carries bytes, and no socket on the way: what there was is closed."""
    box.execute("import os")
    assert len(value(box, "[name for name in os.listdir('/proc') if name.isdigit()]")) == 2
    assert value(box, "[name for name in os.listdir('/run/kernel_exec') if name.startswith('gate')]") == []


def test_a_redirect_leads_no_further(box: Executor, site: Site, other: Site) -> None:
    site.elsewhere = f"http://{other.target}/"
    told, body = value(box, f"status('http://{site.target}/away')")
    assert told == 403
    assert other.target in body


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("GET http://{site}@{other}/ HTTP/1.1", 400),
        ("GET http://{other}#@{site}/ HTTP/1.1", 400),
        ("GET http://{other}\\@{site}/ HTTP/1.1", 400),
        ("GET http://{other}/ HTTP/1.1\r\nHost: {site}", 403),
        ("GET http://{other}/http://{site}/ HTTP/1.1", 403),
        ("GET / HTTP/1.1\r\nHost: {other}", 400),
        ("CONNECT {site}@{other} HTTP/1.1", 400),
        ("CONNECT {other} HTTP/1.1\r\nHost: {site}", 403),
        ("CONNECT {other}:443 HTTP/1.1", 400),
        ("CONNECT {site}:443 HTTP/1.1", 400),
        ("CONNECT 127.0.0.1:99999 HTTP/1.1", 400),
        ("CONNECT 127.1:{port} HTTP/1.1", 403),
        ("CONNECT 2130706433:{port} HTTP/1.1", 403),
        ("CONNECT 0x7f000001:{port} HTTP/1.1", 403),
        ("CONNECT 0:{port} HTTP/1.1", 403),
        ("CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1", 403),
        ("CONNECT [::1%lo]:{port} HTTP/1.1", 400),
        ("CONNECT 127.0.0.1:{port}\tHTTP/1.1", 400),
        ("\x16\x03\x01 not HTTP at all", 400),
        ("GET http://{site}/ HTTP/1.1\r\nX: y\r\n z", 400),
        ("GET http://{site}/ HTTP/1.1\r\nX: \0", 400),
        ("GET http://{site}/trick HTTP/1.1\r\nHost: {other}", 200),
        ("CONNECT LOCALHOST.:{port} HTTP/1.1\r\n\r\nGET /trick HTTP/1.1\r\nHost: a\r\nConnection: close", 200),
    ],
)
def test_tricks(box: Executor, site: Site, other: Site, request_: str, expected: int) -> None:
    text = request_.format(site=site.target, other=other.target, port=site.port) + "\r\n\r\n"
    told = value(box, f"talk({text.encode('latin-1')!r})")
    assert told.startswith(f"HTTP/1.1 {expected} "), told
    if "/trick" in text:
        assert site.requests.pop() in {f"/trick {site.target}", "/trick a"}


def test_a_second_request_goes_where_the_first_went(box: Executor, site: Site, other: Site) -> None:
    """What follows the head is not looked at: it is bytes for the host that was allowed."""
    second = f"GET http://{other.target}/second HTTP/1.1\r\nHost: {other.target}\r\n\r\n"
    for first in (
        f"GET http://{site.target}/first HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"CONNECT {site.target} HTTP/1.1\r\n\r\n",
    ):
        told = value(box, f"talk({(first + second).encode()!r}, shut=True)")
        assert told.startswith("HTTP/1.1 200 ")
    assert f"http://{other.target}/second {other.target}" in site.requests


def test_the_head_is_bounded(box: Executor, site: Site) -> None:
    head = f"b'CONNECT {site.target} HTTP/1.1\\r\\n' + b'X: y\\r\\n' * 100_000"
    assert value(box, f"talk({head})").startswith("HTTP/1.1 431 ")
    assert value(box, "talk(b'x' * 10_000_000)").startswith("HTTP/1.1 431 ")
    assert value(box, f"status('http://{site.target}/')[0]") == 200


def test_names_that_lead_inside_are_refused(box: Executor, site: Site) -> None:
    told = value(box, f"talk(b'CONNECT {socket.gethostname()}:{site.port} HTTP/1.1\\r\\n\\r\\n')")
    try:
        socket.getaddrinfo(socket.gethostname(), site.port)
    except socket.gaierror:  # a machine that does not know its own name
        assert told.startswith("HTTP/1.1 502 ")
    else:
        assert told.startswith("HTTP/1.1 403 ")
        assert "to no public address" in told


def test_connections_are_bounded(box: Executor, site: Site) -> None:
    code = (
        f"held = [tunnel('{site.target}') for _ in range(64)]\n"
        f"found = [sorted({{head.split()[1] for _, head in held}}), tunnel('{site.target}')[1]]\n"
        "idle = [socket.create_connection(('127.0.0.1', 3128)) for _ in range(200)]\n"
        "for out in idle[150:]: assert out.recv(1) == b''\n"
        "for out, _ in held: out.close()\n"
        "for out in idle: out.close()\n"
    )
    result = box.execute(code)
    assert result.ok, result.text
    statuses, refused = box.get("found")
    assert statuses == ["200"]
    assert refused.startswith("HTTP/1.1 503 more than 64 connections")
    assert wait_until(lambda: value(box, f"status('http://{site.target}/')[0]") == 200)


def test_a_half_closed_connection_carries_on(fresh: Callable[..., Executor]) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            received = b""
            while chunk := connection.recv(1 << 16):
                received += chunk
            connection.sendall(b"%d bytes" % len(received))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        executor = fresh(network=[f"127.0.0.1:{listener.getsockname()[1]}"])
        thread = threading.Thread(target=serve)
        thread.start()
        head = f"b'CONNECT 127.0.0.1:{listener.getsockname()[1]} HTTP/1.1\\r\\n\\r\\n'"
        result = executor.execute(f"{INSIDE}\nprint(talk({head}, bytes(3_000_000), shut=True))")
        thread.join()
    assert "3000000 bytes" in result.stdout


def test_one_that_was_cut_is_cut_here_too(fresh: Callable[..., Executor]) -> None:
    """Its end would be taken for that of the answer."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"half of it")
            assert connection.recv(100) == b"seen"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        executor = fresh(network=[f"127.0.0.1:{port}"])
        thread = threading.Thread(target=serve)
        thread.start()
        executor.execute(
            f"{INSIDE}\nout, head = tunnel('127.0.0.1:{port}')\nhalf = out.recv(100)\nout.sendall(b'seen')"
        )
        result = executor.execute("print(half); out.recv(100)")
        thread.join()
    assert result.stdout == "b'half of it'\n"
    assert result.error is not None
    assert result.error.name == "ConnectionResetError"


def test_who_does_not_read_holds_the_other_up(fresh: Callable[..., Executor]) -> None:
    """The proxy takes no more than it can pass on."""
    sent = 0

    def serve() -> None:
        nonlocal sent
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                sent += connection.send(bytes(1 << 16))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        executor = fresh(network=[f"127.0.0.1:{port}"])
        thread = threading.Thread(target=serve)
        thread.start()
        result = executor.execute(f"{INSIDE}\nimport time\nout, head = tunnel('127.0.0.1:{port}')\ntime.sleep(2)\nhead")
        assert "200" in result.text
        [proxy] = children(link_of(executor)._supervisor)
        status = Path(f"/proc/{proxy}/status").read_text()
        held = int(status.partition("VmRSS:")[2].split()[0])
        assert executor.execute("out.close()").ok
        thread.join()
    assert sent < 32 << 20
    assert held < 64 << 10


def test_two_with_different_lists(fresh: Callable[..., Executor], site: Site) -> None:
    with Site() as second:
        one, two = fresh(network=[site.target]), fresh(network=[second.target])
        for executor, reached in ((one, site), (two, second)):
            assert executor.execute(INSIDE).ok
            for target in (site, second):
                told = value(executor, f"status('http://{target.target}/')[0]")
                assert told == (200 if target is reached else 403)


def test_a_restart_keeps_it(fresh: Callable[..., Executor], site: Site) -> None:
    executor = fresh(network=[site.target])
    for end in (executor.restart, lambda: executor.execute("import os; os._exit(1)"), lambda: None):
        assert executor.execute(INSIDE).ok
        assert value(executor, f"status('http://{site.target}/')[0]") == 200
        assert value(executor, "status('http://127.0.0.1:1/')[0]") == 403
        [proxy] = children(link_of(executor)._supervisor)
        end()
    executor.restart()
    assert wait_until(lambda: not runs(proxy))


@pytest.mark.parametrize("victim", ["keeper", "proxy"])
def test_killed(fresh: Callable[..., Executor], site: Site, victim: str) -> None:
    """Without the proxy there is no way out, and without the keeper no proxy."""
    executor = fresh(network=[site.target])
    link = link_of(executor)
    [proxy] = children(link._supervisor)
    executor.execute(INSIDE)
    os.kill(link._supervisor if victim == "keeper" else proxy, signal.SIGKILL)
    assert wait_until(lambda: not runs(proxy))
    if victim == "keeper":
        assert executor.execute("1").status == "died"
        executor.execute(INSIDE)
        assert value(executor, f"status('http://{site.target}/')[0]") == 200
    else:
        assert "URLError" in executor.execute(f"status('http://{site.target}/')").text
        executor.restart()
        executor.execute(INSIDE)
        assert value(executor, f"status('http://{site.target}/')[0]") == 200


HOST = """
import sys
from kernel_exec import DockerKernel, Executor
with Executor(kernel=DockerKernel(network=['example.com']), workdir=sys.argv[1]) as ex:
    ex.execute('1'); print('done', flush=True); ex.execute('while True: pass', timeout=None)
"""


def test_a_killed_host_leaves_no_proxy_and_no_socket(engine: Any, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-c", HOST, tmp_path / "work"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(temporary)}) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"done\n"
        assert len(proxies(str(temporary))) == 1
        host.kill()
    assert wait_until(lambda: not proxies(str(temporary)))
    assert wait_until(lambda: not list(temporary.iterdir()))


def test_close_ends_the_proxy(fresh: Callable[..., Executor]) -> None:
    executor = fresh(network=["example.com"])
    [proxy] = children(link_of(executor)._supervisor)
    executor.close()
    assert wait_until(lambda: not runs(proxy))


def test_without_a_list_there_is_no_proxy(fresh: Callable[..., Executor]) -> None:
    executor = fresh()
    assert executor.execute("import os; [name for name in os.environ if 'proxy' in name.lower()]").text == "[]"
    assert children(link_of(executor)._supervisor) == []
    assert executor.execute("import socket; socket.create_connection(('127.0.0.1', 3128))").error is not None


def test_with_a_work_directory_of_its_own(fresh: Callable[..., Executor], site: Site) -> None:
    executor = fresh(network=[site.target], limits=Limits(disk="64m"))
    executor.execute(INSIDE)
    assert value(executor, f"status('http://{site.target}/')[0]") == 200
    result = executor.execute("status('http://127.0.0.1:1/')[0]")
    assert result.text.startswith("403")
    code = (
        "import os\n[name] = [name for name in os.listdir('/run/kernel_exec') if name.startswith('gate')]\n"
        "socket.socket(socket.AF_UNIX).connect('/run/kernel_exec/' + name)"
    )
    assert executor.execute(code).error.name == "ConnectionRefusedError"  # type: ignore[union-attr]


def test_a_way_out_that_cannot_be_made(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is no kernel: one without a way out would be taken for one whose hosts are all down."""
    given = SupervisorLink.open_gate
    monkeypatch.setattr(SupervisorLink, "open_gate", lambda link, path, port: given(link, path / "not", port))
    label = f"gate={tmp_path.name}"
    executor = Executor(kernel=DockerKernel(network=["example.com"], labels=dict([label.split("=")])), workdir=tmp_path)
    with pytest.raises(KernelStartError, match="its way out cannot be made: Not a directory"):
        executor.start()
    executor.close()
    assert wait_until(lambda: not engine.containers.list(all=True, filters={"label": label}, ignore_removed=True))


def test_variables_can_be_set_otherwise(fresh: Callable[..., Executor]) -> None:
    executor = fresh(network=["localhost:80"], env={"HTTPS_PROXY": "mine"})
    code = "import os; [os.environ[name] for name in ('HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy')]"
    assert executor.execute(code).text == "['mine', 'http://127.0.0.1:3128', '127.0.0.1,::1', '127.0.0.1,::1']"


def test_an_engine_elsewhere_is_refused(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with elsewhere() as (port, _):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        executor = Executor(kernel=DockerKernel(network=["example.com"]), workdir=tmp_path)
        with pytest.raises(KernelStartError, match=r"does not see the sockets of this machine.*network='none'"):
            executor.start()
        executor.close()


async def test_by_a_kernelspec(engine: Any, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "jupyter" / "kernels" / "listed"
    folder.mkdir(parents=True)
    provisioner = {"provisioner_name": "kernel-exec-docker", "config": {"network": [site.target]}}
    spec = {
        "argv": ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Listed",
        "language": "python",
        "metadata": {"kernel_provisioner": provisioner},
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    manager = AsyncKernelManager(kernel_name="listed")
    await manager.start_kernel(cwd=str(tmp_path))
    code = f"{INSIDE}\nassert [status(f'http://{{at}}/')[0] for at in ('{site.target}', '127.0.0.1:1')] == [200, 403]"
    try:
        for _ in range(2):
            client = manager.client()
            client.start_channels()
            await client.wait_for_ready(timeout=30)
            reply = await client.execute_interactive(code, timeout=30)
            assert reply["content"]["status"] == "ok"
            client.stop_channels()
            await manager.restart_kernel(now=True)
    finally:
        await manager.shutdown_kernel(now=True)


async def test_an_image_hands_out_something_else() -> None:
    """Its Python may be anybody's: what it gives is looked at, and nobody else is asked."""
    link = SupervisorLink.spawn("keeper")
    await link.ready()
    reader, writer = os.pipe()
    idle = socket.socket()
    try:
        for descriptors in ([], [reader], [idle.fileno()], [writer, reader, idle.fileno()]):
            path = await link.allow(["example.com:443"])
            assert path.parent.stat().st_mode & 0o077 == 0
            with socket.socket(socket.AF_UNIX) as way:
                way.connect(str(path))
                socket.send_fds(way, [b"x"], descriptors)
            assert await link.until(lambda: link.error is not None, 10)
            assert link.error is not None
            assert "way out cannot be made" in link.error
            assert children(link._supervisor) == []
            assert not path.exists()
        path = await link.allow(["example.com:443"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        hand_out(str(path), port)
        with socket.create_connection(("127.0.0.1", port)) as out:
            out.sendall(b"CONNECT example.com:1 HTTP/1.1\r\n\r\n")
            assert out.recv(100).startswith(b"HTTP/1.1 403 ")
        assert await link.until(lambda: link._denied == ["example.com:1"], 10)
        with pytest.raises(FileNotFoundError):
            hand_out(str(path), 0)
    finally:
        idle.close()
        os.close(reader)
        os.close(writer)
        await link.stop(0)
        await link.release()


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (["PyPI.org", "pypi.org."], ("pypi.org",)),
        (("a.b:0443", "*.Example.org:80"), ("a.b:443", "*.example.org:80")),
        (
            ["::1", "[2001:DB8:0::1]:443", "127.0.0.1", "127.0.0.1:8080"],
            ("[::1]", "[2001:db8::1]:443", "127.0.0.1", "127.0.0.1:8080"),
        ),
        (["localhost", "xn--mnchen-3ya.de", "a_b.example"], ("localhost", "xn--mnchen-3ya.de", "a_b.example")),
    ],
    ids=str,
)
def test_the_form_of_a_list(network: Any, expected: tuple[str, ...]) -> None:
    kernel = DockerKernel(network=network)
    assert kernel.network == expected
    assert DockerKernel(network=kernel.network) == kernel


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        ([], InvalidArgument, "network='none' allows none"),
        ([""], InvalidArgument, "no host"),
        ([" pypi.org"], InvalidArgument, "no host"),
        (["pypi.org "], InvalidArgument, "no host"),
        (["a b"], InvalidArgument, "no host"),
        (["https://pypi.org"], InvalidArgument, "URL"),
        (["pypi.org/simple"], InvalidArgument, "URL"),
        (["10.0.0.0/8"], InvalidArgument, "range"),
        (["user@pypi.org"], InvalidArgument, "URL"),
        (["pypi.org:0"], InvalidArgument, "no port"),
        (["pypi.org:65536"], InvalidArgument, "no port"),
        (["pypi.org:4430000000000000000000"], InvalidArgument, "no port"),
        (["pypi.org:https"], InvalidArgument, "no port"),
        (["pypi.org:"], InvalidArgument, "no port"),
        (["pypi.org:*"], InvalidArgument, "no port"),
        (["pypi.org:٤٤٣"], InvalidArgument, "no port"),
        (["*"], InvalidArgument, "beginning"),
        (["a.*.org"], InvalidArgument, "beginning"),
        (["*a.org"], InvalidArgument, "beginning"),
        (["*.*.org"], InvalidArgument, "beginning"),
        (["*.0.0.1"], InvalidArgument, "no host"),
        (["127.1"], InvalidArgument, "no host"),
        (["2130706433"], InvalidArgument, "no host"),
        (["0x7f.1"], InvalidArgument, "no host"),
        (["a.0x7f"], InvalidArgument, "no host"),
        (["a..b"], InvalidArgument, "no host"),
        ([".org"], InvalidArgument, "no host"),
        (["-a.org"], InvalidArgument, "no host"),
        (["a" * 64 + ".org"], InvalidArgument, "no host"),
        (["a." * 127 + "org"], InvalidArgument, "no host"),
        (["münchen.de"], InvalidArgument, "xn--"),
        (["fe80::1%eth0"], InvalidArgument, "no host"),
        (["[::1"], InvalidArgument, "no host"),
        (["a\n.org"], InvalidArgument, "no host"),
        (["a.org\n"], InvalidArgument, "no host"),
        (["a.org\0"], InvalidArgument, "no host"),
        (["a.org"] * 501, InvalidArgument, "more than 500"),
        ([443], WrongType, "strings"),
        ([None], WrongType, "strings"),
        (b"pypi.org", WrongType, "list of hosts"),
        ({"pypi.org"}, WrongType, "list of hosts"),
        (None, WrongType, "list of hosts"),
        ("", InvalidArgument, "empty"),
    ],
    ids=str,
)
def test_what_cannot_be_listed(network: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DockerKernel(network=network)


def test_ports_need_a_network_all_the_same() -> None:
    with pytest.raises(InvalidArgument, match="ports need a network"):
        DockerKernel(network=["pypi.org"], ports={80: None})

"""Callers who are not root: their containers are theirs, with their files, and nobody else's."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import containers
from tests.containers.ordinary import User, everybody
from tests.executor.looks import wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")

ANN, BOB = 65533, 65532

SESSION = """
import json, os, sys
from kernel_exec import DockerKernel, Executor
CODE = '''
import os
from IPython.display import Image, display
display(Image(bytes.fromhex("89504e470d0a1a0a"), format="png"))
open("table.csv", "w").write("1,2")
os.makedirs("folder/deep"); open("folder/deep/file.txt", "w").write("x")
(os.getuid(), os.getgid(), os.getgroups())
'''
os.mkdir("work")
with open(os.open("work/given.txt", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
    file.write("the caller's")
with Executor(kernel=DockerKernel(), workdir="work") as ex:
    result = ex.execute(CODE)
    session = ex._core._conductor.kernels.session
    print(json.dumps({
        "status": result.status,
        "text": result.text,
        "last": result.outputs[-1]["data"]["text/plain"],
        "artifacts": sorted(artifact.path.name for artifact in result.artifacts),
        "images": len(result.images),
        "read": ex.execute("open('given.txt').read()").text,
        "name": session.kernel._provisioner.container,
        "directory": str(session.kernel.directory),
        "work": str(ex.workdir),
    }), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def users(engine: Any) -> Iterator[tuple[User, User]]:
    with everybody() as shared:
        yield User(ANN, shared), User(BOB, shared)


@pytest.fixture(scope="module")
def session(users: tuple[User, User]) -> Iterator[dict[str, Any]]:
    """What a session of the first user tells, which runs meanwhile."""
    with users[0].session(SESSION) as told:
        yield told


def test_the_container_has_the_callers_user(session: dict[str, Any], engine: Any) -> None:
    assert session["status"] == "ok", session["text"]
    assert session["last"] == f"({ANN}, {ANN}, [{ANN}])"
    about = engine.containers.get(session["name"]).attrs
    assert about["Config"]["User"] == f"{ANN}:{ANN}"
    assert about["Config"]["Labels"]["kernel_exec.owner"] == str(ANN)


def test_files_belong_to_the_caller_and_artifacts_come_home(session: dict[str, Any]) -> None:
    assert session["artifacts"] == ["file.txt", "table.csv"]
    assert session["images"] == 1
    assert session["read"] == '"the caller\'s"'
    found = [Path(session["work"]), *Path(session["work"]).rglob("*")]
    assert len(found) >= 7
    for path in found:
        state = path.lstat()
        assert (state.st_uid, state.st_gid) == (ANN, ANN), path
        assert not stat.S_IMODE(state.st_mode) & 0o022, path


OTHER = """
import json
from kernel_exec import DockerKernel, Executor, KernelStartError
try:
    Executor(kernel=DockerKernel(user="1000:1000")).start()
except KernelStartError as error:
    told = [str(error)]
with Executor(kernel=DockerKernel(user="1000:1000", disk="10m")) as ex:
    result = ex.execute("open('made', 'w').close(); import os; os.getuid()")
    told += [result.outputs[-1]["data"]["text/plain"], result.artifacts[0].path.stat().st_uid]
print(json.dumps(told))
"""


def test_another_user_inside_has_a_copy(users: tuple[User, User]) -> None:
    refused, inside, owner = users[1].told("-c", OTHER)
    assert "leave user out" in refused
    assert (inside, owner) == ("1000", BOB)


GREEDY = """
import json
from kernel_exec import DockerKernel, Executor
TAKE = '''
import ctypes
taken = []
while (found := ctypes.CDLL(None).inotify_init1(0)) >= 0: taken.append(found)
len(taken)
'''
with Executor(kernel=DockerKernel()) as greedy:
    told = [greedy.execute(TAKE).text]
    for kernel in (DockerKernel(), DockerKernel(disk="10m")):
        with Executor(kernel=kernel) as ex:
            result = ex.execute("open('made', 'w').close()")
            told.append([result.status, [found.path.name for found in result.artifacts]])
print(json.dumps(told))
"""


def test_one_container_cannot_take_from_others_what_a_user_has_so_much_of(users: tuple[User, User]) -> None:
    taken, *others = users[1].told("-c", GREEDY)
    assert int(taken) > 50
    assert others == [["ok", ["made"]]] * 2


def test_nobody_else_reaches_the_endpoint(session: dict[str, Any], users: tuple[User, User]) -> None:
    directory = Path(session["directory"])
    sockets = [str(path) for path in directory.iterdir() if path.is_socket()]
    assert len(sockets) >= 4
    code = (
        "import json, os, socket, sys\ntried = []\n"
        "def attempt(do, *what):\n"
        "    try: do(*what)\n"
        "    except OSError as error: return type(error).__name__\n"
        "    return 'done'\n"
        "tried = [attempt(os.listdir, sys.argv[1])]\n"
        "tried += [attempt(open, sys.argv[1] + '/connection.json')]\n"
        "tried += [attempt(socket.socket(socket.AF_UNIX).connect, path) for path in sys.argv[2:]]\n"
        "print(json.dumps(tried))"
    )
    ann, bob = users
    assert set(bob.told("-c", code, directory, *sockets)) == {"PermissionError"}
    assert set(ann.told("-c", code, directory, *sockets)) == {"done"}


LISTED = r"""
import json, os, sys
from kernel_exec import DockerKernel, Executor
CODE = r'''
import socket
with socket.create_connection(("127.0.0.1", 3128)) as out:
    out.sendall(b"CONNECT example.com:1 HTTP/1.1\r\n\r\n")
    answer = out.recv(100).decode()
'''
os.mkdir("listed")
with Executor(kernel=DockerKernel(network=["secret.invalid"]), workdir="listed") as ex:
    result = ex.execute(CODE)
    link = ex._core._conductor.kernels.session.kernel._provisioner.link
    [proxy] = open(f"/proc/{link._supervisor}/task/{link._supervisor}/children").read().split()
    print(json.dumps({"text": result.text, "answer": ex.get("answer"), "proxy": int(proxy)}), flush=True)
    sys.stdin.read()
"""


def test_a_list_of_hosts_is_the_callers(users: tuple[User, User], engine: Any) -> None:
    ann, bob = users
    with ann.session(LISTED) as told:
        assert told["answer"].startswith("HTTP/1.1 403 "), told["text"]
        place = Path(f"/proc/{told['proxy']}")
        assert place.stat().st_uid == ANN
        seen = bob.told("-c", "import json, sys; print(json.dumps(open(sys.argv[1]).read()))", place / "cmdline")
        assert "proxy" in seen
        assert "secret" not in seen
    assert wait_until(lambda: not place.exists())


def test_two_users_do_not_see_each_others_containers(
    session: dict[str, Any], users: tuple[User, User], engine: Any, left: Callable[[dict[str, str]], str]
) -> None:
    dead = "import json; from kernel_exec.kernels.leftovers import labels; print(json.dumps(labels('s', kept=False)))"
    ann, bob = users

    def owned() -> set[str]:
        asked = [{"label": f"kernel_exec.owner={user.number}"} for user in users]
        found = [engine.containers.list(all=True, filters=one, ignore_removed=True) for one in asked]
        return {container.name for some in found for container in some}

    assert wait_until(lambda: owned() == {session["name"]})  # those of the tests before are on their way out
    gone = {user.number: left(user.told("-c", dead)) for user in users}
    gc = ("-m", "kernel_exec.cli", "gc", "--all", "--json")
    seen = {user.number: {one["name"] for one in user.told(*gc, "--dry-run")["containers"]} for user in users}
    assert seen == {ANN: {gone[ANN]}, BOB: {gone[BOB]}}
    assert {one["name"] for one in bob.told(*gc)["containers"]} == {gone[BOB]}
    assert not containers(engine, gone[BOB])
    assert len(containers(engine, gone[ANN], session["name"])) == 2
    assert {one["name"] for one in ann.told(*gc)["containers"]} == {gone[ANN]}


def test_nothing_is_left_of_a_session(users: tuple[User, User], engine: Any) -> None:
    with users[1].session(SESSION) as told:
        assert told["status"] == "ok", told["text"]
    assert wait_until(lambda: not containers(engine, told["name"]))
    assert wait_until(lambda: list((users[1].home / "tmp").iterdir()) == [])

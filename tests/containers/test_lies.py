"""The first process of a container, which may lie. What code may swap on disk: tests/executor/test_swapped.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel_exec import Executor, KernelStartError
from kernel_exec.kernels import docker

Fresh = Callable[..., Executor]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host with a file in it; nothing else may be there at the end."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "mine").write_text("mine")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"mine": "mine"}


LIES = {
    "a directory": "{'started': 5, 'directory': PRECIOUS}",
    "a mount": "{'error': 'x', 'mounted': PRECIOUS}",
    "an end of the lease": "{'stopped': True, 'signalled': 2}",
    "a state of the engine": "{'exited': 0, 'rest': ['', ''], 'container': {'OOMKilled': True}}",
    "numbers": "{'memory': 10 ** 30, 'above': True}, {'usage': 1, 'cpu': float('nan'), 'peak': -1}, {'started': 1}",
    "no object": "7, [], None",
}


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the first process of all containers of this test send something more; `lie` is Python."""

    def lying(lie: str) -> None:
        code = tmp_path / "code"
        shutil.copytree(docker.LAUNCHER.parent, code)
        with (code / "box.py").open("a") as file:
            file.write(
                f"\n\ntold = _tell\n\ndef _tell(event):\n    told(event)\n    if 'started' in event:\n        {lie}\n"
            )
        monkeypatch.setattr(docker, "LAUNCHER", code / docker.LAUNCHER.name)

    return lying


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_lies_are_ignored(fresh: Fresh, outside: Path, lying: Callable[[str], None], lie: str) -> None:
    lying(f"[told(lie) for lie in ({lie.replace('PRECIOUS', repr(str(outside)))},)]")
    ex = fresh()
    assert ex.execute("1 + 1").text == "2"
    assert ex.execute("import os; os._exit(3)").state_preserved is False
    assert ex.execute("2").text == "2"
    ex.close()


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param("b'{\\n'", id="broken"),
        pytest.param("b'[' * 100_000 + b'\\n'", id="deep"),
        pytest.param("b'x' * 2 ** 22", id="long", marks=pytest.mark.long),
    ],
)
def test_a_container_that_says_what_is_no_event_is_ended(fresh: Fresh, lying: Callable[[str], None], lie: str) -> None:
    lying(f"data = {lie}\n        while data: data = data[os.write(OUT, data):]")
    with pytest.raises(KernelStartError, match="its container"):
        fresh()

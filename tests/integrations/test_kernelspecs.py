"""Kernelspecs of ours: installed, found, started where they are meant to, removed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from kernel_exec import Executor, HostKernel, UnknownKernel
from kernel_exec.cli import values as status
from tests.cli.conftest import PATIENCE, PROGRAM


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory below which kernelspecs are installed and found."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    return tmp_path


def kx(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "kernelspec", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def install(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return kx("install", "--prefix", str(place), *arguments)


def test_installed_listed_and_removed(place: Path) -> None:
    options = ("--kind", "docker", "--name", "boxed", "--display-name", "Python (boxed)", "--memory", "1g")
    done = install(place, *options)
    assert (done.returncode, done.stderr) == (status.OK, "")
    spec = KernelSpecManager().get_kernel_spec("boxed")
    assert spec.display_name == "Python (boxed)"
    assert spec.metadata["kernel_provisioner"] == {
        "provisioner_name": "kernel-exec-docker",
        "config": {"memory": "1g"},
    }
    assert {path.name for path in Path(spec.resource_dir).iterdir()} >= {"kernel.json", "logo-64x64.png"}
    assert kx("list").stdout == "boxed: Python (boxed)\n"
    assert list(json.loads(kx("list", "--json").stdout)) == ["boxed"]
    assert install(place, "--kind", "host").returncode == status.OK
    assert kx("remove", "boxed").returncode == status.OK
    assert kx("list").stdout == "kernel-exec-host: Python (kernel-exec)\n"
    for name in ("boxed", "python3"):
        done = kx("remove", name)
        assert done.returncode == status.USAGE
        assert "kernelspec list" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--kind", "host", "--image", "x"), status.USAGE),
        (("--kind", "docker", "--memory", "much"), status.USAGE),
        (("--kind", "docker", "--name", "a b"), status.USAGE),
        (("--kind", "docker", "--cpus", "0"), status.USAGE),
        (("--kind", "virtual"), status.USAGE),
    ],
)
def test_what_cannot_be(place: Path, arguments: tuple[str, ...], code: int) -> None:
    done = install(place, *arguments)
    assert done.returncode == code
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert kx("list").stdout == ""


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_of_dots_names_no_kernelspec_but_what_holds_them_all(place: Path, name: str) -> None:
    install(place, "--kind", "host", "--name", "kept")
    done = install(place, "--kind", "host", "--name", name)
    assert done.returncode == status.USAGE
    assert "a letter or a digit" in done.stderr
    assert kx("list").stdout == "kept: Python (kernel-exec)\n"


def test_an_empty_prefix_is_not_everybodys(tmp_path: Path) -> None:
    done = kx("install", "--kind", "host", "--name", "kx-of-a-test", "--prefix", "")
    assert done.returncode == status.USAGE
    assert "name a directory" in done.stderr


def test_capital_letters_are_small_ones(place: Path) -> None:
    assert install(place, "--kind", "host", "--name", "Boxed").stdout.startswith("installed boxed in ")
    assert kx("remove", "Boxed").returncode == status.OK
    assert kx("list").stdout == ""


def test_a_broken_kernelspec_of_others_hides_none_of_ours(place: Path) -> None:
    install(place, "--kind", "host", "--name", "boxed")
    folder = place / "share" / "jupyter" / "kernels" / "broken"
    folder.mkdir()
    spec = {"argv": ["true"], "display_name": "x", "language": "python", "metadata": {"kernel_provisioner": "theirs"}}
    (folder / "kernel.json").write_text(json.dumps(spec))
    done = kx("list")
    assert (done.returncode, done.stdout, done.stderr) == (status.OK, "boxed: Python (kernel-exec)\n", "")


def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "share").write_text("a file")
    done = install(tmp_path, "--kind", "host")
    assert done.returncode == status.CANNOT
    assert "another place" in done.stderr


@pytest.mark.engine
def test_one_that_is_meant_for_a_container_starts_in_no_other(engine: Any, place: Path) -> None:
    install(place, "--kind", "docker", "--name", "boxed", "--memory", "700m")
    with Executor(HostKernel(kernel_name="boxed", env={"A": "b"}), workdir=place / "work") as ex:
        assert ex.execute("import os; os.getcwd(), os.environ['A']").text == "('/workspace', 'b')"
        limit = "open('/sys/fs/cgroup/memory.max').read()"
        old = "open('/sys/fs/cgroup/memory/memory.limit_in_bytes').read()"
        found = ex.execute(f"import os.path\nint({limit} if os.path.exists('/sys/fs/cgroup/memory.max') else {old})")
        assert found.text == str(700 * 2**20)


def test_a_provisioner_of_others(place: Path) -> None:
    folder = place / "share" / "jupyter" / "kernels" / "theirs"
    folder.mkdir(parents=True)
    wanted = {"kernel_provisioner": {"provisioner_name": "theirs"}}
    spec = {"argv": ["true"], "display_name": "x", "language": "python", "metadata": wanted}
    (folder / "kernel.json").write_text(json.dumps(spec))
    with pytest.raises(UnknownKernel, match="none of ours"):
        Executor(HostKernel(kernel_name="theirs")).start()

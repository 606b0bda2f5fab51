"""What the package offers is what it says, light to import, and free of the machine that it was written on."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median

import pytest

import kernel_exec

ROOT = Path(__file__).resolve().parents[2]

FOREIGN = re.compile(r"(?<![\w.])/(?:home|Users)/\w+/|(?<![\w.])/root/|" + re.escape(str(ROOT)))


def tracked_files() -> list[Path]:
    """Return what git keeps; in an unpacked source package, everything that a source package has."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [path for name in ("kernel_exec", "scripts", "tests") for path in (ROOT / name).rglob("*.py")]


def test_all_names_exist_and_are_sorted() -> None:
    assert kernel_exec.__all__ == sorted(kernel_exec.__all__)
    for name in kernel_exec.__all__:
        assert getattr(kernel_exec, name) is not None


def test_all_is_what_a_star_import_and_dir_give() -> None:
    namespace: dict[str, object] = {}
    exec("from kernel_exec import *", namespace)
    assert set(kernel_exec.__all__) == {name for name in namespace if name != "__builtins__"}
    assert set(kernel_exec.__all__) <= set(dir(kernel_exec))


def test_nothing_public_is_left_out_of_all() -> None:
    """A class that a caller can meet in `kernel_exec` is either announced there or a module."""
    modules = type(sys)
    public = {
        name
        for name, value in vars(kernel_exec).items()
        if not name.startswith("_") and not isinstance(value, modules) and name not in {"annotations", "TYPE_CHECKING"}
    }
    assert public <= set(kernel_exec.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = kernel_exec.no_such_name  # type: ignore[attr-defined]


def test_the_error_tree_is_public_and_has_one_root() -> None:
    errors = [
        value
        for name in kernel_exec.__all__
        if isinstance(value := getattr(kernel_exec, name), type) and issubclass(value, Exception)
    ]
    assert kernel_exec.KernelExecError in errors
    assert all(issubclass(error, kernel_exec.KernelExecError) for error in errors)


@pytest.mark.parametrize(
    ("group", "name"),
    [("jupyter_client.kernel_provisioners", "kernel-exec-host"), ("console_scripts", "kernel-exec")],
)
def test_entry_points_load(group: str, name: str) -> None:
    (point,) = entry_points(group=group, name=name)
    assert callable(point.load())


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    found = []
    for path in tracked_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
            if FOREIGN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def import_seconds(module: str) -> float:
    """Return the seconds that a fresh process takes to import `module`."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def test_import_is_as_light_as_that_of_jupyter_client() -> None:
    """Interleaved, so that a noisy moment hits both."""
    pairs = [(import_seconds("kernel_exec"), import_seconds("jupyter_client")) for _ in range(16)][1:]
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    assert ours <= 1.2 * theirs, f"import kernel_exec {ours * 1000:.0f} ms, jupyter_client {theirs * 1000:.0f} ms"

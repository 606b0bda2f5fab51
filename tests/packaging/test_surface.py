"""What the package offers is what it says, light to import, and free of the machine that it was written on."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median

import pytest

import kernel_exec
from kernel_exec import errors, results, sync
from kernel_exec.kernels import host

ROOT = Path(__file__).resolve().parents[2]

FOREIGN = re.compile(r"(?<![\w.])/(?:home|Users)/\w+/|(?<![\w.])/root/|" + re.escape(str(ROOT)))


MACHINERY = {"TYPE_CHECKING", "import_module"}
"""What `kernel_exec/__init__.py` imports for itself."""


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
    """What a caller can meet in `kernel_exec` is either announced there or a module."""
    modules = type(sys)
    public = {
        name
        for name, value in vars(kernel_exec).items()
        if not name.startswith("_") and not isinstance(value, modules) and name not in MACHINERY
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


def in_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


LIST_PACKAGES = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def test_import_alone_loads_nothing_else() -> None:
    loaded = set(in_fresh_process(f"import kernel_exec; {LIST_PACKAGES}").split())
    bare = set(in_fresh_process(LIST_PACKAGES).split())  # `site` may load parts of its own
    assert loaded - bare - sys.stdlib_module_names == {"kernel_exec"}


def test_all_of_it_loads_no_more_than_jupyter_client_does() -> None:
    """What is heavy (nbformat, matplotlib, docker, IPython) is not needed before a session needs it."""
    ours = set(in_fresh_process(f"from kernel_exec import *; {LIST_PACKAGES}").split())
    theirs = set(in_fresh_process(f"import jupyter_client; {LIST_PACKAGES}").split())
    assert ours - theirs - sys.stdlib_module_names == {"kernel_exec"}


def test_a_name_is_the_same_object_however_it_is_reached() -> None:
    assert kernel_exec.Executor is vars(sync)["Executor"]
    assert kernel_exec.HostKernel is vars(host)["HostKernel"]
    assert kernel_exec.Image is vars(results)["Image"]
    assert kernel_exec.ExecutorClosed is vars(errors)["ExecutorClosed"]


def import_seconds(module: str) -> float:
    """Return the seconds that a fresh process takes to import `module`."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return float(in_fresh_process(code))


def test_import_is_as_light_as_that_of_jupyter_client() -> None:
    """Interleaved, so that a noisy moment hits both."""
    pairs = [(import_seconds("kernel_exec"), import_seconds("jupyter_client")) for _ in range(11)][1:]
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    assert ours <= 1.2 * theirs, f"import kernel_exec {ours * 1000:.0f} ms, jupyter_client {theirs * 1000:.0f} ms"

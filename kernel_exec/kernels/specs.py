"""Installed kernelspecs: how to find one by its name, and what it starts."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager
from jupyter_core.paths import jupyter_path

from kernel_exec.errors import UnknownKernel

_ANY_PYTHON = "python"
"""What jupyter_client's managers take for the native kernel, and old notebooks say."""
_IPYKERNEL_MODULES = ("ipykernel_launcher", "ipykernel")


def find_kernel_spec(name: str) -> KernelSpec:
    """Return the installed kernelspec of that name.

    Raises:
        UnknownKernel: there is none, or it cannot be read.
    """
    found = installed_kernels()
    if name == _ANY_PYTHON and name not in found:
        name = NATIVE_KERNEL_NAME
    if name.lower() in found:
        try:
            return KernelSpec.from_resource_dir(found[name.lower()])
        except (OSError, ValueError) as error:
            raise UnknownKernel(f"the kernelspec {name!r} in {found[name.lower()]} is broken: {error}") from error
    if name == NATIVE_KERNEL_NAME and importlib.util.find_spec("ipykernel"):
        return _native_spec()
    names = ", ".join(sorted(found)) or "none"
    raise UnknownKernel(
        f"no kernel is named {name!r}; installed: {names}. `jupyter kernelspec list` shows where they lie, "
        f"`python -m ipykernel install --user --name {name}` installs one for the Python that runs it"
    )


def installed_kernels() -> dict[str, str]:
    """Return the directories of all installed kernelspecs, by name."""
    # The directories are given because the manager would import all of IPython to find the last one.
    manager = KernelSpecManager(kernel_dirs=_kernel_directories(), ensure_native_kernel=False)
    return dict(manager.find_kernel_specs())


def kernel_command(spec: KernelSpec, connection_file: str) -> list[str]:
    """Return the command that starts a kernel, with its placeholders filled in."""
    values = {"connection_file": connection_file, "prefix": sys.prefix, "resource_dir": spec.resource_dir}
    command = [_fill(part, values) for part in spec.argv]
    if command[0] in {"python", f"python{sys.version_info[0]}", "python{}.{}".format(*sys.version_info[:2])}:
        command[0] = sys.executable
    return command


def with_launcher(command: Sequence[str], launcher: Path) -> list[str] | None:
    """Return the command with our launcher in the place of ipykernel's; None when it does not start ipykernel."""
    for index in range(1, len(command) - 1):
        if command[index] == "-m":
            if command[index + 1] not in _IPYKERNEL_MODULES:
                return None
            return [*command[:index], str(launcher), *command[index + 2 :]]
    return None


def _fill(part: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{([A-Za-z0-9_]+)\}", lambda match: values.get(match[1], match[0]), part)


def _kernel_directories() -> list[str]:
    ipython = os.environ.get("IPYTHONDIR") or os.path.join("~", ".ipython")
    return [*jupyter_path("kernels"), os.path.join(os.path.expanduser(ipython), "kernels")]


def _native_spec() -> KernelSpec:
    """The kernel of the running interpreter, for which no kernelspec has to be installed."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return KernelSpec(argv=command, display_name="Python 3 (ipykernel)", language="python")

"""Kernelspecs of our kernels, installed where JupyterLab, nbclient and papermill find them."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from jupyter_client.kernelspec import KernelSpecManager

from kernel_exec.errors import InvalidArgument
from kernel_exec.kernels.docker import DockerKernel

Kind = Literal["host", "docker"]

_ARGV = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]


def kernelspec(kind: Kind, display_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a kernel.json.

    Args:
        kind: "host" for a kernel on this machine, "docker" for one in a container.
        display_name: what front ends show.
        config: attributes of `DockerKernel`.

    Raises:
        InvalidArgument, WrongType: there can be no such kernel.
    """
    if kind == "host" and config:
        raise InvalidArgument(f"a kernel on the host has no {', '.join(config)}: --kind docker has")
    if kind == "docker":
        DockerKernel(**config)
    return {
        "argv": [sys.executable if kind == "host" else "python3", *_ARGV],
        "display_name": display_name,
        "language": "python",
        "metadata": {
            "debugger": False,
            "kernel_provisioner": {"provisioner_name": f"kernel-exec-{kind}", "config": config},
        },
    }


def install(name: str, spec: dict[str, Any], *, user: bool, prefix: str | None) -> Path:
    """Install a kernelspec; return its directory. One of that name is replaced.

    Args:
        name: letters, digits, dots, hyphens and underscores.
        spec: its kernel.json.
        user: for this user only, rather than for all.
        prefix: below this directory instead, such as that of a virtual environment.

    Raises:
        InvalidArgument: it can have no such name, or lie in no such place.
        OSError: it cannot be written there.
    """
    if not name.strip("."):  # it would name the directory of all kernelspecs, or one above, which is removed first
        raise InvalidArgument(f"a kernelspec cannot be named {name!r}: it needs a letter or a digit")
    if prefix == "":
        raise InvalidArgument("a kernelspec cannot be installed below '': name a directory, such as that of sys.prefix")
    with TemporaryDirectory() as folder:
        (Path(folder) / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n")
        for logo in _logos():
            shutil.copy(logo, folder)
        try:
            return Path(KernelSpecManager().install_kernel_spec(folder, name, user=user, prefix=prefix))
        except ValueError as error:
            raise InvalidArgument(f"a kernelspec cannot be named {name!r}: {error}") from error


def installed() -> dict[str, dict[str, Any]]:
    """Return the kernel.json of each installed kernelspec that is started by us, by its name."""
    specs = KernelSpecManager().get_all_specs()
    return {name: found["spec"] for name, found in specs.items() if _is_ours(found["spec"])}


def remove(name: str) -> Path:
    """Remove a kernelspec of ours; return where it was.

    Raises:
        InvalidArgument: there is none of that name that is started by us.
    """
    name = name.lower()  # as it was installed
    if name not in installed():
        raise InvalidArgument(
            f"no kernelspec named {name!r} is of kernel-exec: `kernel-exec kernelspec list` shows those"
        )
    return Path(KernelSpecManager().remove_kernel_spec(name))


def config_of(**given: Any) -> dict[str, Any]:
    """Return the attributes of `DockerKernel` that were given."""
    known = {field.name for field in fields(DockerKernel)}
    return {name: value for name, value in given.items() if name in known and value not in (None, [], ())}


def _is_ours(spec: dict[str, Any]) -> bool:
    wanted = spec.get("metadata", {}).get("kernel_provisioner")
    return isinstance(wanted, dict) and str(wanted.get("provisioner_name", "")).startswith("kernel-exec-")


def _logos() -> list[Path]:
    """Return the pictures that front ends show, which ipykernel has."""
    found = find_spec("ipykernel")
    places = (found.submodule_search_locations or []) if found is not None else []
    return [logo for place in places for logo in (Path(place) / "resources").glob("logo-*")]

"""Which variables a kernel on the host gets to see."""

from __future__ import annotations

import os
import string
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType

PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "XDG_*"),
    *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHASHSEED"),
    *("PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "IPYTHONDIR", "MPLCONFIGDIR"),
    *("JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "JUPYTER_CONFIG_PATH", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"),
    *("JUPYTER_PLATFORM_DIRS", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("CUDA_HOME", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "JAVA_HOME", "R_HOME", "R_LIBS", "R_LIBS_USER", "JULIA_DEPOT_PATH"),
)
"""Names (with shell wildcards) of the variables of the host that a kernel may see. An allow-list: tokens and
passwords live in the environment of many a host, and some variables change how a kernel works (PYTEST_CURRENT_TEST
turns its capture of descriptors off, MPLBACKEND its inline pictures)."""


def kernel_environment(
    command: Sequence[str],
    *,
    given: Mapping[str, str] | None,
    spec: Mapping[str, str],
    extra: Mapping[str, str],
    passed: Collection[str] = (),
) -> dict[str, str]:
    """Return the environment of a kernel.

    Args:
        command: what starts the kernel; the directory of its interpreter comes first on PATH, so that `!pip` means
            the kernel's own.
        given: the environment that a client of jupyter_client passed; None for the host's. What in it equals the
            host's is taken for inherited.
        spec: the variables of the kernelspec; `${NAME}` in them stands for the host's.
        extra: variables of the caller, which win.
        passed: further names of the host's variables that may be seen.
    """
    allowed = (*PASSED, *passed)
    base = os.environ if given is None else given
    env = {name: value for name, value in base.items() if _may_see(name, value, allowed)}
    env.update(substituted(spec, env))
    env.update(extra)
    _put_first_on_path(env, os.path.dirname(command[0]))
    return env


def substituted(spec: Mapping[str, str], more: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return the variables of a kernelspec; `${NAME}` in them stands for the host's, and for what there is more."""
    known = {**os.environ, **more}
    return {name: string.Template(value).safe_substitute(known) for name, value in spec.items()}


def _may_see(name: str, value: str, allowed: Sequence[str]) -> bool:
    return os.environ.get(name) != value or any(fnmatchcase(name, pattern) for pattern in allowed)


def _put_first_on_path(env: dict[str, str], folder: str) -> None:
    if folder:
        others = [part for part in env.get("PATH", os.defpath).split(os.pathsep) if part and part != folder]
        env["PATH"] = os.pathsep.join((folder, *others))

"""Which wheels fit a Python that is another one than ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernel_exec.kernels.images.python import Python, python_from
from kernel_exec.kernels.images.wheels import download, files


async def test_what_only_the_other_python_requires(tmp_path: Path) -> None:
    python = Python("/usr/bin/python3", "3.10.12", os.uname().machine, "2.31")
    await download(tmp_path, ["anyio"], python)
    names = {path.name.split("-")[0] for path in files(tmp_path)}
    assert {"exceptiongroup", "anyio", "pip"} <= names


@pytest.mark.long
async def test_what_it_does_not_require_is_left_out(tmp_path: Path) -> None:
    python = Python("/usr/bin/python3", "3.12.1", "aarch64", "2.36")
    await download(tmp_path, ["numpy", "exceptiongroup; python_version < '3.11'"], python)
    [numpy] = tmp_path.glob("numpy-*")
    assert "cp312" in numpy.name
    assert "aarch64" in numpy.name
    assert not list(tmp_path.glob("exceptiongroup-*"))


def test_tags() -> None:
    glibc = Python("p", "3.11.0", machine="x86_64", glibc="2.28").platforms()
    assert glibc[0] == "manylinux_2_28_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_5_x86_64", "linux_x86_64"} <= set(glibc)
    assert Python("p", "3.11.0", machine="aarch64").platforms()[0] == "musllinux_1_2_aarch64"


@pytest.mark.parametrize(
    "told",
    [
        b"\xff",
        "[" * 9999,
        "[]",
        "{}",
        '{"version": "x", "executable": "p"}',
        '{"version": 3, "executable": "p"}',
        '{"version": "3.11", "executable": "p\\n"}',
        '{"version": "3.11", "executable": "p", "glibc": "2"}',
        '{"version": "3.11", "executable": "p", "glibc": "2.x"}',
        '{"version": "3.11", "executable": "%s"}' % ("p" * 9999),
    ],
    ids=range(10),
)
def test_what_is_no_python(told: str | bytes) -> None:
    assert python_from(told) is None

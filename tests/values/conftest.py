"""One executor for many values: a kernel takes half a second, and reading leaves nothing behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from kernel_exec import Executor, HostKernel
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.conftest import fresh
from tests.kernels.conftest import echo, install, start
from tests.libraries import with_libraries

__all__ = ["echo", "fresh", "install", "start"]

PRELUDE = """
import datetime, decimal, math
import numpy as np
import pandas as pd
import pyarrow as pa
"""


@pytest.fixture(scope="module")
def kernel(kernel: KernelSettings) -> KernelSettings:
    """In a container with pyarrow, which is not in the image, and with room for large values."""
    if isinstance(kernel, HostKernel):
        return kernel
    return with_libraries(dataclasses.replace(kernel, memory="6g"), "pyarrow")


@pytest.fixture(scope="module")
def ex(kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """A kernel with the libraries that values may need."""
    with Executor(kernel, workdir=tmp_path_factory.mktemp("values"), timeout=30) as executor:
        executor.execute(PRELUDE).raise_for_error()
        yield executor

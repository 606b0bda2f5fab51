"""One executor for many values: a kernel takes half a second, and reading leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel_exec import Executor
from tests.executor.conftest import fresh
from tests.kernels.conftest import echo, install, start

__all__ = ["echo", "fresh", "install", "start"]

PRELUDE = """
import datetime, decimal, math
import numpy as np
import pandas as pd
import pyarrow as pa
"""


@pytest.fixture(scope="module")
def ex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """A kernel with the libraries that values may need."""
    with Executor(workdir=tmp_path_factory.mktemp("values"), timeout=30) as executor:
        executor.execute(PRELUDE).raise_for_error()
        yield executor

"""What kernels really send, recorded once for all tests here."""

from __future__ import annotations

import pytest

from kernel_exec import HostKernel
from tests.fuzz.mutations import Truth
from tests.fuzz.traffic import recorded


@pytest.fixture(scope="session")
def truths(tmp_path_factory: pytest.TempPathFactory) -> list[Truth]:
    """All messages of two kernels, ours and the stock one, that ran some cells."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['_kernel_exec.spool'] = None\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as monkeypatch:
        return recorded(
            tmp_path_factory.mktemp("recorded"), monkeypatch, [HostKernel(), HostKernel(env={"PYTHONPATH": str(site)})]
        )

"""The sources of the suites, fetched once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.suites import fetch


@pytest.fixture(scope="session")
def nbclient_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released source package of nbclient."""
    return fetch("nbclient", tmp_path_factory.mktemp("nbclient"))


@pytest.fixture(scope="session")
def kernel_test_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released source package of jupyter_kernel_test."""
    return fetch("jupyter_kernel_test", tmp_path_factory.mktemp("kernel_test"))


@pytest.fixture(scope="session")
def papermill_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released source package of papermill."""
    return fetch("papermill", tmp_path_factory.mktemp("papermill"))

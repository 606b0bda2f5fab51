"""A JupyterLab that the tests of a module share, and a browser before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import Browser
from tests.lab.page import Lab
from tests.lab.server import Server, serving


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """JupyterLab's server, with our two kernelspecs; what a test starts there ends with the test."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def shared_lab(browser: Browser, server: Server) -> Iterator[Lab]:
    """A page with Lab in it."""
    with browser.page(viewport={"width": 1200, "height": 800}) as page:
        yield Lab(page, server)


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """Lab, with nothing open but the launcher."""
    yield shared_lab
    shared_lab.close_all()

"""A JupyterLab that the tests of a module share, and a browser before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.lab.page import Lab
from tests.lab.server import Server, serving

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser of Debian's, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=["--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """JupyterLab's server, with our two kernelspecs."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def shared_lab(browser: Browser, server: Server) -> Iterator[Lab]:
    """A page with Lab in it."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    yield Lab(page, server)
    page.close()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """Lab, with nothing open but the launcher."""
    yield shared_lab
    shared_lab.close_all()

"""A real browser: one process for a whole run, and a clean profile for each page."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    *("--disable-breakpad", "--disable-crash-reporter"),
    "--remote-debugging-port=0",
)
WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""It ends with its tests, also when those are killed."""
PATIENCE = 60.0


class Browser:
    """A browser that runs.

    Playwright's loop would be in the way of tests that have their own, so each page has one, which ends with it.

    Args:
        profile: a directory for it.
    """

    def __init__(self, profile: Path) -> None:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        assert program, "there is no browser: run scripts/browser, or set BROWSER=no"
        self._process = subprocess.Popen(
            [*WITH_US, program, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._address = self._wait(profile / "DevToolsActivePort")

    def _wait(self, told: Path) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                lines = told.read_text("ascii").splitlines()
                if len(lines) == 2:
                    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        self.close()
        raise AssertionError("the browser did not start")

    @contextlib.contextmanager
    def page(self, **options: Any) -> Iterator[Page]:
        """Open an empty page; options as for Playwright's `new_context`."""
        with sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(self._address)
            context = browser.new_context(**options)
            context.set_default_timeout(1000 * PATIENCE)
            try:
                yield context.new_page()
            finally:
                context.close()
                browser.close()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

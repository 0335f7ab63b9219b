"""`browser`: a headless Chromium for tests, beside `live_server`; tests.look.axe says what to ask of a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The shell has no windows, tabs and pages of its own to draw: half the work of the whole browser.
CHROMIUMS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Any]:
    """Debian's Chromium, or playwright's own where that is not installed.

    Playwright's synchronous interface keeps an event loop in this thread, by which Django would refuse the
    test's own queries although none of them runs inside it.
    """
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        executable = next((path for path in CHROMIUMS if Path(path).exists()), None)
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()

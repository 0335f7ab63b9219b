"""`browser`: Chromium for tests of pages, beside `live_server`; tests.look.axe says what to ask of a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Any]:
    """Debian's Chromium, or playwright's own where that is not installed.

    Playwright's synchronous interface keeps an event loop in this thread, by which Django would refuse the
    test's own queries although none of them runs inside it.
    """
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        executable = CHROMIUM if Path(CHROMIUM).exists() else None
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()

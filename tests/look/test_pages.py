"""Pages in a real browser, in both themes, at phone and desk width."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

from tests.look.axe import assert_accessible, launch, looks, session_cookies

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

FOR_ANYONE = [
    "/account/login/",
    "/account/signup/",
    "/account/password/reset/",
    "/account/login/code/",
    "/no/such/page/",
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def with_gallery(settings):
    settings.ROOT_URLCONF = "tests.look.gallery_urls"


@pytest.mark.parametrize("address", ["/gallery/", "/gallery/?errors", "/broken/"])
def test_components_are_clean(browser, with_gallery, live_server, address):
    for page in looks(browser):
        page.goto(live_server.url + address)
        page.complaints = [text for text in page.complaints if "status of 500" not in text]
        assert_accessible(page)


@pytest.mark.parametrize("address", FOR_ANYONE)
def test_pages_for_anyone_are_clean(browser, live_server, address):
    for page in looks(browser):
        page.goto(live_server.url + address)
        assert_accessible(page)

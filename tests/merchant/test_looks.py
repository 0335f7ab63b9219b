"""The merchant's pages about agents and negotiation in a browser, at phone and desk width, in both themes."""

from __future__ import annotations

import os

import pytest
from django.urls import reverse

from marketplace.shopping.negotiation import Break, Terms
from marketplace.shopping.negotiation.rules import add_rule
from tests.look.axe import assert_accessible, looks, session_cookies
from tests.orders.world import usd

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def orm_beside_the_browser(monkeypatch):
    """Playwright's loop runs in this thread; Django would refuse the test's own queries beside it."""
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def test_negotiation(browser, live_server, client, mia, merchant, headphones):
    terms = Terms(
        off_ppm=100_000, step_ppm=50_000, rounds=3, floor=usd("70"), breaks=(Break(5, 200_000),), from_hour=0,
        to_hour=23, least_stock=9,
    )  # fmt: skip
    rule = add_rule(merchant=merchant, target=headphones, terms=terms, active=True, by=mia, reason="autumn")
    standing = Terms(off_ppm=100_000, step_ppm=50_000, rounds=3)
    add_rule(merchant=merchant, target=headphones.variant.product, terms=standing, active=True, by=mia)
    client.force_login(mia)
    rules = reverse("shopping:negotiation", args=[merchant.slug])
    addresses = [
        f"{rules}?item=Headphones&quantity=2&proposed=80",
        f"{rules}?item=none&quantity=0&proposed=",
        reverse("shopping:negotiation-new", args=[merchant.slug]),
        reverse("shopping:negotiation-rule", args=[merchant.slug, rule.pk]),
    ]
    for page in looks(browser, cookies=session_cookies(client, live_server.url)):
        for address in addresses:
            page.goto(live_server.url + address)
            assert_accessible(page)
            if directory := os.environ.get("PICTURES"):
                name = f"{page.look}-{addresses.index(address)}".replace(" ", "-")
                page.screenshot(path=f"{directory}/n-{name}.png", full_page=True)

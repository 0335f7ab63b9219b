"""The money pages in a real browser: both themes, phone and desk, axe finds nothing."""

from __future__ import annotations

import pytest
from django.urls import reverse

from billing.pricing import Terms, draft_prices
from tests.billing.conftest import TERMS
from tests.billing.test_pages import business, operators_pages
from tests.look.axe import session_cookies, walk

__all__ = ["business"]


def price_pages() -> list[str]:
    draft = draft_prices(name="dearer", terms=[*TERMS, Terms("ppcv", 500_000, "toys")], by="test")
    return [
        reverse("billing:prices"),
        reverse("billing:price_draft"),
        reverse("billing:price_version", args=[draft.pk]),
        reverse("billing:credit"),
        reverse("billing:usage"),
    ]


pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_money_pages_are_clean(browser, business, live_server, client, olivia, mia, alice):
    merchant, studio = business
    visits = {
        olivia: [*operators_pages(), *price_pages()],
        mia: [reverse(f"billing:{name}", args=[merchant.slug]) for name in ("merchant", "balance")],
        alice: [reverse("billing:earnings", args=[studio.slug])],
    }
    for person, addresses in visits.items():
        client.force_login(person)
        walk(browser, live_server.url, addresses, cookies=session_cookies(client, live_server.url))

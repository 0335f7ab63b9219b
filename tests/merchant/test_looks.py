"""The merchant's pages about agents and negotiation in a browser, at phone and desk width, in both themes."""

from __future__ import annotations

import pytest
from django.urls import reverse

from billing import budgets
from marketplace.shopping.models import Message, Turn
from marketplace.shopping.negotiation import Break, Terms
from marketplace.shopping.negotiation.rules import add_rule, change_rule
from marketplace.shopping.recommendations import recommend
from tests.look.axe import session_cookies, walk
from tests.orders.bargains import agree, propose
from tests.orders.world import check_out, pay, sell, talk, usd

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def look_at(browser, live_server, client, addresses: list[str]) -> None:
    """Each page must be clean."""
    walk(browser, live_server.url, addresses, cookies=session_cookies(client, live_server.url))


def test_negotiation(browser, live_server, client, mia, merchant, headphones, shopper, scout, prices):
    terms = Terms(
        off_ppm=100_000, step_ppm=50_000, rounds=3, floor=usd("70"), breaks=(Break(5, 200_000),), from_hour=0,
        to_hour=23, least_stock=9,
    )  # fmt: skip
    rule = add_rule(merchant=merchant, target=headphones, terms=terms, active=True, by=mia, reason="autumn")
    standing = Terms(off_ppm=100_000, step_ppm=50_000, rounds=3)
    add_rule(merchant=merchant, target=headphones.variant.product, terms=standing, active=True, by=mia)
    conversation = talk(shopper, scout, prices)
    change_rule(rule_id=rule.pk, merchant=merchant, terms=standing, active=True, by=mia)
    agree(conversation, headphones, 9500, 2)
    propose(talk(shopper, scout, prices), headphones, 100)
    change_rule(rule_id=rule.pk, merchant=merchant, terms=terms, active=True, by=mia)
    client.force_login(mia)
    rules = reverse("shopping:negotiation", args=[merchant.slug])
    addresses = [
        f"{rules}?item=Headphones&quantity=2&proposed=80",
        f"{rules}?item=none&quantity=0&proposed=",
        reverse("shopping:negotiations-made", args=[merchant.slug]),
        reverse("shopping:negotiation-new", args=[merchant.slug]),
        reverse("shopping:negotiation-rule", args=[merchant.slug, rule.pk]),
    ]
    look_at(browser, live_server, client, addresses)


def test_agents(browser, live_server, client, mia, merchant, headphones, shopper, scout, prices, processor):
    budgets.set_budget(merchant_ref=merchant.ref, cap=usd("10"), at_cap="organic", by="test")
    conversation = talk(shopper, scout, prices)
    turn = Turn.objects.create(conversation=conversation, index=0, status=Turn.Status.RUNNING)
    words = "Something quiet for my sister Eleonora"
    Message.objects.create(conversation=conversation, turn=turn, role=Message.Role.SHOPPER, text=words)
    claims = [
        recommend(
            conversation_id=conversation.pk, turn_id=turn.pk, variant_id=offer.variant.public_id,
            reason="Closed, light, and quiet for my sister Eleonora: the best of three.",
        ).recommendation
        for offer in (headphones, sell(merchant, "Amplifier", stock=0), sell(merchant, "Gin", min_age=21))
    ]  # fmt: skip
    pay(check_out(shopper, claims[0], quantity=2))
    processor.deliver()
    client.force_login(mia)
    pages = ["agents", "recommendations", "refused", "sales", "costs"]
    addresses = [reverse(f"shopping:merchant-{page}", args=[merchant.slug]) for page in pages]
    addresses.append(f"{addresses[0]}?period=before")
    look_at(browser, live_server, client, addresses)

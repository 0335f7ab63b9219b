"""What the demo puts into a store: people, prices, goods, an agent. Every step is safe to repeat."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models import Exists, OuterRef

from agentstore.demo.people import MERCHANT, ensure_people
from agentstore.demo.publish import is_live, publish_agent
from agentstore.identity.models import Organization, User
from agentstore.kit.money import MICRO, Money
from billing.budgets import current_budget, set_budget
from billing.models import MerchantBudget
from marketplace.catalog.shelf import categories_of
from marketplace.shopping.models import NegotiationRule
from marketplace.shopping.negotiation.rules import add_rule
from marketplace.shopping.negotiation.terms import Terms
from sandbox.driver import DriverError, NoDriver
from sandbox.drivers import chosen_driver, cleaning_driver

MONTHLY_CAP = 500
MOST_OFF_PPM = 120_000
ROUNDS = 3
AGENTS = Path(__file__).resolve().parent.parent.parent / "agents"
FIRST_PARTY = ("concierge",)


def ensure_schema() -> None:
    """All tables as the code wants them."""
    call_command("migrate", interactive=False, verbosity=0)


def ensure_prices() -> None:
    """Prices in force, so that conversations can be billed."""
    ensure_people()
    call_command("seed_prices", stdout=sys.stdout)


def ensure_goods() -> None:
    """The seed catalogue, and a monthly PPCv budget for each of its merchants."""
    call_command("seed_catalog", owner=MERCHANT.email, stdout=sys.stdout)
    for merchant in Organization.objects.merchants():
        if current_budget(merchant_ref=merchant.ref, currency=settings.STORE_CURRENCY) is None:
            set_budget(
                merchant_ref=merchant.ref,
                cap=Money(MONTHLY_CAP * MICRO, settings.STORE_CURRENCY),
                at_cap=MerchantBudget.AtCap.ORGANIC,
                by="demo",
                reason="the demo's first budget",
            )


def ensure_rules() -> None:
    """Every second merchant lets agents negotiate: a few per cent in a few rounds, on all that it sells."""
    mia = User.objects.get(email=MERCHANT.email)
    terms = Terms(off_ppm=MOST_OFF_PPM, step_ppm=MOST_OFF_PPM // ROUNDS, rounds=ROUNDS)
    for merchant in Organization.objects.merchants().order_by("name")[::2]:
        ruled = NegotiationRule.objects.filter(merchant=merchant, category=OuterRef("pk"))
        for root in categories_of(merchant).filter(~Exists(ruled), parent=None):
            add_rule(
                merchant=merchant, target=root, terms=terms, active=True, by=mia, reason="the demo's first"
            )


def ensure_agents(say: Callable[[str], None]) -> bool:
    """The base image, and the first-party agents live; False, and why, where no agent can run safely.

    Raises Turned when an agent does not pass.
    """
    try:
        cleaning_driver()
        if not all(is_live(AGENTS / name) for name in FIRST_PARTY):
            call_command("build_base_image", stdout=sys.stdout)
            say("proving that sandboxes hold")
            chosen_driver()
    except (CommandError, DriverError, NoDriver) as away:
        say(f"No agent can run here. {away}")
        return False
    for name in FIRST_PARTY:
        say(publish_agent(site_url=settings.SITE_URL, source=AGENTS / name, say=say))
    return True

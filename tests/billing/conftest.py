"""Prices in force, a merchant's budget, and a stand-in for Stripe of this session's own."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from agentstore.kit.money import Money
from billing import budgets, metering
from billing.pricing import Terms, announce_prices, draft_prices
from tests.billing.standin import SECRET, StandIn

MERCHANT = "org:11111111-1111-7111-8111-111111111111"
STUDIO = "org:22222222-2222-7222-8222-222222222222"

TERMS = [
    Terms("ppcv", 150_000),
    Terms("ppcv", 250_000, "electronics"),
    Terms("agent_tax", 150_000),
    Terms("agent_tax", 80_000, "grocery"),
    Terms("developer_share", 700_000),
]


def usd(amount: str) -> Money:
    return Money.from_decimal(Decimal(amount), "USD")


def at(day: int, month: int = 11) -> datetime:
    return datetime(2026, month, day, 12, tzinfo=UTC)


@pytest.fixture
def prices(db):
    version = draft_prices(name="test prices", terms=TERMS, by="test")
    return announce_prices(version_id=version.pk, effective_at=at(1, month=1), by="test")


@pytest.fixture
def budget(prices):
    return budgets.set_budget(merchant_ref=MERCHANT, cap=usd("100"), at_cap="organic", by="test", at=at(1))


def converse(prices, conversation: str | None = None, **changes) -> metering.PpcvOutcome:
    """Meter a conversation in which the merchant's headphones were recommended."""
    given = {
        "conversation_ref": conversation or str(uuid.uuid4()),
        "merchant_ref": MERCHANT,
        "developer_ref": STUDIO,
        "category": "electronics",
        "price_version_id": prices.pk,
        "occurred_at": at(24),
    }
    return metering.meter_ppcv(**{**given, **changes})


def take_back(outcome: metering.PpcvOutcome) -> None:
    """An operator found the fee to be fraud."""
    assert outcome.event_id is not None
    metering.void_ppcv(event_id=outcome.event_id, reason="fraud", by="olivia")


@pytest.fixture(scope="session")
def standin_process(tmp_path_factory):
    process = StandIn(tmp_path_factory.mktemp("standin") / "state.sqlite3")
    yield process
    process.kill()


@pytest.fixture
def standin(standin_process, settings):
    settings.STRIPE_API_BASE = standin_process.base
    settings.STRIPE_API_KEY = "sk_test_standin"
    return standin_process


@pytest.fixture
def blank_standin(standin):
    """The stand-in with nothing on it; left so, and at the time that it is, for whoever uses it next."""
    standin.post("/reset")
    yield standin
    standin.post("/reset")
    standin.move_to(datetime.now(UTC))


@pytest.fixture
def books_alone(settings) -> None:
    """No quarantine, signed events, and nobody to ask what fees were for."""
    settings.PPCV_QUARANTINE_SECONDS = 0
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    settings.USAGE_SOURCES = []


KEY = os.environ.get("STRIPE_TEST_KEY", "")


@pytest.fixture(
    params=["standin", pytest.param("stripe", marks=pytest.mark.skipif(not KEY, reason="no STRIPE_TEST_KEY"))]
)
def processor(request, settings):
    """Who answers the SDK: the stand-in always, Stripe's test mode too where STRIPE_TEST_KEY is set."""
    if request.param == "stripe":
        settings.STRIPE_API_KEY, settings.STRIPE_API_BASE = KEY, "https://api.stripe.com"
    else:
        request.getfixturevalue("standin")
    return request.param


@pytest.fixture
def reference() -> str:
    return str(uuid.uuid4())

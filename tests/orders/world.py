"""A small world for the tests of store and orders: goods, agents in the store, cards that were shown."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing import ledger
from billing.accounts import AccountKey
from billing.models import WebhookEvent
from billing.models.ledger import PLATFORM
from billing.pricing import Terms, announce_prices, draft_prices
from billing.stripe_standin.events import signature
from marketplace.catalog.models import Category, Offer, Product, Variant
from marketplace.publishing.models import Agent, Version
from marketplace.ranking.models import Exposure
from marketplace.shopping import carts, checkouts, paying, settlement
from marketplace.shopping.models import Checkout, Conversation, Recommendation, Shopper, Turn
from tests.billing.standin import SECRET, StandIn

HOME = checkouts.Address(
    name="Sam Doe", street="1 Main St", city="Springfield", postal_code="12345", country="US"
)
FORM = {
    "name": "Sam Doe", "street": "1 Main St", "city": "Springfield", "postal_code": "12345", "country": "us",
}  # fmt: skip


def usd(amount: str) -> Money:
    return Money.from_decimal(Decimal(amount), "USD")


def sell(
    merchant: Organization, title: str = "Headphones", price: str = "99.00", *, stock: int = 5,
    min_age: int = 0, category: str = "Electronics", **offer: Any,
) -> Offer:  # fmt: skip
    shelf, _ = Category.objects.get_or_create(
        slug=category.lower(), defaults={"name": category, "path": category}
    )
    product = Product.objects.create(
        owner=merchant, group_id=title, title=title, category=shelf, min_age=min_age
    )
    variant = Variant.objects.create(product=product, owner=merchant, item_id=title)
    return Offer.objects.create(
        variant=variant,
        merchant=merchant,
        price_micros=usd(price).micros,
        currency="USD",
        on_hand=stock,
        **offer,
    )


def list_agent(studio: Organization, name: str = "Bargain Scout", **fields: Any) -> Agent:
    """An agent that is live, as publishing leaves it."""
    slug = name.lower().replace(" ", "-")
    agent = Agent.objects.create(
        developer=studio, slug=slug, name=name, tagline=fields.pop("tagline", f"{name} finds it."), **fields
    )
    version = Version.objects.create(
        agent=agent, semver="1.0.0", image_id="sha256:0", bundle_sha256="0" * 64, status=Version.Status.LIVE,
        manifest={
            "skills": ["chat", "negotiate", "outfit", "try_on"],
            "permissions": ["catalog", "negotiate", "cart", "photos", "ask"],
        },
    )  # fmt: skip
    agent.live_version, agent.status = version, Agent.Status.LISTED
    agent.save()
    return agent


def talk(shopper: Shopper, agent: Agent, prices: Any, **fields: Any) -> Conversation:
    """A conversation that came of a place in the store."""
    assert agent.live_version
    seen = Exposure.objects.create(
        agent_id=agent.pk, surface="store", position=1, slot="ranked", propensity=1, examination=1,
        session_ref="session",
    )  # fmt: skip
    return Conversation.objects.create(
        shopper=shopper, agent=agent, version=agent.live_version, price_version_ref=str(prices.pk),
        exposure_id=seen.pk, **fields,
    )  # fmt: skip


def show(conversation: Conversation, offer: Offer, *, at: datetime | None = None) -> Recommendation:
    """A card in the conversation."""
    turn = Turn.objects.create(
        conversation=conversation, index=conversation.turns.count(), status=Turn.Status.DONE
    )
    return Recommendation.objects.create(
        conversation=conversation, turn=turn, status=Recommendation.Status.SHOWN, reason="It fits.",
        claimed_variant=offer.variant.public_id, variant=offer.variant, offer=offer,
        merchant_id=offer.merchant_id, price_micros=offer.price_micros, currency=offer.currency,
        at=at or now(),
    )  # fmt: skip


def check_out(shopper: Shopper, *goods: Offer | Recommendation, quantity: int = 1) -> Checkout:
    """Put each into the cart and open a checkout with its payment."""
    for good in goods:
        card = good if isinstance(good, Recommendation) else None
        offer = good.offer if isinstance(good, Recommendation) else good
        assert offer
        carts.add_to_cart(
            shopper=shopper, offer_id=offer.pk, quantity=quantity, recommendation_id=card.pk if card else None
        )
    assert shopper.user
    return checkouts.start_checkout(
        shopper=shopper, by=shopper.user, address=HOME, agreed_total=carts.read_cart(shopper).total
    )


def account(kind: str, owner: str = PLATFORM) -> int:
    """An account's balance in micro-units, debit positive."""
    return ledger.balance(AccountKey(owner, kind, "USD")).micros


def books_balance() -> bool:
    """Whether debits and credits are the same in sum."""
    return sum(line.debit.micros - line.credit.micros for line in ledger.trial_balance()) == 0


class Processor:
    """The stand-in's events on their way to the store, delivered when a test says so."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self.client = Client()
        self.told: set[str] = {event["id"] for event in self._all()}

    def _all(self) -> list[dict[str, Any]]:
        answer = self.standin.http.get(
            f"{self.standin.base}/v1/events",
            params={"limit": 100},
            headers={"Authorization": "Bearer sk_test_standin"},
        )
        events: list[dict[str, Any]] = answer.json()["data"]
        return events[::-1]

    def pending(self) -> list[dict[str, Any]]:
        """Events that were not delivered yet, oldest first."""
        return [event for event in self._all() if event["id"] not in self.told]

    def receive(self, event: dict[str, Any]) -> WebhookEvent:
        """Post an event to the store's own door, signed; the inbox's row."""
        body = json.dumps(event)
        answer = self.client.post(
            "/webhooks/stripe/", body, content_type="application/json",
            headers={"Stripe-Signature": signature(body, SECRET)},
        )  # fmt: skip
        assert answer.status_code == 200, answer.content
        self.told.add(event["id"])
        return WebhookEvent.objects.get(external_id=event["id"])

    def deliver(self, events: list[dict[str, Any]] | None = None) -> list[str]:
        """Post events (all that are pending) and do what the worker would; their types."""
        chosen = self.pending() if events is None else events
        for event in chosen:
            settlement.settle_event(event_id=self.receive(event).pk)
        return [event["type"] for event in chosen]


@pytest.fixture
def prices(db):
    version = draft_prices(
        name="test prices", by="test",
        terms=[
            Terms("ppcv", 150_000), Terms("agent_tax", 150_000), Terms("agent_tax", 80_000, "grocery"),
            Terms("developer_share", 700_000),
        ],
    )  # fmt: skip
    return announce_prices(version_id=version.pk, effective_at=now() - timedelta(days=100), by="test")


@pytest.fixture
def shopper(sam: User) -> Shopper:
    return Shopper.objects.create(user=sam)


@pytest.fixture
def headphones(merchant: Organization) -> Offer:
    return sell(merchant)


@pytest.fixture
def scout(studio: Organization) -> Agent:
    return list_agent(studio)


@pytest.fixture
def card(shopper: Shopper, scout: Agent, prices, headphones: Offer) -> Recommendation:
    return show(talk(shopper, scout, prices), headphones)


@pytest.fixture(scope="session")
def standin_process(tmp_path_factory):
    process = StandIn(tmp_path_factory.mktemp("standin") / "state.sqlite3")
    yield process
    process.kill()


@pytest.fixture
def processor(standin_process, settings) -> Processor:
    settings.STRIPE_API_BASE = standin_process.base
    settings.STRIPE_API_KEY = "sk_test_standin"
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    return Processor(standin_process)


def pay(checkout: Checkout, card: str = "pm_card_visa") -> paying.Attempt:
    return paying.try_card(checkout_id=checkout.pk, payment_method=card)

"""Billing's events against what they are for: each fee has its card or line, each that should have a fee has it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agentstore.identity.services import add_member
from billing import budgets, funding, metering, review
from billing.models import DunningStep, Invoice, ProcessorMovement, UsageEvent
from billing.periods import day_of
from billing.reconciliation.conversation_check import check_conversations
from billing.reconciliation.movements import read_movements
from billing.reconciliation.processor_check import check_processor
from marketplace.shopping import refunds
from marketplace.shopping.conversations import delete_conversation
from marketplace.shopping.models import Attribution, Conversation, OrderLine, Recommendation, RefundLine
from marketplace.shopping.recommendations import recommend
from marketplace.shopping.turns import start_turn
from tests.orders.world import check_out, pay, show, talk, usd


@pytest.fixture(autouse=True)
def noon():
    """A day that does not end in the middle of a test."""
    at = datetime.now(UTC).replace(hour=12, minute=0)
    with time_machine.travel(at, tick=False) as clock:
        yield clock


@pytest.fixture
def budget(merchant, prices, noon):
    """Set an hour ago: what changes within a minute of a card excuses it."""
    noon.shift(-3600)
    made = budgets.set_budget(merchant_ref=merchant.ref, cap=usd("1"), at_cap="organic", by="mia")
    noon.shift(3600)
    return made


def meter(card: Recommendation, studio, prices) -> UsageEvent:
    """As `recommend` does when the card is shown."""
    outcome = metering.meter_ppcv(
        conversation_ref=str(card.conversation_id), merchant_ref=f"org:{card.merchant_id}",
        developer_ref=studio.ref, category="electronics", price_version_id=prices.pk, occurred_at=card.at,
    )  # fmt: skip
    Recommendation.objects.filter(pk=card.pk).update(sponsored=True)
    assert outcome.event_id is not None
    return UsageEvent.objects.get(pk=outcome.event_id)


def problems() -> list[tuple[str, str]]:
    findings = check_conversations(day_of(datetime.now(UTC)))
    return [(line.problem, line.reference) for line in findings.lines]


def key_of(card: Recommendation) -> str:
    return metering.ppcv_key(str(card.conversation_id), f"org:{card.merchant_id}")


def test_what_really_happens_agrees(budget, shopper, scout, headphones, prices):
    conversation = talk(shopper, scout, prices, country="US")
    turn = start_turn(conversation=conversation, text="Headphones, please.")
    outcome = recommend(
        conversation_id=conversation.pk,
        turn_id=turn.pk,
        variant_id=f"var_{headphones.variant_id}",
        reason="Good.",
    )
    assert outcome.recommendation.sponsored
    assert problems() == []
    assert check_conversations(day_of(datetime.now(UTC))).compared == 2, "the event and the card"


def test_a_fee_without_its_conversation_or_card(budget, card, studio, prices):
    event = meter(card, studio, prices)
    assert problems() == []
    Recommendation.objects.filter(pk=card.pk).update(status="refused", refusal="out_of_stock")
    assert problems() == [("no_card", event.idempotency_key)]
    Conversation.objects.filter(pk=card.conversation_id).delete()
    assert problems() == [("no_conversation", event.idempotency_key)]
    review.reject_event(event_id=event.pk, reason="nobody was there", by="olivia")
    assert problems() == [], "nobody is charged for it"


def test_a_deleted_conversation_still_explains_its_fee(budget, card, studio, prices):
    meter(card, studio, prices)
    delete_conversation(conversation=card.conversation)
    assert problems() == []


def test_a_card_without_its_fee_where_one_fitted(budget, card, scout, shopper, prices):
    assert problems() == [("no_fee", key_of(card))]
    delete_conversation(conversation=card.conversation)
    assert problems() == [], "nobody knows any more whose it was"
    Recommendation.objects.filter(pk=card.pk).update(sponsored=True)
    assert problems() == [("no_fee", key_of(card))], "but it said that it was paid for"


def test_without_a_budget_a_card_is_organic(card):
    assert problems() == []


def test_what_the_caps_did_not_allow_is_in_order(
    budget, card, scout, shopper, studio, prices, headphones, noon
):
    for _ in range(6):
        meter(show(talk(shopper, scout, prices), headphones), studio, prices)
    noon.shift(120)
    late = show(talk(shopper, scout, prices), headphones)
    assert problems() == [], "six of 15 cents each leave ten: neither the first nor the last fitted"
    budgets.set_budget(merchant_ref=f"org:{late.merchant_id}", cap=usd("9"), at_cap="organic", by="mia")
    noon.shift(120)
    assert problems() == [], "what is allowed now was not allowed then"
    later = show(talk(shopper, scout, prices), headphones)
    assert problems() == [("no_fee", key_of(later))]


def test_what_the_means_or_the_standing_did_not_allow_is_in_order(
    budget, card, merchant, shopper, scout, prices, headphones, noon
):
    noon.shift(120)
    funding.set_funding(merchant_ref=merchant.ref, currency="USD", mode="prepaid", by="mia")
    noon.shift(120)
    broke = show(talk(shopper, scout, prices), headphones)
    assert problems() == [("no_fee", key_of(card))], "the first was still by invoice"
    funding.set_funding(
        merchant_ref=merchant.ref, currency="USD", mode="postpaid", credit_limit=usd("5"), by="mia"
    )
    noon.shift(120)
    lent = show(talk(shopper, scout, prices), headphones)
    assert problems() == [("no_fee", key) for key in sorted([key_of(card), key_of(lent)])]
    assert key_of(broke) not in dict(problems()).values()
    noon.shift(120)
    invoice = Invoice.objects.create(owner_ref=merchant.ref, currency="USD", net_minor=1, status="open")
    DunningStep.objects.create(invoice=invoice, step="suspended")
    noon.shift(120)
    show(talk(shopper, scout, prices), headphones)
    assert len(problems()) == 2


def test_a_page_of_cards_costs_as_many_queries_as_one(budget, card, shopper, scout, prices, headphones):
    day = day_of(datetime.now(UTC))
    assert len(check_conversations(day).lines) == 1, "prices are remembered from here on"
    with CaptureQueriesContext(connection) as of_one:
        check_conversations(day)
    for _ in range(5):
        show(talk(shopper, scout, prices), headphones)
    with CaptureQueriesContext(connection) as of_six:
        assert len(check_conversations(day).lines) == 6
    assert len(of_six) == len(of_one)


def test_what_a_day_allowed_is_asked_too(
    budget, card, merchant, shopper, scout, studio, prices, headphones, noon
):
    noon.shift(120)
    budgets.set_budget(
        merchant_ref=merchant.ref, cap=usd("9"), day_cap=usd("0.20"), at_cap="organic", by="mia"
    )
    noon.shift(120)
    fits = show(talk(shopper, scout, prices), headphones)
    assert problems() == [("no_fee", key) for key in sorted([key_of(card), key_of(fits)])]
    meter(fits, studio, prices)
    noon.shift(120)
    show(talk(shopper, scout, prices), headphones)
    assert problems() == [("no_fee", key_of(card))], "15 of 20 cents are taken"


def test_a_developers_own_people_earn_nothing(budget, card, sam, studio, alice):
    add_member(organization=studio, user=sam, role="member", by=alice)
    assert problems() == []


@pytest.fixture
def order(card, shopper, processor):
    pay(check_out(shopper, card, quantity=2))
    processor.deliver()
    return OrderLine.objects.get().order


def test_a_tax_has_its_credited_line(order, card, scout, shopper, prices, headphones):
    assert problems() == []
    tax = UsageEvent.objects.get(kind="agent_tax")
    OrderLine.objects.update(quantity=1)
    assert problems() == [("other_line", tax.idempotency_key)]
    OrderLine.objects.update(quantity=2)
    Attribution.objects.update(conversation=talk(shopper, scout, prices))
    assert problems() == [("other_line", tax.idempotency_key)]
    Attribution.objects.all().delete()
    assert problems() == [("no_line", tax.idempotency_key)]


def test_a_credited_line_has_its_tax(order):
    UsageEvent.objects.filter(kind="agent_tax").update(idempotency_key="agent_tax:another")
    assert ("no_tax", f"agent_tax:{OrderLine.objects.get().ref}") in problems()


def test_a_return_has_its_refund(order, mia, processor):
    refund = refunds.issue_refund(
        order_id=order.pk, by=mia, reason="x", quantities={OrderLine.objects.get().pk: 1}
    )
    refunds.send_refund(refund_id=refund.pk)
    processor.deliver()
    returned = UsageEvent.objects.get(kind="tax_reversal")
    assert problems() == []
    RefundLine.objects.update(amount_micros=1)
    assert problems() == [("no_refund", returned.idempotency_key)]
    UsageEvent.objects.filter(pk=returned.pk).update(
        idempotency_key=f"tax_reversal:refund:{uuid.uuid4()}:line:1"
    )
    assert [problem for problem, _ in problems()] == ["no_refund"]


def test_the_day_before_is_another_day(budget, card):
    yesterday = day_of(datetime.now(UTC) - timedelta(days=1))
    assert check_conversations(yesterday).compared == 0


def test_without_a_source_nothing_is_said(settings, budget, card):
    assert problems() != []
    settings.USAGE_SOURCES = []
    assert problems() == []


def test_an_order_and_its_refund_are_found_at_the_processor(card, shopper, mia, processor, noon):
    processor.standin.post("/reset")
    pay(check_out(shopper, card, quantity=2))
    processor.deliver()
    line = OrderLine.objects.get()
    refund = refunds.issue_refund(order_id=line.order_id, by=mia, reason="x", quantities={line.pk: 1})
    refunds.send_refund(refund_id=refund.pk)
    processor.deliver()
    read_movements(until=datetime.now(UTC) + timedelta(days=3))
    told = ProcessorMovement.objects.order_by("amount_minor").values_list("match_key", flat=True)
    assert list(told) == [refund.ref, f"payment:{line.order.checkout.payment_ref}"]
    today = day_of(datetime.now(UTC))
    noon.shift(7 * 86_400)
    found = [check_processor(today + timedelta(days=days)) for days in (-1, 0, 1)]
    assert [it.lines for it in found] == [[], [], []]
    assert sum(it.compared for it in found) == 2

"""PPCv and tax: once each, never past a cap, reversed to the micro-unit."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import time_machine

from billing import budgets, ledger, metering, posting
from billing.accounts import (
    developer_pending,
    merchant_receivable,
    merchant_wallet,
    platform_revenue,
)
from billing.errors import IdempotencyMismatch, RefundExceedsSale
from billing.models import Hold, Journal, MerchantBudget, UsageEvent
from tests.billing.conftest import MERCHANT, STUDIO, at, converse, usd
from tests.billing.test_ledger import in_threads


@pytest.fixture(autouse=True)
def _on_the_day_of_the_conversations():
    """The events happen on the 24th and are due on the 25th, whatever today is."""
    with time_machine.travel(at(24)):
        yield


def balances() -> dict[str, int]:
    """Micro-units in the order of the fee's way: owed by the merchant, kept by the store and the studio."""
    return {
        "merchant": ledger.balance(merchant_receivable(MERCHANT, "USD")).micros,
        "wallet": ledger.balance(merchant_wallet(MERCHANT, "USD")).micros,
        "store": ledger.balance(platform_revenue("USD")).micros,
        "studio": ledger.balance(developer_pending(STUDIO, "USD")).micros,
    }


def cap(amount: str, at_cap: str = "organic") -> MerchantBudget:
    return budgets.set_budget(merchant_ref=MERCHANT, cap=usd(amount), at_cap=at_cap, by="mia", at=at(1))


def post_now() -> int:
    with time_machine.travel(at(25)):
        return posting.post_due_events()


def event_of(outcome: metering.PpcvOutcome) -> UsageEvent:
    assert outcome.event_id is not None
    return UsageEvent.objects.get(pk=outcome.event_id)


def journal_of(event: UsageEvent) -> Journal:
    assert event.journal is not None
    return event.journal


def give_back(amount: str, ref: str) -> UsageEvent:
    event = metering.reverse_agent_tax(line_ref="line:1", refunded=usd(amount), refund_ref=ref)
    assert event is not None
    return event


def test_a_conversation_is_billed_once_for_a_merchant(prices, budget):
    conversation = str(uuid.uuid4())
    first = converse(prices, conversation)
    assert (first.status, first.fee, first.developer_share) == ("held", usd("0.25"), usd("0.175"))
    second = converse(prices, conversation, category="toys")
    assert (second.status, second.fee, second.event_id) == ("already", usd("0.25"), first.event_id)
    assert first.sponsored
    assert second.sponsored
    budget.refresh_from_db()
    assert budget.spent_micros == 250_000


def test_each_merchant_of_a_conversation_pays_its_own(prices, budget):
    conversation = str(uuid.uuid4())
    budgets.set_budget(merchant_ref="org:other", cap=usd("1"), at_cap="pause", by="x", at=at(1))
    assert converse(prices, conversation).status == "held"
    assert converse(prices, conversation, merchant_ref="org:other").status == "held"


def test_without_a_budget_an_offer_is_organic(prices):
    outcome = converse(prices)
    assert (outcome.status, outcome.fee.micros, outcome.sponsored) == ("organic", 0, False)
    assert not UsageEvent.objects.exists()


@pytest.mark.parametrize(("at_cap", "status"), [("organic", "organic"), ("pause", "paused")])
def test_at_the_cap_the_merchant_decides(prices, at_cap, status):
    cap("0.50", at_cap)
    assert [converse(prices).status for _ in range(3)] == ["held", "held", status]


def test_a_fee_fits_to_the_last_micro_unit_or_not_at_all(prices):
    cap("0.499999")
    assert [converse(prices).status for _ in range(2)] == ["held", "organic"]


def test_a_new_month_starts_with_the_old_cap_and_nothing_spent(prices):
    cap("0.25", "pause")
    assert converse(prices).status == "held"
    assert converse(prices).status == "paused"
    assert converse(prices, occurred_at=at(1, month=12)).status == "held"
    assert converse(prices, occurred_at=at(2, month=12)).status == "paused"


@pytest.mark.django_db(transaction=True)
def test_a_cap_is_not_passed_under_concurrency(prices):
    cap("2.60")
    statuses = in_threads(8, lambda number: [converse(prices).status for _ in range(4)])
    flat = [status for of_thread in statuses for status in of_thread]
    assert flat.count("held") == 10
    assert flat.count("organic") == 22
    assert MerchantBudget.objects.get().spent_micros == 2_500_000
    assert sum(Hold.objects.values_list("amount_micros", flat=True)) == 2_500_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("amount", ["100", "0.25"])
def test_one_conversation_in_many_threads_is_billed_once(prices, amount):
    cap(amount)
    statuses = in_threads(8, lambda number: converse(prices, "one").status)
    assert sorted(statuses) == ["already"] * 7 + ["held"]
    assert MerchantBudget.objects.get().spent_micros == 250_000


def test_an_event_waits_out_its_quarantine_then_posts_once(prices, budget, settings):
    settings.PPCV_QUARANTINE_SECONDS = 600
    with time_machine.travel(at(24), tick=False) as clock:
        outcome = converse(prices)
        assert posting.post_due_events() == 0
        clock.shift(timedelta(seconds=599))
        assert posting.post_due_events() == 0
        clock.shift(timedelta(seconds=1))
        assert posting.post_due_events() == 1
        assert posting.post_due_events() == 0
    event = event_of(outcome)
    assert [change.status for change in event.changes.all()] == ["held", "quarantined", "rated", "posted"]
    assert event.hold.captured_at is not None
    assert journal_of(event).price_version == prices
    assert balances() == {"merchant": 250_000, "wallet": 0, "store": -75_000, "studio": -175_000}


def test_a_rejected_event_never_posts_and_frees_the_budget(prices, budget):
    outcome = converse(prices, "one")
    voided = metering.void_ppcv(event_id=event_of(outcome).pk, reason="own organisation", by="olivia")
    assert voided.status == "rejected"
    metering.void_ppcv(event_id=event_of(outcome).pk, reason="again", by="olivia")
    budget.refresh_from_db()
    assert budget.spent_micros == 0
    assert post_now() == 0
    again = converse(prices, "one")
    assert (again.status, again.sponsored) == ("already", False)


def test_a_posted_event_is_voided_by_reversal(prices, budget):
    outcome = converse(prices)
    post_now()
    assert metering.void_ppcv(event_id=event_of(outcome).pk, reason="fraud", by="olivia").status == "reversed"
    metering.void_ppcv(event_id=event_of(outcome).pk, reason="fraud", by="olivia")
    assert set(balances().values()) == {0}
    assert Journal.objects.count() == 2
    budget.refresh_from_db()
    assert budget.spent_micros == 0


def tax(prices, amount: str = "129", **changes) -> UsageEvent:
    given = {
        "line_ref": "line:1",
        "conversation_ref": "c1",
        "merchant_ref": MERCHANT,
        "developer_ref": STUDIO,
        "category": "electronics",
        "price_version_id": prices.pk,
        "amount": usd(amount),
        "occurred_at": at(24),
    }
    return metering.meter_agent_tax(**{**given, **changes})


def test_a_line_is_taxed_once(prices):
    assert tax(prices) == tax(prices)
    assert balances() == {"merchant": 0, "wallet": 19_350_000, "store": -5_805_000, "studio": -13_545_000}
    with pytest.raises(IdempotencyMismatch):
        tax(prices, "130")


@pytest.mark.django_db(transaction=True)
def test_a_line_taxed_in_many_threads_is_taxed_once(prices):
    assert len(set(in_threads(6, lambda number: tax(prices).pk))) == 1
    assert balances()["wallet"] == 19_350_000


def test_refunds_return_the_tax_pro_rata_and_end_in_nothing(prices):
    taxed = tax(prices)
    first = give_back("43", "r1")
    assert first.amount_micros == -6_450_000
    assert give_back("43", "r1") == first
    with pytest.raises(IdempotencyMismatch):
        give_back("44", "r1")
    with pytest.raises(RefundExceedsSale):
        give_back("86.000001", "r2")
    give_back("86", "r2")
    assert set(balances().values()) == {0}
    taxed.refresh_from_db()
    assert taxed.status == "reversed"
    assert journal_of(first).reverses == taxed.journal


def test_a_line_without_an_agent_has_no_tax_to_return(db):
    assert metering.reverse_agent_tax(line_ref="line:9", refunded=usd("1"), refund_ref="r") is None


def test_a_sale_too_small_to_tax_leaves_no_journal(prices):
    event = tax(prices, "0.000003")
    assert (event.amount_micros, event.journal) == (0, None)
    back = give_back("0.000003", "r")
    assert (back.amount_micros, back.journal) == (0, None)

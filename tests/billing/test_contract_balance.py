"""The balance and its transactions, as Stripe lists them: by time, in pages of either direction, with their sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from agentstore.kit.money import Money
from billing.processor import balance, connect, disputes, payments, transfers
from billing.processor.client import client, typed_errors
from billing.processor.errors import ProcessorRefused
from tests.billing.conftest import usd


def pay(reference: str, cents: int = 12_900, card: str = "pm_card_bypassPending") -> payments.Payment:
    payment = payments.create_payment(reference=reference, amount=Money.from_minor(cents, "USD"))
    return payments.confirm_payment(payment_id=payment.id, payment_method=card)


def all_of(since: datetime | None = None, until: datetime | None = None) -> list[balance.BalanceMovement]:
    until = until or datetime.now(UTC) + timedelta(days=400)
    return [it for page in balance.list_movements(since=since, until=until) for it in page]


def test_a_payment_and_its_refund_say_whose_they_are(processor, reference):
    payment = pay(reference)
    payments.refund_payment(payment_id=payment.id, amount=usd("9"), reference=f"refund:{reference}")
    refund, charge = (it for it in all_of() if reference in it.reference)
    assert (charge.object, charge.payment_id, charge.reference) == ("charge", payment.id, reference)
    assert (charge.source_id, charge.amount) == (payment.charge_id, payment.amount)
    assert (refund.object, refund.reference, refund.amount) == ("refund", f"refund:{reference}", usd("-9"))


def test_the_balance_is_the_sum_of_its_transactions(standin, reference):
    before = balance.read_balance().get("USD", usd("0"))
    pay(reference)
    pay(f"{reference}-2", card="pm_card_visa")
    assert balance.read_balance()["USD"] - before == usd("249.92"), "settled or not"
    sums = sum(it.amount.micros - it.fee.micros for it in all_of() if it.amount.currency == "USD")
    assert balance.read_balance()["USD"].micros == sums


def test_transactions_by_time(blank_standin, reference):
    pay(f"{reference}-1")
    blank_standin.post("/clock", advance=3600)
    second = pay(f"{reference}-2")
    at = client().v1.charges.retrieve(second.charge_id).created
    since = datetime.fromtimestamp(at, UTC)
    assert [it.reference for it in all_of(since=since)] == [f"{reference}-2"]
    assert [it.reference for it in all_of(until=since)] == [f"{reference}-1"]
    assert all_of(since=since + timedelta(seconds=1)) == []
    listed = client().v1.balance_transactions.list
    assert [it.created for it in listed({"created": at}).data] == [at]
    assert len(listed({"created": {"gt": at - 3600, "lte": at}}).data) == 1
    assert len(listed({"type": "charge", "currency": "usd"}).data) == 2
    assert listed({"source": second.charge_id}).data[0].source == second.charge_id
    assert listed({"payout": "po_none"}).data == []


def test_pages_in_both_directions(blank_standin, reference, monkeypatch):
    for number in range(5):
        pay(f"{reference}-{number}")
    monkeypatch.setattr(balance, "_PAGE", 2)
    pages = list(balance.list_movements(since=None, until=datetime.now(UTC) + timedelta(days=400)))
    assert [len(page) for page in pages] == [2, 2, 1]
    ids = [it.id for page in pages for it in page]
    before = client().v1.balance_transactions.list({"ending_before": ids[3], "limit": 2})
    assert [it.id for it in before.data] == ids[1:3]
    assert before.has_more


@pytest.mark.parametrize(
    "wrong",
    [
        {"starting_after": "txn_none"},
        {"ending_before": "txn_none"},
        {"created": {"since": 1}},
        {"created": "yesterday"},
        {"limit": 101},
        {"expand": ["data.nothing"]},
    ],
)
def test_what_stripe_refuses(processor, reference, wrong: Any):
    pay(reference)
    with pytest.raises(ProcessorRefused), typed_errors():
        client().v1.balance_transactions.list(wrong)


def test_disputes_and_transfers_name_themselves(blank_standin, reference):
    payment = pay(reference, card="pm_card_createDispute")
    dispute = client().v1.disputes.list({"payment_intent": payment.id}).data[0]
    disputes.answer_dispute(dispute_id=dispute.id, text="winning_evidence")
    back, taken, _ = all_of()
    assert {(it.object, it.source_id) for it in (back, taken)} == {("dispute", dispute.id)}
    assert (taken.amount, taken.fee, back.amount) == (usd("-129"), usd("15"), usd("129"))
    categories = [it.reporting_category for it in client().v1.balance_transactions.list({"limit": 2}).data]
    assert categories == ["dispute_reversal", "dispute"]
    pay(f"{reference}-2")
    account = connect.create_account(reference=reference, country="US", email="a@example.com").id
    blank_standin.post(f"/accounts/{account}/onboard")
    sent = transfers.send_transfer(reference=f"payout:{reference}", account_id=account, amount=usd("20"))
    transfers.reverse_transfer(transfer_id=sent.id, reference=f"payout:{reference}")
    returned, moved = all_of()[:2]
    assert (moved.object, moved.reference, moved.amount) == ("transfer", f"payout:{reference}", usd("-20"))
    assert (returned.object, returned.reference, returned.amount) == (
        *("transfer_reversal", f"payout:{reference}"),
        usd("20"),
    )
    transaction = client().v1.balance_transactions.list({"limit": 1, "expand": ["data.source"]}).data[0]
    assert isinstance(transaction.source, stripe.TransferReversal)

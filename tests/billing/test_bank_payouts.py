"""The store's own payouts to its bank: booked once, back when the bank refuses, matched by the reconciliation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import time_machine
from django.core.management import call_command

from billing import bank_payouts, ledger
from billing.accounts import operator_bank, processor_clearing, processor_fees
from billing.models import Incident, Journal, Reconciliation
from billing.processor import bank
from billing.processor.client import client
from billing.processor.payments import confirm_payment, create_payment
from billing.reconciliation import runs
from billing.sales import SaleLine, post_sale
from tests.billing.conftest import usd
from tests.billing.inbox import deliver_events
from tests.billing.months import day

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold(blank_standin, books_alone) -> None:
    """$100.00 of a shopper's, of which the processor kept $3.20."""
    blank_standin.move_to(day(10, 20))
    with time_machine.travel(day(10, 20), tick=False):
        payment = create_payment(reference="checkout:1", amount=usd("100"))
        paid = confirm_payment(payment_id=payment.id, payment_method="pm_card_bypassPending")
        post_sale(
            order_ref="order:1",
            payment_ref=paid.id,
            lines=[SaleLine("line:1", "org:m", usd("100"))],
            fee=paid.fee,
        )


def pay_out(amount: str) -> str:
    """What Stripe does by itself, or an operator on its pages."""
    return client().v1.payouts.create({"amount": usd(amount).minor, "currency": "usd"}).id


def books() -> tuple[str, str]:
    """At the processor, at the bank."""
    return str(ledger.balance(processor_clearing("USD"))), str(ledger.balance(operator_bank("USD")))


def reconciled() -> list[Reconciliation]:
    with time_machine.travel(day(10, 26), tick=False):
        runs.reconcile_due()
    return list(Reconciliation.objects.order_by("day"))


def test_what_went_to_the_bank_left_the_processor_in_the_books_too(sold):
    with time_machine.travel(day(10, 20), tick=False):
        pay_out("96.80")
        for _ in range(2):
            deliver_events(only="payout.")
    assert books() == ("$0.00", "$96.80")
    assert Journal.objects.filter(kind="bank_payout").count() == 1
    rows = reconciled()
    assert not Incident.objects.exists()
    assert {row.status for row in rows} == {"matched"}
    assert rows[0].counts["processor"] == {"compared": 2, "in_flight": 0, "different": 0}
    assert rows[-1].balances.get().apart == usd("0")


def test_refused_by_the_bank_it_is_at_the_processor_again(blank_standin, sold):
    blank_standin.post("/bank", outcome="fails")
    with time_machine.travel(day(10, 20), tick=False):
        pay_out("96.80")
        deliver_events(only="payout.created")
    assert books() == ("$0.00", "$96.80")
    blank_standin.move_to(day(10, 23))
    with time_machine.travel(day(10, 23), tick=False):
        blank_standin.post("/clock", advance=0)
        for _ in range(2):
            deliver_events(only="payout.failed")
    assert books() == ("$96.80", "$0.00")
    assert Journal.objects.filter(kind="bank_payout_reversal").count() == 1
    assert {row.status for row in reconciled()} == {"matched"}


def test_the_order_of_its_events_does_not_matter(blank_standin, sold):
    blank_standin.post("/bank", outcome="fails")
    pay_out("50")
    blank_standin.post("/clock", advance=3 * 86_400)
    for kind in ("payout.failed", "payout.created"):
        deliver_events(only=kind)
    assert books() == ("$96.80", "$0.00")


def test_what_no_event_told_of_is_a_difference_until_it_is_booked_by_hand(sold, capsys):
    with time_machine.travel(day(10, 20), tick=False):
        payout_id = pay_out("90")
    reconciled()
    line = Incident.objects.get().lines.get()
    assert (line.problem, line.reference) == ("not_booked", f"bank_payout:{payout_id}")
    for _ in range(2):
        call_command("book_bank_payouts", since=date(2026, 10, 20))
    assert "1 payouts are in the books." in capsys.readouterr().out
    assert books() == ("$6.80", "$90.00")
    with time_machine.travel(day(10, 28), tick=False):
        runs.reconcile_day(day=date(2026, 10, 20))
    assert Incident.objects.get().status == "resolved"


def test_an_instant_one_costs_something_and_a_negative_one_comes_from_the_bank(sold):
    with time_machine.travel(day(10, 20), tick=False):
        told = bank.retrieve_bank_payout(payout_id=pay_out("10"))
        bank_payouts.book_payout(replace(told, id="po_fee", fee=usd("0.50")))
        bank_payouts.book_payout(replace(told, id="po_back", amount=usd("-4")))
    assert books() == ("$90.30", "$6.00")
    assert ledger.balance(processor_fees("USD")) == usd("3.70")

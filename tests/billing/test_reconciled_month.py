"""A month in which everything happens to the processor's money: reconciled day by day, nothing differs at its end."""

from __future__ import annotations

import uuid
from datetime import date, timedelta

import pytest
import time_machine

from billing import earnings, invoices, ledger, metering, payout_accounts, payouts, topups
from billing.accounts import processor_clearing
from billing.models import Incident, Journal, Payout, PayoutAccount, ProcessorMovement, Reconciliation
from billing.processor.client import client
from billing.processor.disputes import answer_dispute
from billing.processor.payments import confirm_payment, create_payment, refund_payment
from billing.reconciliation import runs
from billing.sales import SaleLine, post_refund, post_sale
from tests.billing.conftest import MERCHANT, usd
from tests.billing.inbox import deliver_events
from tests.billing.months import bill_to, close, conversations, day, issued
from tests.billing.standin import SECRET

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def studio_ref() -> str:
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def account(blank_standin, settings, studio_ref) -> PayoutAccount:
    """The store's account with nothing on it, and a studio's."""
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    settings.PPCV_QUARANTINE_SECONDS = 0
    settings.PAYOUT_MINIMUM_MINOR = 100
    settings.USAGE_SOURCES = []
    blank_standin.move_to(day(10, 20))
    payout_accounts.choose_country(owner_ref=studio_ref, country="US")
    link = payout_accounts.start_onboarding(
        owner_ref=studio_ref, email="a@example.com", return_url="https://x.test", refresh_url="https://x.test"
    )
    blank_standin.open(link)
    found = payout_accounts.refresh_account(owner_ref=studio_ref)
    assert found is not None
    return found


def sell(order: str, amount: str = "100", card: str = "pm_card_bypassPending") -> str:
    payment = create_payment(reference=f"checkout:{order}", amount=usd(amount))
    paid = confirm_payment(payment_id=payment.id, payment_method=card)
    # Two orders, of two merchants, by one payment.
    for number, part in enumerate(("60", str(int(amount) - 60))):
        post_sale(
            order_ref=f"order:{order}.{number}",
            payment_ref=paid.id,
            lines=[SaleLine(f"line:{order}.{number}", f"org:m{number}", usd(part))],
            fee=paid.fee,
        )
    return paid.id


def earn(prices, studio_ref: str, line: str) -> None:
    metering.meter_agent_tax(
        line_ref=line, conversation_ref="c", merchant_ref="org:m0", developer_ref=studio_ref, category="toys",
        price_version_id=prices.pk, amount=usd("60"), occurred_at=day(8, 1),
    )  # fmt: skip


def reconcile_until(last: date) -> list[Reconciliation]:
    """As the beat does it, nearly three days later."""
    with time_machine.travel(day(last.month, last.day) + timedelta(days=2, hours=23), tick=False):
        runs.reconcile_due()
    return list(Reconciliation.objects.order_by("day"))


def test_a_month_with_everything(account, standin, prices, studio_ref):
    conversations(prices, MERCHANT, at=day(10, 20), categories=["electronics"] * 4)
    with time_machine.travel(day(10, 20), tick=False):
        payment = sell("1")
        sell("2", "200")
        top_up = topups.start_top_up(merchant_ref=MERCHANT, amount=usd("50"), by="mia")
        topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_visa")
        earn(prices, studio_ref, "line:1.0")
        earn(prices, studio_ref, "line:2.0")
    standin.move_to(day(10, 21))
    with time_machine.travel(day(10, 21), tick=False):
        refund_payment(payment_id=payment, amount=usd("30"), reference="refund:1")
        post_refund(
            refund_ref="refund:1", order_ref="order:1.0", lines=[SaleLine("line:1.0", "org:m0", usd("30"))]
        )
        disputed = topups.start_top_up(merchant_ref=MERCHANT, amount=usd("70"), by="mia")
        taken = create_payment(reference=f"topup:{disputed.pk}", amount=usd("70"))
        confirm_payment(payment_id=taken.id, payment_method="pm_card_createDispute")
        deliver_events(only="charge.dispute")
    standin.move_to(day(10, 25))
    with time_machine.travel(day(10, 25), tick=False):
        dispute = client().v1.disputes.list({"payment_intent": taken.id}).data[0]
        answer_dispute(dispute_id=dispute.id, text="winning_evidence")
        deliver_events(only="charge.dispute")
        earnings.release_due()
        assert payouts.prepare_due() == 1
        assert payouts.send_prepared() == 1
    bill_to(MERCHANT)
    standin.move_to(day(11, 4))
    close(11)
    with time_machine.travel(day(11, 4), tick=False):
        invoice = issued(MERCHANT)
        standin.get(f"/invoices/{invoice.processor_ref}/pay")
        deliver_events(only="invoice.paid")
        invoice.refresh_from_db()
        assert invoice.status == invoices.Status.PAID
    rows = reconcile_until(date(2026, 11, 6))
    assert not Incident.objects.exists()
    assert {row.status for row in rows} == {"matched"}
    assert rows[0].day == date(2026, 10, 20)
    assert len(rows) == 20
    assert rows[-1].balances.get().apart == usd("0")
    assert ledger.balance(processor_clearing("USD")).micros == rows[-1].balances.get().processor_micros
    kinds = {"sale", "refund", "top_up", "dispute", "dispute_won", "payout", "invoice_paid", "processor_fee"}
    assert kinds <= set(Journal.objects.values_list("kind", flat=True))
    assert set(ProcessorMovement.objects.values_list("type", flat=True)) == (
        {"charge", "refund", "adjustment", "transfer"}
    )


def test_a_prepared_payout_is_under_way_and_a_held_one_stays_so(account, standin, prices, studio_ref):
    with time_machine.travel(day(10, 20), tick=False):
        sell("1")
        earn(prices, studio_ref, "line:1.0")
        earnings.release_due()
        payouts.prepare_due()
    (row,) = (row for row in reconcile_until(date(2026, 10, 18)) if row.day == date(2026, 10, 20))
    assert (row.status, row.in_flight) == ("matched", 1)
    assert row.balances.get().in_flight_micros == row.balances.get().apart.micros == 5_670_000
    payouts.place_hold(owner_ref=studio_ref, reason="an operator looks at it", by="olivia")
    reconcile_until(date(2026, 10, 25))
    row.refresh_from_db()
    assert (row.status, row.in_flight) == ("matched", 1)
    payouts.lift_hold(owner_ref=studio_ref, by="olivia")
    reconcile_until(date(2026, 10, 27))
    row.refresh_from_db()
    assert row.status == "differences"
    line = Incident.objects.get().lines.get()
    assert (line.problem, line.found_micros) == ("not_at_processor", -5_670_000)
    assert line.reference == f"payout:{Payout.objects.get().pk}"
    standin.move_to(day(10, 30))
    with time_machine.travel(day(10, 30), tick=False):
        assert payouts.send_prepared() == 1
    reconcile_until(date(2026, 11, 1))
    assert Incident.objects.get().status == "resolved"


def test_a_payout_that_came_back_is_matched_with_its_way_back(account, standin, prices, studio_ref):
    with time_machine.travel(day(10, 20), tick=False):
        sell("1")
        earn(prices, studio_ref, "line:1.0")
        earnings.release_due()
        payouts.prepare_due()
        standin.post(f"/accounts/{account.processor_ref}/bank", outcome="fails")
        payouts.send_prepared()
    standin.move_to(day(10, 23))
    with time_machine.travel(day(10, 23), tick=False):
        deliver_events(account=account.processor_ref, only="payout.failed")
        payouts.send_prepared()
        assert Payout.objects.get().status == "returned"
    rows = reconcile_until(date(2026, 10, 25))
    assert {row.status for row in rows} == {"matched"}
    assert rows[-1].balances.get().apart == usd("0")


def test_an_invoice_that_was_paid_elsewhere_is_a_difference(account, standin, prices):
    conversations(prices, MERCHANT, at=day(10, 20), categories=["electronics"] * 4)
    bill_to(MERCHANT)
    standin.move_to(day(11, 4))
    close(11)
    with time_machine.travel(day(11, 4), tick=False):
        invoice = issued(MERCHANT)
        client().v1.invoices.pay(invoice.processor_ref, {"paid_out_of_band": True})
        deliver_events(only="invoice.paid")
    reconcile_until(date(2026, 11, 6))
    line = Incident.objects.get().lines.get()
    assert (line.problem, line.reference, line.found_micros) == (
        *("not_at_processor", f"invoice:{invoice.pk}"),
        1_190_000,
    )

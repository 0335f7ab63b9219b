"""The processor against the ledger: a clean month has no difference, and each kind of difference is found."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from agentstore.kit.money import Money
from billing import ledger, topups
from billing.accounts import processor_clearing
from billing.models import Incident, IncidentLine, Notice, ProcessorMovement, Reconciliation
from billing.processor.payments import confirm_payment, create_payment, refund_payment
from billing.reconciliation import runs
from billing.sales import SaleLine, post_refund, post_sale
from tests.billing.conftest import MERCHANT, usd

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def account(standin):
    """The processor's side with nothing on it, at noon of the day."""
    standin.post("/reset")
    move_to(standin, NOON)
    return standin


def move_to(standin, at: datetime) -> None:
    now = standin.post("/clock", advance=0)["now"]
    standin.post("/clock", advance=int(at.timestamp()) - now)


def buy(order: str, amount: str = "100", *, booked: bool = True) -> str:
    """A shopper's payment at the processor and, unless its event is lost, in the books."""
    payment = create_payment(reference=f"checkout:{order}", amount=usd(amount))
    paid = confirm_payment(payment_id=payment.id, payment_method="pm_card_bypassPending")
    if booked:
        book(order, paid.id, usd(amount), paid.fee)
    return paid.id


def book(order: str, payment_ref: str, amount: Money, fee: Money | None) -> None:
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        post_sale(
            order_ref=f"order:{order}",
            payment_ref=payment_ref,
            lines=[SaleLine(f"line:{order}", MERCHANT, amount)],
            fee=fee,
        )


def reconcile(days: int = 3, day: date = DAY) -> Reconciliation:
    """As the beat does it, so many days after noon; the grace is over from the second on."""
    with time_machine.travel(NOON + timedelta(days=days), tick=False):
        return runs.reconcile_day(day=day)


def lines(kind: str = "processor") -> list[tuple[str, int | None, int | None]]:
    rows = IncidentLine.objects.filter(incident__kind=kind, gone_at=None).order_by("problem")
    return [(row.problem, row.expected_micros, row.found_micros) for row in rows]


def test_a_day_that_agrees(account):
    payment = buy("1")
    refund_payment(payment_id=payment, amount=usd("30"), reference="refund:1")
    with time_machine.travel(NOON + timedelta(minutes=2), tick=False):
        post_refund(refund_ref="refund:1", order_ref="order:1", lines=[SaleLine("line:1", MERCHANT, usd("30"))])
    row = reconcile()
    assert (row.status, row.counts["processor"]) == ("matched", {"compared": 2, "in_flight": 0, "different": 0})
    balance = row.balances.get()
    assert balance.processor_micros == balance.books_micros
    assert balance.books_micros == ledger.balance(processor_clearing("USD")).micros == 66_800_000
    assert not Incident.objects.exists()

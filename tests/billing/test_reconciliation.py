"""The processor against the ledger: a clean month has no difference, and each kind of difference is found."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command

from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from billing import ledger, topups
from billing.accounts import processor_clearing
from billing.models import Incident, IncidentLine, Notice, ProcessorMovement, Reconciliation, WebhookEvent
from billing.notices import send_due_notices
from billing.processor.payments import confirm_payment, create_payment, refund_payment
from billing.reconciliation import incidents, runs
from billing.reconciliation.findings import Findings
from billing.sales import SaleLine, post_refund, post_sale
from tests.billing.conftest import MERCHANT, usd
from tests.billing.inbox import deliver_events
from tests.billing.standin import SECRET

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def account(blank_standin):
    """The processor's side with nothing on it, at noon of the day."""
    blank_standin.move_to(NOON)
    return blank_standin


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
        post_refund(
            refund_ref="refund:1", order_ref="order:1", lines=[SaleLine("line:1", MERCHANT, usd("30"))]
        )
    row = reconcile()
    assert (row.status, row.counts["processor"]) == (
        "matched",
        {"compared": 2, "in_flight": 0, "different": 0},
    )
    balance = row.balances.get()
    assert balance.processor_micros == balance.books_micros
    assert balance.books_micros == ledger.balance(processor_clearing("USD")).micros == 66_800_000
    assert not Incident.objects.exists()


def test_a_payment_whose_event_is_lost_is_under_way_and_then_a_difference(account, settings):
    payment = buy("1", booked=False)
    settings.RECONCILIATION_GRACE_SECONDS = 2 * 86_400
    row = reconcile(days=1)
    assert (row.status, row.in_flight) == ("matched", 1)
    assert row.balances.get().in_flight_micros == 96_800_000
    assert row.retry_at == NOON + timedelta(days=2, seconds=1)
    late = reconcile(days=3)
    assert (late.status, late.in_flight) == ("differences", 0)
    incident = Incident.objects.get()
    line = incident.lines.get()
    assert (line.problem, line.reference, line.expected_micros, line.found_micros) == (
        *("not_booked", f"payment:{payment}"),
        *(96_800_000, None),
    )
    assert line.processor_ref.startswith("ch_")
    assert line.detail == "no event of it waits in the inbox"


def test_an_event_that_waits_is_named_with_its_error(account):
    payment = buy("1", booked=False)
    WebhookEvent.objects.create(
        external_id="evt_1",
        type="payment_intent.succeeded",
        payload={"data": {"object": {"id": payment}}},
        attempts=3,
        last_error="AmountMismatch: another amount",
    )
    reconcile()
    assert IncidentLine.objects.get().detail == (
        "payment_intent.succeeded waits, tried 3 times. AmountMismatch: another amount"
    )


def test_a_fault_on_one_day_is_said_and_leaves_the_others(account, settings):
    buy("1")
    settings.USAGE_SOURCES = ["no.such.Source"]
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        assert runs.reconcile_due() == 0
        row = Reconciliation.objects.get(day=DAY)
        assert "no" in row.last_error
        assert (row.status, Reconciliation.objects.count()) == ("waiting", 2)
        settings.USAGE_SOURCES = []
        assert runs.reconcile_due() == 0, "not before its time"
    with time_machine.travel(NOON + timedelta(days=2, hours=1), tick=False):
        assert runs.reconcile_due() == 2


def test_a_fault_is_said_whoever_asked_for_the_day(account, settings):
    buy("1")
    settings.USAGE_SOURCES = ["no.such.Source"]
    with pytest.raises(ImportError):
        reconcile()
    row = Reconciliation.objects.get(day=DAY)
    assert "no.such" in row.last_error or "No module" in row.last_error
    assert row.retry_at == NOON + timedelta(days=3, minutes=2)


def test_it_resolves_itself_when_it_is_booked(account):
    payment = buy("1", booked=False)
    reconcile()
    assert [change.status for change in Incident.objects.get().changes.all()] == ["open"]
    book("1", payment, usd("100"), usd("3.20"))
    assert reconcile().status == "matched"
    incident = Incident.objects.get()
    assert (incident.status, incident.resolved_by) == ("resolved", "reconciliation")
    assert [change.status for change in incident.changes.all()] == ["open", "resolved"]
    assert incident.lines.get().gone_at is not None
    assert [change.status for change in Reconciliation.objects.get().changes.all()] == (
        ["waiting", "differences", "matched"]
    )


def test_what_came_a_day_late_belongs_to_the_day_it_came(account):
    payment = buy("1", booked=False)
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        post_sale(
            order_ref="order:1",
            payment_ref=payment,
            lines=[SaleLine("line:1", MERCHANT, usd("90"))],
            fee=usd("3.20"),
        )
    assert reconcile().status == "matched"
    assert reconcile(day=DAY + timedelta(days=1)).status == "differences"
    assert lines() == [("amount", 100_000_000, 90_000_000)]


def test_every_other_difference_with_the_processor(account):
    book("never", "pi_never", usd("10"), usd("0.50"))
    reconcile()
    assert lines() == [("not_at_processor", None, 9_500_000)]
    payment = buy("other", booked=False)
    book("other", payment, usd("100"), usd("1"))
    reconcile()
    assert lines() == [("fee", 3_200_000, 1_000_000), ("not_at_processor", None, 9_500_000)]
    euros = buy("euros", booked=False)
    book("euros", euros, Money(100_000_000, "EUR"), None)
    reconcile()
    assert ("currency", 96_800_000, 0) in lines()
    assert ("currency", 0, 100_000_000) in lines()


def test_top_ups_and_disputes_are_matched(account, settings):
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    with time_machine.travel(NOON, tick=False):
        top_up = topups.start_top_up(merchant_ref=MERCHANT, amount=usd("50"), by="mia")
        topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_visa")
        disputed = topups.start_top_up(merchant_ref=MERCHANT, amount=usd("60"), by="mia")
        payment = create_payment(reference=f"topup:{disputed.pk}", amount=usd("60"))
        confirm_payment(payment_id=payment.id, payment_method="pm_card_createDispute")
        deliver_events(only="charge.dispute")
    row = reconcile()
    assert (row.status, row.counts["processor"]["compared"]) == ("matched", 3)
    balance = row.balances.get()
    assert balance.processor_micros == balance.books_micros


def test_transactions_are_read_page_by_page_and_once(account, monkeypatch):
    from billing.processor import balance

    monkeypatch.setattr(balance, "_PAGE", 2)
    for number in range(5):
        buy(str(number), "10")
    assert reconcile().counts["processor"]["compared"] == 5
    assert ProcessorMovement.objects.count() == 5
    buy("late", "10")
    assert reconcile().counts["processor"]["compared"] == 6


def test_a_balance_that_its_transactions_do_not_come_to(account, settings):
    settings.RECONCILIATION_GRACE_SECONDS = 0
    buy("1")
    reconcile(days=1)
    ProcessorMovement.objects.update(amount_minor=9_000)
    assert reconcile(days=1).status == "differences"
    assert lines("balance") == [("balance", 96_800_000, 86_800_000)]
    assert lines() == [("amount", 90_000_000, 100_000_000)]


def test_a_processor_that_is_away_leaves_the_day_unreconciled(account, settings):
    buy("1")
    there = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    row = reconcile()
    assert (row.status, row.finished_at) == ("waiting", None)
    assert "processor_unavailable" in row.last_error
    assert "events" in row.counts, "what needs no processor is compared"
    assert "processor" not in row.counts
    assert row.retry_at is not None
    settings.STRIPE_API_BASE = there
    with time_machine.travel(row.retry_at, tick=False):
        runs.reconcile_due()
    row.refresh_from_db()
    assert (row.status, row.last_error, row.attempts) == ("matched", "", 2)


def test_the_beat_reconciles_each_day_that_is_over_once(account):
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        assert runs.reconcile_due() == 0, "nothing was ever booked"
    buy("1")
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        assert runs.reconcile_due() == 2
        assert runs.reconcile_due() == 0
    assert [row.day for row in Reconciliation.objects.order_by("day")] == [DAY, DAY + timedelta(days=1)]
    with time_machine.travel(NOON, tick=False), pytest.raises(runs.DayNotOver):
        runs.reconcile_day(day=DAY)


def test_no_day_is_passed_over_because_a_later_one_was_asked_for(account):
    buy("1")
    reconcile(day=DAY + timedelta(days=1))
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        assert runs.reconcile_due() == 2
        assert runs.reconcile_due() == 0
    assert Reconciliation.objects.filter(status="matched").count() == 3


def test_what_is_asked_for_during_a_run_is_made_after_it(account, monkeypatch):
    buy("1")

    def asked(day: date) -> Findings:
        runs.ask_again(day=day, by="olivia")
        return Findings()

    at = NOON + timedelta(days=3)
    with time_machine.travel(at, tick=False):
        runs.reconcile_day(day=DAY)
        with monkeypatch.context() as meanwhile:
            # Reading is in a transaction that cannot write: between two checks, as another process would.
            meanwhile.setattr(runs, "_looked_at", lambda day, check: asked(day))
            row = runs.reconcile_day(day=DAY)
        assert (row.status, row.retry_at) == ("matched", at)
        runs.reconcile_due()
    row.refresh_from_db()
    assert (row.attempts, row.retry_at) == (3, None)


def test_an_operator_resolves_it_and_only_something_new_opens_it(account, olivia):
    buy("1", booked=False)
    reconcile()
    incident = Incident.objects.get()
    with pytest.raises(Invalid):
        incidents.resolve_incident(incident_id=incident.pk, by="user:olivia", reason=" ")
    incidents.resolve_incident(incident_id=incident.pk, by="user:olivia", reason="a test of the bank's")
    with pytest.raises(incidents.AlreadyResolved):
        incidents.resolve_incident(incident_id=incident.pk, by="user:olivia", reason="again")
    assert Reconciliation.objects.get().status == "matched"
    assert reconcile().status == "matched", "nothing is new"
    buy("2", booked=False)
    assert reconcile().status == "differences"
    assert [(it.status, it.by) for it in incident.changes.order_by("pk")] == [
        ("open", "reconciliation"),
        ("resolved", "user:olivia"),
        ("open", "reconciliation"),
    ]
    assert Notice.objects.filter(owner_ref="platform").count() == 2


def test_operators_are_told_once(account, olivia, charlie, mailoutbox):
    buy("1", booked=False)
    reconcile()
    reconcile()
    with time_machine.travel(NOON + timedelta(days=4), tick=False):
        send_due_notices()
        send_due_notices()
    (mail,) = mailoutbox
    assert mail.to == [olivia.email]
    assert "10 March 2026 does not agree" in mail.subject
    assert "/operator/billing/incidents/" in mail.body


def test_the_command_says_what_does_not_agree(account, capsys):
    buy("1", booked=False)
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        with pytest.raises(CommandError):
            call_command("reconcile", "--day", str(DAY))
        assert "At the processor, not in the books: payment:pi_" in capsys.readouterr().out
        incidents.resolve_incident(incident_id=Incident.objects.get().pk, by="olivia", reason="known")
        call_command("reconcile")
    assert "Everything agrees." in capsys.readouterr().out

"""Charges disputed by line, credit notes, reminders and write-offs."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from agentstore.identity.services import add_member
from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from billing import disputes, dunning, earnings, ledger, metering, review, standing
from billing.accounts import (
    AccountKey,
    developer_pending,
    merchant_receivable,
    platform_revenue,
)
from billing.invoice_rows import rows_of
from billing.models import (
    ChargeDispute,
    CreditNote,
    DunningStep,
    Invoice,
    Journal,
    Notice,
    Statement,
    UsageEvent,
)
from billing.pricing import Terms, announce_prices, draft_prices
from billing.processor import invoicing
from billing.processor.client import client
from billing.processor.errors import ProcessorRefused
from tests.billing.conftest import STUDIO, TERMS, usd
from tests.billing.killed_calls import kill_after_each_call
from tests.billing.months import bill_to, close, conversations, day, issued, paid
from tests.billing.test_ledger import in_threads

pytestmark = pytest.mark.django_db(transaction=True)

TAX = AccountKey("platform", "sales_tax", "USD")


@pytest.fixture
def merchant_ref(settings) -> str:
    settings.PPCV_QUARANTINE_SECONDS = 0
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def events(prices, merchant_ref) -> list[UsageEvent]:
    """October: four conversations at 25 cents."""
    return conversations(prices, merchant_ref, at=day(10, 20), categories=["electronics"] * 4)


@pytest.fixture
def invoice(standin, events, merchant_ref) -> Invoice:
    """Their invoice: $1.00 and 19 cents tax."""
    bill_to(merchant_ref)
    close(11)
    return issued(merchant_ref)


def uphold(event: UsageEvent, note: str = "no real message") -> ChargeDispute:
    dispute = disputes.open_dispute(
        event_id=event.pk, owner_ref=event.merchant_ref, reason="never happened", by="mia"
    )
    return disputes.decide_dispute(dispute_id=dispute.pk, uphold=True, by="olivia", note=note)


def balances(merchant_ref: str) -> tuple[int, int, int, int]:
    """Receivable, revenue, developer, tax, in micro-units as they usually stand."""
    return (
        ledger.balance(merchant_receivable(merchant_ref, "USD")).micros,
        -ledger.balance(platform_revenue("USD")).micros,
        -ledger.balance(developer_pending(STUDIO, "USD")).micros,
        -ledger.balance(TAX).micros,
    )


def test_upheld_before_the_month_closes_it_is_reversed(events, merchant_ref):
    with time_machine.travel(day(10, 25), tick=False):
        dispute = uphold(events[0])
    assert dispute.status == "upheld"
    assert balances(merchant_ref) == (750_000, 225_000, 525_000, 0)
    close(11)
    assert Statement.objects.get(owner_ref=merchant_ref).charges_minor == 75
    assert not CreditNote.objects.exists()
    assert Notice.objects.get(key=f"dispute:{dispute.pk}").owner_ref == merchant_ref


def test_upheld_after_it_was_invoiced_a_credit_note_takes_it_off(invoice, events, merchant_ref):
    uphold(events[0])
    assert disputes.issue_credit_notes() == 1
    note = CreditNote.objects.get()
    assert (note.net_minor, note.tax_minor) == (25, 5)
    assert note.number.endswith("CN-01")
    there = invoicing.retrieve_invoice(invoice_id=invoice.processor_ref)
    assert there.remaining == usd("0.89")
    assert balances(merchant_ref) == (890_000, 225_000, 525_000, 140_000)
    close(12)
    december = Statement.objects.filter(owner_ref=merchant_ref, period="2026-11")
    assert not december.exclude(charges_minor=0).exists(), "credited once, not again on the next statement"


def test_what_is_disputed_of_invoices_is_one_query_however_much_it_is(
    invoice, events, merchant_ref, django_assert_num_queries
):
    for event in events[:3]:
        disputes.open_dispute(event_id=event.pk, owner_ref=merchant_ref, reason="x", by="mia")
    with django_assert_num_queries(2):
        (row,) = rows_of([invoice])
    assert row.disputed == usd("0.75")
    assert disputes.disputed_by_invoice() == {invoice.pk: usd("0.75")}
    assert disputes.disputed_by_invoice(owner_refs={"org:other"}) == {}


def test_credited_after_it_was_paid_it_comes_off_the_next_invoice(
    standin, prices, invoice, events, merchant_ref
):
    paid(standin, invoice)
    uphold(events[0])
    disputes.issue_credit_notes()
    assert ledger.balance(merchant_receivable(merchant_ref, "USD")) == usd("-0.30")
    conversations(prices, merchant_ref, at=day(11, 20), categories=["electronics"] * 4)
    close(12)
    following = issued(merchant_ref)
    paid(standin, following)
    assert following.paid_minor == 119 - 30
    assert ledger.balance(merchant_receivable(merchant_ref, "USD")).micros == 0


def test_all_of_an_invoice_can_be_credited_and_not_more(invoice, events, merchant_ref):
    for event in events:
        uphold(event)
    assert disputes.issue_credit_notes() == 4
    assert sum(note.net_minor for note in CreditNote.objects.all()) == 100
    assert invoicing.retrieve_invoice(invoice_id=invoice.processor_ref).status == "paid"
    assert balances(merchant_ref) == (0, 0, 0, 0), "four times 4.75 cents of tax are 19, not 20"
    assert sum(line.balance.micros for line in ledger.trial_balance()) == 0


def test_killed_after_its_calls_it_makes_one_credit_note(invoice, events, merchant_ref):
    uphold(events[0])
    killed = kill_after_each_call("from billing import disputes", "disputes.issue_credit_notes()")
    assert killed == ["/v1/credit_notes"]
    assert len(client().v1.credit_notes.list({"invoice": invoice.processor_ref}).data) == 1
    assert Journal.objects.filter(kind="credit_note_tax").count() == 1
    assert balances(merchant_ref) == (890_000, 225_000, 525_000, 140_000)


def test_a_declined_dispute_changes_nothing(invoice, events, merchant_ref):
    before = balances(merchant_ref)
    dispute = disputes.open_dispute(
        event_id=events[0].pk, owner_ref=merchant_ref, reason="too dear", by="mia"
    )
    disputes.decide_dispute(dispute_id=dispute.pk, uphold=False, by="olivia", note="it is the fee")
    with pytest.raises(disputes.AlreadyDecided):
        disputes.decide_dispute(dispute_id=dispute.pk, uphold=True, by="olivia", note="after all")
    assert balances(merchant_ref) == before


def test_what_can_not_be_disputed(events, merchant_ref):
    with pytest.raises(UsageEvent.DoesNotExist):
        disputes.open_dispute(event_id=events[0].pk, owner_ref="org:charlie", reason="x", by="charlie")
    with pytest.raises(Invalid):
        disputes.open_dispute(event_id=events[0].pk, owner_ref=merchant_ref, reason=" ", by="mia")
    uphold(events[0])
    assert uphold_again(events[0]).status == "upheld"


def uphold_again(event: UsageEvent) -> ChargeDispute:
    """Opening it again gives the one there is."""
    return disputes.open_dispute(event_id=event.pk, owner_ref=event.merchant_ref, reason="again", by="mia")


def test_reminders_come_in_steps_each_once(invoice, merchant_ref):
    assert invoice.due_at is not None
    seen = []
    for days in (2, 3, 4, 10, 17, 24, 25):
        with time_machine.travel(invoice.due_at + timedelta(days=days, minutes=1), tick=False):
            dunning.remind_overdue()
        seen.append(DunningStep.objects.count())
    assert seen == [0, 1, 1, 2, 3, 4, 4]
    assert Notice.objects.filter(key__startswith="dunning:").count() == 4
    assert standing.is_suspended(merchant_ref)


def test_reminders_that_are_late_still_leave_a_week_each(invoice):
    assert invoice.due_at is not None
    seen = []
    for days in (40, 41, 47, 53, 54, 61):
        with time_machine.travel(invoice.due_at + timedelta(days=days), tick=False):
            dunning.remind_overdue()
        seen.append(DunningStep.objects.count())
    assert seen == [1, 1, 2, 2, 3, 4]


def test_fees_stop_at_the_last_step_and_go_on_when_it_is_paid(standin, prices, invoice, merchant_ref):
    DunningStep.objects.create(invoice=invoice, step="suspended")
    assert not conversations_held(prices, merchant_ref)
    paid(standin, invoice)
    assert not standing.is_suspended(merchant_ref)
    assert conversations_held(prices, merchant_ref)


def conversations_held(prices, merchant_ref: str) -> bool:
    outcome = metering.meter_ppcv(
        conversation_ref=str(uuid.uuid4()), merchant_ref=merchant_ref, developer_ref=STUDIO,
        category="electronics", price_version_id=prices.pk, occurred_at=day(10, 21),
    )  # fmt: skip
    return outcome.status == "held"


def test_nobody_is_reminded_of_an_invoice_with_an_open_dispute(invoice, events, merchant_ref):
    assert invoice.due_at is not None
    dispute = disputes.open_dispute(event_id=events[0].pk, owner_ref=merchant_ref, reason="x", by="mia")
    with time_machine.travel(invoice.due_at + timedelta(days=5), tick=False):
        assert dunning.remind_overdue() == 0
        disputes.decide_dispute(dispute_id=dispute.pk, uphold=False, by="olivia", note="no")
        assert dunning.remind_overdue() == 1


def test_a_write_off_takes_everything_back(invoice, events, merchant_ref):
    uphold(events[0])
    disputes.issue_credit_notes()
    dunning.write_off(invoice=invoice, by="olivia", reason="bankrupt")
    dunning.write_off(invoice=Invoice.objects.get(), by="olivia", reason="bankrupt")
    assert balances(merchant_ref) == (0, 0, 0, 0)
    assert invoicing.retrieve_invoice(invoice_id=invoice.processor_ref).status == "uncollectible"
    assert Journal.objects.filter(kind="invoice_written_off").count() == 1


def test_what_is_credited_but_not_issued_when_it_is_written_off_is_not_issued(invoice, events, merchant_ref):
    uphold(events[0])
    dunning.write_off(invoice=invoice, by="olivia", reason="bankrupt")
    assert disputes.issue_credit_notes() == 0
    assert balances(merchant_ref) == (0, 0, 0, 0)


def test_a_write_off_does_not_hold_other_shares_back(prices, invoice, events, merchant_ref):
    metering.meter_agent_tax(
        line_ref="l1", conversation_ref="c1", merchant_ref=merchant_ref, developer_ref=STUDIO,
        category="electronics", price_version_id=prices.pk, amount=usd("100"), occurred_at=day(10, 20),
    )  # fmt: skip
    dunning.write_off(invoice=invoice, by="olivia", reason="bankrupt")
    with time_machine.travel(day(12, 20), tick=False):
        assert earnings.immature(STUDIO, "USD").micros == 0
        earnings.settle_earnings(owner_ref=STUDIO, currency="USD")
    assert -ledger.balance(earnings.developer_available(STUDIO, "USD")) == usd("9.45")
    assert "written off" in earnings.standings(events)[events[0].pk].why


def test_an_invoice_that_is_paid_after_it_was_written_off_is_earned_after_all(
    standin, invoice, events, merchant_ref
):
    earned = balances(merchant_ref)[1:]
    dunning.write_off(invoice=invoice, by="olivia", reason="bankrupt")
    for _ in range(2):
        assert paid(standin, invoice).status == "paid"
        assert balances(merchant_ref) == (0, *earned)
    assert invoice.paid_at is not None
    assert earnings.immature(STUDIO, "USD", invoice.paid_at) == usd("0.70")
    assert sum(line.balance.micros for line in ledger.trial_balance()) == 0


def test_what_was_written_off_is_not_credited_too(invoice, events, merchant_ref):
    dispute = disputes.open_dispute(event_id=events[0].pk, owner_ref=merchant_ref, reason="x", by="mia")
    dunning.write_off(invoice=invoice, by="olivia", reason="bankrupt")
    with pytest.raises(disputes.WrittenOff):
        disputes.decide_dispute(dispute_id=dispute.pk, uphold=True, by="olivia", note="a bot")
    assert balances(merchant_ref) == (0, 0, 0, 0)
    declined = disputes.decide_dispute(dispute_id=dispute.pk, uphold=False, by="olivia", note="written off")
    assert declined.status == "declined"


def test_a_fee_that_is_invoiced_is_credited_not_rejected(invoice, events, merchant_ref):
    with pytest.raises(review.AlreadyInvoiced):
        review.reject_event(event_id=events[0].pk, reason="no shopper", by="olivia")
    dunning.write_off(invoice=invoice, by="olivia", reason="bankrupt")
    assert balances(merchant_ref) == (0, 0, 0, 0), "taken back once"


def test_a_fee_that_is_carried_on_can_be_rejected(prices, merchant_ref):
    (event,) = conversations(prices, merchant_ref, at=day(10, 20), categories=["toys"])
    close(11)
    assert review.reject_event(event_id=event.pk, reason="no shopper", by="olivia").status == "reversed"
    assert balances(merchant_ref) == (0, 0, 0, 0)


def test_charges_of_a_line_that_are_credited_side_by_side_come_to_the_line(standin, prices, merchant_ref):
    half_cents = changed_prices(ppcv=15_000)
    fees = conversations(half_cents, merchant_ref, at=day(10, 20), categories=["toys"] * 40)
    bill_to(merchant_ref)
    close(11)
    issued(merchant_ref)
    in_threads(4, lambda number: uphold(fees[number]).pk)
    assert sum(note.net_minor for note in CreditNote.objects.all()) == 6, "four times 1.5 cents"


def changed_prices(*, ppcv: int):
    terms = [*TERMS[2:], Terms("ppcv", ppcv)]
    version = draft_prices(name="half cents", terms=terms, by="test")
    return announce_prices(version_id=version.pk, effective_at=now() + timedelta(days=1), by="test")


def test_a_paid_invoice_can_not_be_written_off(standin, invoice):
    standin.get(f"/invoices/{invoice.processor_ref}/pay")
    with pytest.raises(ProcessorRefused):
        dunning.write_off(invoice=invoice, by="olivia", reason="too early")


def test_pages_of_disputes(client, prices, merchant, mia, charlie, olivia, sam, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    (event,) = conversations(prices, merchant.ref, at=now(), categories=["electronics"])
    page = reverse("billing:dispute", args=[merchant.slug, event.pk])
    for person in (charlie, sam):
        client.force_login(person)
        assert client.get(page).status_code == 404
        assert client.post(page, {"reason": "mine"}).status_code == 404
    add_member(organization=merchant, user=sam, role="member", by=mia)
    assert client.post(page, {"reason": "mine"}).status_code == 403
    client.force_login(mia)
    assert client.post(page, {"reason": ""}).status_code == 422
    assert client.post(page, {"reason": "nobody was there"}).status_code == 302
    assert "nobody was there" in str(client.get(page).content, "utf-8")
    dispute = ChargeDispute.objects.get()
    for url in (reverse("billing:disputes"), reverse("billing:decide_dispute", args=[dispute.pk])):
        assert client.get(url).status_code == 404, "not an operator"
        client.force_login(olivia)
        assert "nobody was there" in str(client.get(url).content, "utf-8")
        client.force_login(mia)
    client.force_login(olivia)
    decided = {"note": "a bot", "verdict": "uphold"}
    assert client.post(reverse("billing:decide_dispute", args=[dispute.pk]), decided).status_code == 302
    event.refresh_from_db()
    assert event.status == "reversed"
    assert reverse("billing:invoices") in str(client.get(reverse("billing:operator")).content, "utf-8")


def test_the_operators_invoices(client, standin, invoice, olivia, mia):
    off = reverse("billing:write_off", args=[invoice.pk])
    client.force_login(mia)
    assert client.get(reverse("billing:invoices")).status_code == 404
    assert client.post(off, {"reason": "mine"}).status_code == 404
    client.force_login(olivia)
    assert invoice.number in str(client.get(reverse("billing:invoices") + "?status=open").content, "utf-8")
    assert client.post(off, {"reason": "bankrupt"}).status_code == 302
    invoice.refresh_from_db()
    assert invoice.status == "uncollectible"

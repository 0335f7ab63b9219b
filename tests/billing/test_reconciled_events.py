"""The ledger and the statements against the events: a clean month has no difference, each broken book is found."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest
import time_machine
from django.db import connection, transaction

from billing import disputes, metering, posting
from billing.ledger import reverse
from billing.models import DayTotal, Entry, Journal, StatementLine, UsageEvent, UsageEventChange
from billing.reconciliation.event_check import check_events
from billing.reconciliation.incidents import record_findings
from billing.reconciliation.statement_check import check_statements
from tests.billing.conftest import STUDIO, converse, usd
from tests.billing.months import bill_to, close, conversations, day

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2026, 10, 20)


@contextmanager
def without_triggers() -> Iterator[None]:
    """The only way to break the books: as a superuser who tells PostgreSQL to look away."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield


@pytest.fixture
def merchant_ref(settings) -> str:
    settings.PPCV_QUARANTINE_SECONDS = 0
    settings.USAGE_SOURCES = []
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def month(prices, merchant_ref) -> list[UsageEvent]:
    """Everything that usage can do, on one day: fees, one taken back, a sale taxed and partly refunded."""
    events = conversations(
        prices, merchant_ref, at=day(10, 20), categories=["electronics", "electronics", "toys"]
    )
    with time_machine.travel(day(10, 20) + timedelta(minutes=5), tick=False):
        metering.void_ppcv(event_id=events[2].pk, reason="fraud", by="olivia")
        tax(prices, merchant_ref, "line:1")
        metering.reverse_agent_tax(line_ref="line:1", refunded=usd("33.33"), refund_ref="refund:1")
        metering.reverse_agent_tax(line_ref="line:1", refunded=usd("66.67"), refund_ref="refund:2")
        tax(prices, merchant_ref, "line:2")
        metering.reverse_agent_tax(line_ref="line:2", refunded=usd("0.07"), refund_ref="refund:3")
    return events


def tax(prices, merchant_ref: str, line: str) -> None:
    metering.meter_agent_tax(
        line_ref=line, conversation_ref="c", merchant_ref=merchant_ref, developer_ref=STUDIO, category="toys",
        price_version_id=prices.pk, amount=usd("100"), occurred_at=day(10, 20),
    )  # fmt: skip


def problems(found=None) -> list[str]:
    findings = found or check_events(DAY)
    assert findings.different == len(findings.lines)
    return sorted({line.problem for line in findings.lines})


def test_a_day_with_everything_agrees(month):
    findings = check_events(DAY)
    assert (findings.compared, findings.in_flight, findings.lines) == (8, 0, [])
    assert check_events(DAY + timedelta(days=1)).compared == 0


def test_what_was_credited_later_belongs_to_the_day_of_the_credit(month, merchant_ref, standin):
    bill_to(merchant_ref)
    close(11)
    with time_machine.travel(day(11, 5), tick=False):
        dispute = disputes.open_dispute(
            event_id=month[0].pk, owner_ref=merchant_ref, reason="never happened", by="mia"
        )
        disputes.decide_dispute(dispute_id=dispute.pk, uphold=True, by="olivia", note="right")
    assert check_events(DAY).compared == 7
    findings = check_events(date(2026, 11, 5))
    assert (findings.compared, findings.lines) == (1, [])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"amount_micros": 240_000}, ["day_sum", "wrong_entries", "wrong_fee"]),
        ({"developer_share_micros": 1}, ["day_sum", "wrong_entries", "wrong_fee"]),
        ({"status": "rejected"}, ["journal_of_rejected"]),
        ({"status": "reversed"}, ["no_reversal"]),
        ({"journal": None}, ["day_sum", "no_event", "no_journal"]),
        ({"merchant_ref": "org:another"}, ["wrong_entries"]),
    ],
)
def test_an_event_that_was_changed(month, change, found):
    UsageEvent.objects.filter(pk=month[0].pk).update(**change)
    assert problems() == found


def test_two_things_of_one_event_are_one_line(month):
    reversed_ = UsageEvent.objects.get(status="reversed", kind="ppcv")
    UsageEvent.objects.filter(pk=reversed_.pk).update(merchant_ref="org:another")
    findings = check_events(DAY)
    assert [(line.problem, line.event_id, line.detail) for line in findings.lines] == [
        ("wrong_entries", reversed_.pk, "entries"),
    ]
    assert findings.different == 1
    assert record_findings(kind="events", day=DAY, findings=findings, by="test") is not None


def test_an_event_that_was_deleted(month):
    with without_triggers():
        UsageEventChange.objects.filter(event=month[0]).delete()
        connection.cursor().execute("DELETE FROM billing_usageevent WHERE id = %s", [month[0].pk])
    findings = check_events(DAY)
    assert problems(findings) == ["day_sum", "no_event"]
    assert findings.lines[0].journal_id == month[0].journal_id
    assert findings.lines[1].expected is not None
    assert (findings.lines[1].found or 0) - findings.lines[1].expected == 75_000


def test_a_journal_that_was_deleted_or_changed(month):
    with without_triggers():
        Entry.objects.filter(journal=month[1].journal_id, leg=1).update(amount=250_001)
    assert problems() == ["wrong_entries"]
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM billing_entry WHERE journal_id = %s", [month[1].journal_id])
        cursor.execute("DELETE FROM billing_journal WHERE id = %s", [month[1].journal_id])
    assert problems() == ["no_journal"]


def test_a_reversal_in_the_books_alone(month):
    with time_machine.travel(day(10, 20), tick=False):
        reverse(journal=Journal.objects.get(pk=month[0].journal_id))
    assert problems() == ["not_reversed"]


def test_a_return_that_is_missing(month):
    returned = UsageEvent.objects.get(idempotency_key="tax_reversal:refund:2:line:1")
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM billing_usageeventchange WHERE event_id = %s", [returned.pk])
        cursor.execute("DELETE FROM billing_usageevent WHERE id = %s", [returned.pk])
    assert problems() == ["day_sum", "no_event", "no_reversal"]


def test_totals_that_are_off_by_a_micro_unit(month):
    from billing.ledger import roll_up
    from tests.billing.seen import until_all_is_seen

    until_all_is_seen()
    roll_up()
    assert problems() == []
    total = DayTotal.objects.get(journal_kind="ppcv", account_kind="platform_revenue")
    DayTotal.objects.filter(pk=total.pk).update(credit_micros=total.credit_micros + 1)
    (line,) = check_events(DAY).lines
    assert (line.problem, (line.found or 0) - (line.expected or 0)) == ("day_sum", 1)


def test_an_event_that_is_not_posted_is_under_way_and_then_a_difference(prices, budget, settings):
    settings.USAGE_SOURCES = []
    with time_machine.travel(day(11, 24), tick=False):
        converse(prices)
    with time_machine.travel(day(11, 25), tick=False):
        early = check_events(date(2026, 11, 24))
        assert (early.in_flight, early.lines) == (1, [])
    with time_machine.travel(day(11, 26), tick=False):
        assert problems(check_events(date(2026, 11, 24))) == ["not_posted"]
        assert posting.post_due_events() == 1
        assert check_events(date(2026, 11, 24)).compared == 0, "it belongs to the day of its posting now"
        assert problems(check_events(date(2026, 11, 26))) == []


def test_statements_are_the_sum_of_their_events(month, merchant_ref):
    close(11)
    made = date(2026, 11, 4)
    findings = check_statements(made)
    assert (findings.compared, findings.lines) == (2, [])
    line = StatementLine.objects.filter(kind="ppcv", account_kind="merchant_receivable").first()
    assert line is not None
    with without_triggers():
        StatementLine.objects.filter(pk=line.pk).update(exact_micros=line.exact_micros - 1)
    (found,) = check_statements(made).lines
    assert (found.problem, (found.expected or 0) - (found.found or 0)) == ("statement_sum", 1)
    with without_triggers():
        StatementLine.objects.filter(pk=line.pk).update(exact_micros=line.exact_micros, quantity=9)
    assert problems(check_statements(made)) == ["statement_count"]
    with without_triggers():
        StatementLine.objects.filter(kind="agent_tax", account_kind="developer_pending").delete()
    assert problems(check_statements(made)) == ["statement_count", "statement_sum"]

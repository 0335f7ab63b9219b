"""Months closed, statements made: exact, once, and what comes late is on the next."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum

from billing import budgets, ledger, metering, posting, statement_files, statements
from billing.accounts import AccountKey, merchant_receivable
from billing.models import Entry, Invoice, Journal, Statement, StatementLine, StatementPeriod, UsageEvent
from billing.periods import Month
from billing.pricing import Terms, announce_prices, draft_prices
from billing.sales import SaleLine, post_refund, post_sale
from billing.statement_rules import SETTLING
from tests.billing.conftest import MERCHANT, STUDIO, usd
from tests.billing.killing import killed_at_random
from tests.billing.seen import until_all_is_seen

pytestmark = pytest.mark.django_db(transaction=True)

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, 12, tzinfo=UTC)


@pytest.fixture
def odd_prices():
    """A third of a cent, so that rounding shows."""
    terms = [
        Terms("ppcv", 153_333),
        Terms("ppcv", 250_000, "electronics"),
        Terms("agent_tax", 150_000),
        Terms("developer_share", 700_000),
    ]
    version = draft_prices(name="odd", terms=terms, by="test")
    return announce_prices(version_id=version.pk, effective_at=day(1, 1), by="test")


@pytest.fixture
def converse(odd_prices, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0

    def meter(
        at: datetime, *, category: str = "toys", merchant: str = MERCHANT, times: int = 1, post: bool = True
    ):
        with time_machine.travel(at, tick=False):
            budgets.set_budget(merchant_ref=merchant, cap=usd("100000"), at_cap="organic", by="test", at=at)
            for _ in range(times):
                metering.meter_ppcv(
                    conversation_ref=str(uuid.uuid4()),
                    merchant_ref=merchant,
                    developer_ref=STUDIO,
                    category=category,
                    price_version_id=odd_prices.pk,
                    occurred_at=at,
                )
            if post:
                posting.post_due_events()

    return meter


def close(month: int, number: int = 4, *, meanwhile: bool = False) -> None:
    """Close what is due on a day; `meanwhile` a transaction of the test's own still runs."""
    with time_machine.travel(day(month, number), tick=False):
        if not meanwhile:
            until_all_is_seen()
        statements.close_due_months()


def charges(owner: str = MERCHANT) -> list[tuple[str, str, str, int, int, int]]:
    lines = StatementLine.objects.filter(statement__owner_ref=owner, charge=True)
    return list(
        lines.order_by("statement__period_id", "number").values_list(
            "statement__period_id", "category", "late_from", "quantity", "exact_micros", "amount_minor"
        )
    )


def test_a_month_is_added_up_exactly_and_rounded_once_a_line(converse):
    converse(day(10, 5), times=7)
    converse(day(10, 6), category="electronics", times=3)
    close(11)
    assert charges() == [
        ("2026-10", "electronics", "", 3, 750_000, 75),
        ("2026-10", "toys", "", 7, 1_073_331, 107),
    ]
    statement = Statement.objects.get(owner_ref=MERCHANT)
    assert (statement.charges_minor, statement.rounding_micros) == (182, 1_820_000 - 1_823_331)
    assert ledger.balance(merchant_receivable(MERCHANT, "USD")) == usd("1.82")
    assert ledger.balance(AccountKey("platform", "rounding", "USD")).micros == 3_331
    assert sum(line.balance.micros for line in ledger.trial_balance()) == 0


def test_what_comes_late_is_on_the_next_statement_and_says_so(converse):
    converse(day(10, 5))
    converse(day(10, 31), post=False)
    close(11)
    with time_machine.travel(day(11, 5), tick=False):
        posting.post_due_events()
    converse(day(11, 6))
    close(12)
    assert [line[:4] for line in charges()] == [
        ("2026-10", "toys", "", 1),
        ("2026-11", "toys", "", 1),
        ("2026-11", "toys", "2026-10", 1),
    ]


def test_the_days_of_grace_belong_to_the_new_month(converse):
    converse(day(10, 5))
    converse(day(11, 2))
    close(11)
    assert [line[:4] for line in charges()] == [("2026-10", "toys", "", 1)]
    close(12)
    assert [line[:4] for line in charges()][1:] == [("2026-11", "toys", "", 1)]


def test_a_month_is_not_closed_before_its_grace_is_over(converse):
    with time_machine.travel(datetime(2026, 11, 3, 23, 59, tzinfo=UTC), tick=False):
        with pytest.raises(statements.MonthStillOpen):
            statements.close_month(OCTOBER)
        until_all_is_seen()
        assert statements.close_due_months() == 0


def test_a_journal_that_commits_while_a_month_is_closed_is_on_the_next(converse, odd_prices):
    """The transaction began before the mark and ends after it: a mark of times or ids would lose it."""
    from tests.billing.test_ledger import in_threads

    converse(day(10, 5))

    def book(number: int) -> None:
        with transaction.atomic():
            post_sale(
                order_ref="order:slow", payment_ref="pi", lines=[SaleLine("l", MERCHANT, usd("5"))],
                occurred_at=day(10, 9),
            )  # fmt: skip
            in_threads(1, lambda _: close(11, meanwhile=True))

    in_threads(1, book)
    assert not StatementLine.objects.filter(kind="sale").exists()
    close(12)
    line = StatementLine.objects.get(kind="sale")
    assert (line.statement.period_id, line.late_from, line.exact_micros) == ("2026-11", "2026-10", 5_000_000)


def test_statements_add_up_to_the_ledger(converse, odd_prices):
    """Everything that moved on an owner's accounts is on exactly one statement, to the micro-unit."""
    converse(day(10, 5), times=3)
    converse(day(10, 31), post=False)
    close(11)
    with time_machine.travel(day(11, 10), tick=False):
        posting.post_due_events()
        post_sale(order_ref="o", payment_ref="pi", lines=[SaleLine("line:1", MERCHANT, usd("129"))])
        metering.meter_agent_tax(
            line_ref="line:1", conversation_ref="c", merchant_ref=MERCHANT, developer_ref=STUDIO,
            category="toys", price_version_id=odd_prices.pk, amount=usd("129"), occurred_at=day(11, 10),
        )  # fmt: skip
        post_refund(refund_ref="r", order_ref="o", lines=[SaleLine("line:1", MERCHANT, usd("43"))])
        metering.reverse_agent_tax(line_ref="line:1", refunded=usd("43"), refund_ref="r")
        event = UsageEvent.objects.filter(kind="ppcv").first()
        assert event is not None
        metering.void_ppcv(event_id=event.pk, reason="fraud", by="olivia")
    close(12)
    for owner, kind, sign in (
        (MERCHANT, "merchant_receivable", 1),
        (MERCHANT, "merchant_wallet", -1),
        (STUDIO, "developer_pending", -1),
    ):
        stated = StatementLine.objects.filter(statement__owner_ref=owner, account_kind=kind)
        moved = Entry.objects.filter(account__owner_ref=owner, account__kind=kind).exclude(
            journal__kind="statement_rounding"
        )
        assert stated.aggregate(x=Sum("exact_micros"))["x"] == sign * moved.aggregate(x=Sum("amount"))["x"]
        for statement in Statement.objects.filter(owner_ref=owner):
            opening, closing = (
                statement.balances.values_list("opening_micros", "closing_micros").get(account_kind=kind)
                if statement.balances.filter(account_kind=kind).exists()
                else (0, 0)
            )
            lines = statement.lines.filter(account_kind=kind).aggregate(x=Sum("exact_micros"))["x"] or 0
            rounding = statement.rounding_micros if kind == "merchant_receivable" else 0
            assert closing - opening == lines + rounding
    last = Statement.objects.filter(owner_ref=MERCHANT).order_by("period_id").last()
    assert last is not None
    closing = last.balances.get(account_kind="merchant_receivable").closing_micros
    assert ledger.balance(merchant_receivable(MERCHANT, "USD")).micros == closing
    assert {line.kind for line in StatementLine.objects.all()} == {
        "ppcv", "ppcv_reversal", "agent_tax", "tax_reversal", "sale", "refund",
    }  # fmt: skip
    assert not StatementLine.objects.filter(charge=True, kind__in=SETTLING).exists()


def test_too_little_to_be_paid_is_carried_on(converse):
    converse(day(10, 5), times=3)
    close(11)
    october = Statement.objects.get(owner_ref=MERCHANT)
    assert (october.charges_minor, october.invoice) == (46, None)
    converse(day(11, 6), times=2)
    close(12)
    november = Statement.objects.get(owner_ref=MERCHANT, period="2026-11")
    assert (november.carried_in_minor, november.charges_minor) == (46, 31)
    assert Invoice.objects.get().net_minor == 77
    assert Statement.objects.filter(owner_ref=MERCHANT, invoice=november.invoice).count() == 2


def test_months_that_nobody_closed_are_closed_one_by_one(converse):
    converse(day(8, 5))
    close(9)
    converse(day(9, 5), times=2)
    converse(day(10, 5), times=3)
    close(12)
    assert [period.month for period in StatementPeriod.objects.all()] == [
        "2026-08", "2026-09", "2026-10", "2026-11",
    ]  # fmt: skip
    assert [(line[0], line[2], line[3]) for line in charges()] == [
        ("2026-08", "", 1), ("2026-09", "", 2), ("2026-10", "", 3),
    ]  # fmt: skip


def test_what_was_stated_can_not_be_changed(converse):
    converse(day(10, 5), times=4)
    close(11)
    for change in (
        "UPDATE billing_statementline SET exact_micros = 1",
        "DELETE FROM billing_statementbalance",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)


def test_a_line_opens_down_to_the_conversation(converse):
    converse(day(10, 5), times=4)
    close(11)
    line = StatementLine.objects.select_related("statement__period").get(charge=True)
    items = statements.line_items(line, limit=10)
    assert sum(item.amount for item in items) == line.exact_micros
    assert {item.conversation_ref for item in items} == set(
        UsageEvent.objects.values_list("conversation_ref", flat=True)
    )
    assert statements.line_items(line, limit=2, after=items[2].place) == items[3:]
    journal = Journal.objects.get(pk=items[0].journal_id)
    assert statements.line_of(journal, owner_ref=MERCHANT, currency="USD", category="toys") == line


def test_files_say_what_the_page_says(converse):
    converse(day(10, 5), times=4)
    close(11)
    statement = Statement.objects.get(owner_ref=MERCHANT)
    rows, _ = statement_files.read_lines(statement)(None)
    named = [dict(zip(statement_files.LINE_COLUMNS, row, strict=True)) for row in rows]
    assert [(row["quantity"], row["exact"], row["amount"]) for row in named] == [(4, "0.613332", "0.61")]
    items, after, read = [], None, statement_files.read_items(statement, size=3)
    while True:
        rows, after = read(after)
        items += [dict(zip(statement_files.ITEM_COLUMNS, row, strict=True)) for row in rows]
        if after is None:
            break
    assert [item["amount"] for item in items] == ["0.153333"] * 4
    assert len({item["journal"] for item in items}) == 4
    pdf = statement_files.pdf_of(statement, owner="Audio Haus & Söhne <GmbH>", store="Agent Store")
    assert pdf.startswith(b"%PDF-")
    assert pdf == statement_files.pdf_of(statement, owner="Audio Haus & Söhne <GmbH>", store="Agent Store")


def test_a_closer_killed_at_any_moment_loses_and_doubles_nothing(converse):
    merchants = [f"org:{number:032d}" for number in range(25)]
    for merchant in merchants:
        converse(day(10, 5), merchant=merchant, times=4)
    for _ in killed_at_random(lambda: close(11), times=5, within=0.3):
        for statement in Statement.objects.all():
            assert statement.lines.exists()
            assert statement.owner_ref == STUDIO or statement.invoice is not None
    close(11)
    assert StatementPeriod.objects.count() == 1
    assert Statement.objects.count() == len(merchants) + 1
    assert Invoice.objects.count() == len(merchants)
    assert StatementLine.objects.filter(charge=True).aggregate(x=Sum("exact_micros"))["x"] == 100 * 153_333

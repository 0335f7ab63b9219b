"""The daily close: each journal in one day, chained, and whatever a superuser changed is found."""

from __future__ import annotations

import hashlib
import io
import json
import time
from datetime import date, datetime, timedelta
from threading import Barrier

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from billing import closing, ledger, totals, verification
from billing.accounts import open_accounts
from billing.errors import ChainBroken
from billing.models import DailyClose, Entry, Journal
from tests.billing.conftest import at
from tests.billing.killing import killed_at_random
from tests.billing.test_ledger import CASH, OWED, in_threads, roll_up_all, sale

pytestmark = pytest.mark.django_db(transaction=True)


def sell_on(*days: int) -> None:
    for day in days:
        with time_machine.travel(at(day), tick=False):
            sale(f"sale:{day}")
            sale(f"sale:{day}:again", 7)


def close_until(day: int, *, closes: int) -> list[DailyClose]:
    """Close what is over by the morning of a day: others on the server may hold the horizon for a while."""
    found: list[DailyClose] = []
    deadline = time.monotonic() + 30
    while len(found) < closes and time.monotonic() < deadline:
        found += closing.close_due_days(at=at(day))
    assert len(found) == closes
    return found


def tamper(sql: str) -> None:
    """What only a superuser of the database can do: past all triggers."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)


def found() -> set[str]:
    return {finding.check for finding in verification.verify_books()}


def test_the_first_day_is_that_of_its_close(django_assert_num_queries):
    assert closing.first_day() is None
    sell_on(1)
    close_until(3, closes=2)
    with django_assert_num_queries(1) as asked:
        assert closing.first_day() == at(1).date()
    assert "billing_journal" not in asked[0]["sql"]


def test_each_day_is_closed_once_and_the_days_follow_each_other():
    sell_on(1, 2, 4)
    closes = close_until(6, closes=5)
    assert [close.day.day for close in closes] == [1, 2, 3, 4, 5]
    assert [close.journals for close in closes] == [2, 2, 0, 2, 0]
    assert [close.previous_id for close in closes[1:]] == [close.day for close in closes[:-1]]
    assert len({close.hex for close in closes}) == 5
    assert closing.close_due_days(at=at(6)) == []
    assert verification.verify_books(head=closes[2].hex) == []


def test_a_day_is_not_closed_before_it_is_over_and_settled():
    sell_on(1)
    midnight = datetime.combine(date(2026, 11, 2), datetime.min.time(), at(1).tzinfo)
    assert closing.close_due_days(at=midnight + closing.SETTLE - timedelta(seconds=1)) == []
    assert close_until(2, closes=1)[0].journals == 2


def test_empty_books_have_nothing_to_close():
    assert closing.close_due_days(at=at(6)) == []
    assert verification.verify_books() == []


def test_the_digest_can_be_made_without_us():
    sell_on(1, 2)
    first, second = close_until(3, closes=2)
    journals = Journal.objects.filter(posted_at__day=2).order_by("id")
    lines = [f"2026-11-01 {first.hex}", "2026-11-02"]
    for journal in journals:
        entries = Entry.objects.filter(journal=journal).select_related("account").order_by("leg")
        instants = [f"{it:%Y-%m-%dT%H:%M:%S.%f}Z" for it in (journal.occurred_at, journal.posted_at)]
        line = [
            str(journal.pk), journal.idempotency_key, journal.kind, *instants, None, None, journal.memo,
            bytes(journal.content_sha256).hex(),
            [[it.account.owner_ref, it.account.kind, it.account.currency, it.amount] for it in entries],
        ]  # fmt: skip
        lines.append(json.dumps(line, ensure_ascii=False))
    text = "".join(f"{line}\n" for line in lines)
    assert hashlib.sha256(text.encode()).hexdigest() == second.hex
    printed = io.StringIO()
    call_command("verify_ledger", "--lines", "2026-11-02", stdout=printed)
    assert printed.getvalue() == text


def test_a_transaction_that_ends_after_the_close_is_in_the_next_one():
    started, closed = Barrier(2), Barrier(2)
    open_accounts([CASH, OWED])
    sell_on(1)

    def work(number: int) -> None:
        if number == 0:
            with time_machine.travel(at(1), tick=False), transaction.atomic():
                sale("sale:late", 100)
                started.wait(timeout=20)
                closed.wait(timeout=20)
        else:
            started.wait(timeout=20)
            close_until(2, closes=1)
            closed.wait(timeout=20)

    in_threads(2, work)
    assert DailyClose.objects.get().journals == 2
    assert close_until(3, closes=1)[0].journals == 1
    assert found() == set()


def test_closers_side_by_side_close_each_day_once():
    sell_on(*range(1, 9))
    closed = in_threads(4, lambda number: len(close_some(number)))
    close_until(10, closes=9 - sum(closed))
    assert DailyClose.objects.count() == 9
    assert found() == set()


def close_some(number: int) -> list[DailyClose]:
    return closing.close_due_days(at=at(10))


@pytest.mark.parametrize(
    ("sql", "checks"),
    [
        ("UPDATE billing_entry SET amount = amount * 2 WHERE journal_id = {journal}", {"content", "chain"}),
        ("UPDATE billing_entry SET amount = amount + 1 WHERE leg = 1", {"balance", "content", "chain"}),
        ("UPDATE billing_journal SET memo = 'nothing to see here' WHERE id = {journal}", {"chain"}),
        ("UPDATE billing_journal SET occurred_at = now() WHERE id = {journal}", {"chain"}),
        ("DELETE FROM billing_journal WHERE id = {journal}", {"references", "chain"}),
        ("UPDATE billing_dailyclose SET digest = sha256('x') WHERE day = '2026-11-01'", {"chain"}),
        ("UPDATE billing_entry SET xid = '4611686018427387904' WHERE leg = 1", {"transactions"}),
        ("UPDATE billing_balancerollup SET debit_micros = debit_micros + 1", {"roll-up", "days"}),
    ],
)
def test_what_a_superuser_changed_is_found(sql, checks):
    sell_on(1, 2)
    close_until(3, closes=2)
    roll_up_all()
    assert found() == set()
    tamper(sql.format(journal=f"'{Journal.objects.order_by('id')[0].pk}'"))
    assert found() - {"roll-up"} == checks - {"roll-up"}
    with pytest.raises(CommandError, match="compare with a backup"):
        call_command("verify_ledger", stderr=io.StringIO())


def test_a_chain_written_anew_does_not_hold_the_digest_that_was_noted():
    sell_on(1, 2)
    noted = close_until(3, closes=2)[1].hex
    tamper("DELETE FROM billing_dailyclose")
    tamper("UPDATE billing_journal SET memo = 'forged'")
    close_until(3, closes=2)
    assert verification.verify_books() == []
    assert [finding.check for finding in verification.verify_books(head=noted)] == ["chain"]


def test_no_day_is_chained_to_a_broken_one():
    sell_on(1, 2)
    close_until(2, closes=1)
    tamper("UPDATE billing_journal SET memo = 'forged'")
    with pytest.raises(ChainBroken):
        closing.close_due_days(at=at(3))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE billing_dailyclose SET journals = 0",
        "DELETE FROM billing_dailyclose",
        "INSERT INTO billing_dailyclose SELECT day + 2, day, horizon, 0, digest, now() FROM billing_dailyclose",
        "INSERT INTO billing_dailyclose SELECT day + 1, NULL, horizon, 0, digest, now() FROM billing_dailyclose",
    ],
)
def test_postgresql_refuses_to_edit_or_skip_a_close(sql):
    sell_on(1)
    close_until(2, closes=1)
    with pytest.raises(DatabaseError, match=r"append-only|does not follow"), connection.cursor() as cursor:
        cursor.execute(sql)


def close_all_days() -> None:
    closing.close_due_days(at=at(30))


def test_closers_killed_at_random_leave_whole_days():
    sell_on(*range(1, 29))
    for _ in killed_at_random(close_all_days, times=8, within=0.15):
        days = list(DailyClose.objects.order_by("day").values_list("day__day", flat=True))
        assert days == list(range(1, len(days) + 1))
    close_until(30, closes=29 - DailyClose.objects.count())
    assert found() == set()


def test_totals_by_day_are_the_entries_rolled_up_or_not():
    sell_on(1, 2)
    roll_up_all()
    sell_on(3)
    moved = totals.moved_by_day(account_kind="merchant_wallet", currency="USD")
    sums = {it.day.day: it.amount.micros for it in moved}
    assert sums == {1: -507, 2: -507, 3: -507}
    lines = {line.kind: line for line in totals.trial_balance_on(date(2026, 11, 2))}
    assert lines["processor_clearing"].debit.micros == 2 * 507
    assert lines["merchant_wallet"].credit.micros == 2 * 507
    ledger.roll_up()
    assert totals.trial_balance_on(date(2026, 10, 31)) == []

"""Posting, reversing and reading balances, alone and side by side."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import time_machine
from django.db import connections, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentstore.kit.errors import Invalid
from billing import ledger
from billing.accounts import AccountKey, open_accounts
from billing.errors import IdempotencyMismatch, Unbalanced
from billing.models import BalanceRollup, Entry, Journal
from tests.billing.conftest import at, usd

CASH = AccountKey("platform", "processor_clearing", "USD")
OWED = AccountKey("org:1", "merchant_wallet", "USD")


def sale(key: str = "sale:1", micros: int = 500) -> Journal:
    return ledger.post(
        kind="sale",
        idempotency_key=key,
        occurred_at=at(1),
        entries=[ledger.debit(CASH, micros), ledger.credit(OWED, micros)],
    )


def test_the_same_key_and_content_is_the_same_journal(db):
    assert sale() == sale()
    assert Entry.objects.count() == 2


def test_the_same_key_with_other_content_is_refused(db):
    sale()
    with pytest.raises(IdempotencyMismatch):
        sale(micros=501)


def test_an_unbalanced_draft_is_refused_before_the_database_has_to(db):
    with pytest.raises(Unbalanced):
        ledger.post(
            kind="sale",
            idempotency_key="k",
            occurred_at=at(1),
            entries=[ledger.debit(CASH, 5), ledger.credit(OWED, 4)],
        )
    with pytest.raises(Invalid):
        ledger.post(kind="sale", idempotency_key="k", occurred_at=at(1), entries=[ledger.debit(CASH, 0)])


def test_a_batch_with_one_mismatch_posts_nothing(db):
    sale("sale:2", 7)
    drafts = [
        ledger.JournalDraft("sale", key, at(1), [ledger.debit(CASH, 9), ledger.credit(OWED, 9)])
        for key in ("sale:1", "sale:2", "sale:3")
    ]
    with pytest.raises(IdempotencyMismatch):
        ledger.post_many(drafts)
    assert Journal.objects.count() == 1


def test_a_key_twice_in_one_batch_is_one_journal(db):
    drafts = [
        ledger.JournalDraft("sale", "sale:1", at(1), [ledger.debit(CASH, 9), ledger.credit(OWED, 9)])
        for _ in range(3)
    ]
    assert len(set(ledger.post_many(drafts))) == 1
    assert ledger.balance(CASH).micros == 9


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_and_memos_are_kept_as_they_are(db, text):
    journal = ledger.post(
        kind="sale",
        idempotency_key=f"sale:{text}",
        occurred_at=at(1),
        entries=[ledger.debit(CASH, 1), ledger.credit(OWED, 1)],
        memo=text,
    )
    assert (journal.idempotency_key, journal.memo, journal.occurred_at) == (f"sale:{text}", text, at(1))


def test_reversing_twice_reverses_once(db):
    journal = sale()
    first = ledger.reverse(journal=journal, memo="a mistake")
    assert ledger.reverse(journal=journal).pk == first.pk
    assert first.reverses == journal
    assert ledger.balance(CASH).micros == ledger.balance(OWED).micros == 0
    assert Journal.objects.count() == 2


def test_a_balance_is_as_the_books_stood_then(db):
    with time_machine.travel(at(10), tick=False):
        sale()
    with time_machine.travel(at(20), tick=False):
        sale("sale:2", 300)
    assert ledger.balance(CASH, at=at(9)).micros == 0
    assert ledger.balance(CASH, at=at(10)).micros == 500
    assert ledger.balance(CASH) == usd("0.0008")
    assert ledger.balance(AccountKey("org:9", "merchant_wallet", "USD")).micros == 0


def test_the_trial_balance_sums_to_zero(db):
    sale()
    sale("sale:2", 300)
    lines = {line.kind: line for line in ledger.trial_balance()}
    assert lines["processor_clearing"].debit.micros == 800
    assert lines["merchant_wallet"].credit.micros == 800
    assert sum(line.balance.micros for line in lines.values()) == 0


def in_threads(count: int, call):
    """The answers of `count` threads that all begin at once, each with its own connection."""
    barrier = Barrier(count)

    def one(number: int):
        try:
            barrier.wait(timeout=20)
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def roll_up_all() -> None:
    """Until every entry is in the roll-up: others on the same server may hold the horizon for a while."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ledger.roll_up()
        if BalanceRollup.objects.aggregate(Sum("entries"))["entries__sum"] == Entry.objects.count():
            return
        time.sleep(0.05)
    raise AssertionError("the roll-up never caught up")


@pytest.mark.django_db(transaction=True)
def test_concurrent_posts_under_one_key_are_one_journal():
    journals = in_threads(8, lambda number: sale().pk)
    assert len(set(journals)) == 1
    assert Entry.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_overlapping_batches_in_opposite_order_both_end():
    def post(number: int) -> int:
        keys = [f"sale:{key}" for key in range(200)]
        drafts = [
            ledger.JournalDraft("sale", key, at(1), [ledger.debit(CASH, 9), ledger.credit(OWED, 9)])
            for key in (keys if number % 2 else reversed(keys))
        ]
        return len(ledger.post_many(drafts))

    assert in_threads(4, post) == [200] * 4
    assert ledger.balance(CASH).micros == 200 * 9


@pytest.mark.django_db(transaction=True)
def test_the_rollup_misses_no_transaction_that_commits_late():
    """The trap of a `max(id)` watermark: an older entry that becomes visible after a newer one was read."""
    started, rolled = Barrier(2), Barrier(2)
    open_accounts([CASH, OWED])

    def late(number: int) -> None:
        if number == 0:
            with transaction.atomic():
                sale("sale:late", 100)
                started.wait(timeout=20)
                rolled.wait(timeout=20)
        else:
            started.wait(timeout=20)
            sale("sale:early", 7)
            assert ledger.roll_up() == 0, "an unfinished transaction holds the horizon"
            assert ledger.balance(CASH).micros == 7
            rolled.wait(timeout=20)

    in_threads(2, late)
    assert ledger.balance(CASH).micros == 107
    roll_up_all()
    assert BalanceRollup.objects.get(account__kind="processor_clearing").debit_micros == 107
    assert ledger.balance(CASH).micros == 107


@pytest.mark.django_db(transaction=True)
def test_balances_are_right_while_rolling_up_and_posting_go_on():
    def work(number: int) -> None:
        for round_ in range(20):
            if number < 2:
                sale(f"sale:{number}:{round_}", 3)
            elif number == 2:
                ledger.roll_up()
            else:
                total = ledger.balance(CASH).micros
                assert total % 3 == 0
                assert 0 <= total <= 120

    in_threads(4, work)
    assert ledger.balance(CASH).micros == 120
    roll_up_all()
    assert ledger.balance(CASH).micros == 120

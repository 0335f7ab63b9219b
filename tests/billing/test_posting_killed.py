"""A poster killed at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import pytest
from django.db.models import Count, Sum

from billing import ledger, metering, posting
from billing.accounts import developer_pending, merchant_receivable, platform_revenue
from billing.errors import IdempotencyMismatch
from billing.models import Hold, Journal, UsageEvent
from billing.verification import verify_books
from tests.billing.conftest import MERCHANT, STUDIO, converse
from tests.billing.killing import killed_at_random

EVENTS = 500


def post_in_small_batches() -> None:
    posting.post_due_events(limit=25)


def assert_consistent() -> None:
    """Every posted event has its one journal; every other has none; the books agree with both."""
    posted = UsageEvent.objects.filter(status="posted")
    assert not posted.filter(journal=None).exists()
    assert not UsageEvent.objects.exclude(status="posted").exclude(journal=None).exists()
    assert Journal.objects.count() == posted.count()
    totals = posted.aggregate(fee=Sum("amount_micros"), share=Sum("developer_share_micros"))
    fee, share = totals["fee"] or 0, totals["share"] or 0
    assert ledger.balance(merchant_receivable(MERCHANT, "USD")).micros == fee
    assert ledger.balance(developer_pending(STUDIO, "USD")).micros == -share
    assert ledger.balance(platform_revenue("USD")).micros == share - fee
    assert Hold.objects.exclude(captured_at=None).count() == posted.count()


@pytest.mark.django_db(transaction=True)
def test_posters_killed_at_random_lose_and_double_nothing(prices, budget, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    budget.cap_micros = 10**12
    budget.save()
    for number in range(EVENTS):
        converse(prices, f"conversation-{number}")
    for _ in killed_at_random(post_in_small_batches, times=8, within=0.25):
        assert_consistent()
    posting.post_due_events()
    assert_consistent()
    assert UsageEvent.objects.filter(status="posted").count() == EVENTS
    twice = UsageEvent.objects.annotate(times=Count("changes")).exclude(times=4)
    assert not twice.exists(), "each status was reached once: held, quarantined, rated, posted"


@pytest.mark.django_db(transaction=True)
def test_posters_side_by_side_share_the_work(prices, budget, settings):
    from tests.billing.test_ledger import in_threads

    settings.PPCV_QUARANTINE_SECONDS = 0
    for number in range(200):
        converse(prices, f"conversation-{number}")
    assert sum(in_threads(4, lambda number: posting.post_due_events(limit=20))) == 200
    assert_consistent()


def test_an_event_that_lost_its_status_finds_its_journal_again(prices, budget, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    converse(prices, "first")
    assert posting.post_due_events() == 1
    journal = Journal.objects.get()
    events = UsageEvent.objects.filter(journal=journal)
    events.update(status="rated", journal=None)
    converse(prices, "second")
    assert posting.post_due_events() == 2
    assert_consistent()
    assert events.count() == 1
    events.update(status="rated", journal=None, amount_micros=250_001)
    with pytest.raises(IdempotencyMismatch):
        posting.post_due_events()
    assert Journal.objects.count() == 2


@pytest.mark.parametrize(("share", "legs"), [(0, 2), (175_000, 3), (250_000, 2)])
def test_a_share_of_nothing_or_all_is_no_entry_of_zero(prices, budget, settings, share, legs):
    settings.PPCV_QUARANTINE_SECONDS = 0
    converse(prices)
    UsageEvent.objects.update(developer_share_micros=share)
    assert posting.post_due_events() == 1
    assert Journal.objects.get().entries.count() == legs
    assert verify_books() == []


def test_a_void_between_rating_and_posting_holds(prices, budget, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    outcome = converse(prices)
    assert posting.rate_due_events() == 1
    assert outcome.event_id is not None
    metering.void_ppcv(event_id=outcome.event_id, reason="fraud", by="olivia")
    assert posting.post_rated_events() == 0
    assert not Journal.objects.exists()

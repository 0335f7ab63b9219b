"""A poster killed at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest
from django.db import connection
from django.db.models import Count, Sum

from billing import ledger, metering, posting
from billing.accounts import developer_pending, merchant_receivable, platform_revenue
from billing.models import Hold, Journal, UsageEvent
from tests.billing.conftest import MERCHANT, STUDIO, converse
from tests.billing.standin import ROOT
from tests.database import database_url

EVENTS = 500
NAME = "poster"
POSTER = """
import django
django.setup()
from billing.posting import post_due_events
print("ready", flush=True)
post_due_events(limit=25)
"""


def poster() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", POSTER],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "PGAPPNAME": NAME,
            "DJANGO_SETTINGS_MODULE": "agentstore.settings",
        },
        stdout=subprocess.PIPE,
        text=True,
    )


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
    rng, killed = random.Random(7), 0
    for _ in range(6):
        process = poster()
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.25))
        process.kill()
        killed += process.wait() != 0
        process.stdout.close()
        assert_consistent()
    assert killed, "no poster was killed in the middle"
    settle_sessions()
    posting.post_due_events()
    assert_consistent()
    assert UsageEvent.objects.filter(status="posted").count() == EVENTS
    twice = UsageEvent.objects.annotate(times=Count("changes")).exclude(times=4)
    assert not twice.exists(), "each status was reached once: held, quarantined, rated, posted"


def settle_sessions() -> None:
    """Wait until PostgreSQL has noticed that the killed posters are gone, so that their rows are unlocked."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = %s",
                [NAME],
            )
            if cursor.fetchone()[0] == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sessions of killed posters stay")


@pytest.mark.django_db(transaction=True)
def test_posters_side_by_side_share_the_work(prices, budget, settings):
    from tests.billing.test_ledger import in_threads

    settings.PPCV_QUARANTINE_SECONDS = 0
    for number in range(200):
        converse(prices, f"conversation-{number}")
    assert sum(in_threads(4, lambda number: posting.post_due_events(limit=20))) == 200
    assert_consistent()


def test_a_void_between_rating_and_posting_holds(prices, budget, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    outcome = converse(prices)
    assert posting.rate_due_events() == 1
    assert outcome.event_id is not None
    metering.void_ppcv(event_id=outcome.event_id, reason="fraud", by="olivia")
    assert posting.post_rated_events() == 0
    assert not Journal.objects.exists()

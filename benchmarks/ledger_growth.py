"""Books of millions of events, made by SQL in the order of their days, and the pages over them.

What is made is what posting makes: `manage.py verify_ledger` finds nothing wrong with it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentstore.identity.models import Organization, User
    from billing.models import PriceVersion

DAYS = 60
VISITS = 41

# What posting leaves of some of a day's events: journal, three entries, event, captured hold, status row.
_GROW = """
WITH made AS MATERIALIZED (
    SELECT at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
                || substr(gen_random_uuid()::text, 16))::uuid AS id,
           1 + n %% 200 AS merchant, 1 + n %% 50 AS studio, 'agent:a' || n %% 100 AS agent_ref
    FROM (SELECT n, %(day)s::timestamptz + n * interval '1 day' / %(count)s AS at
          FROM generate_series(%(first)s, %(last)s) AS n) AS t
), journals AS (
    INSERT INTO billing_journal
        (id, idempotency_key, kind, occurred_at, posted_at, price_version_id, memo, content_sha256)
    SELECT id, 'grown:' || id, 'ppcv', at, at, %(prices)s, '', sha256(convert_to(concat(
        E'ppcv\\n', %(prices)s, E'\\n\\n',
        (%(merchant_refs)s::text[])[merchant], E'/merchant_receivable/USD=250000\\n',
        E'platform/platform_revenue/USD=-75000\\n',
        (%(studio_refs)s::text[])[studio], '/developer_pending/USD=-175000'), 'UTF8')) FROM made
), entries AS (
    INSERT INTO billing_entry (journal_id, leg, account_id, amount)
    SELECT id, leg, CASE leg WHEN 1 THEN (%(merchants)s::bigint[])[merchant] WHEN 2 THEN %(revenue)s
           ELSE (%(studios)s::bigint[])[studio] END, amount
    FROM made,
         (VALUES (1::smallint, 250000), (2::smallint, -75000), (3::smallint, -175000)) AS legs(leg, amount)
), holds AS (
    INSERT INTO billing_hold (budget_id, event_id, amount_micros, placed_at, captured_at)
    SELECT %(budget)s, id, 250000, at, at FROM made
), changes AS (
    INSERT INTO billing_usageeventchange (event_id, status, at, by, reason)
    SELECT id, 'posted', at, 'posting', '' FROM made
)
INSERT INTO billing_usageevent (id, idempotency_key, kind, conversation_ref, merchant_ref, developer_ref, agent_ref,
    buyer_ref, line_ref, category, price_version_id, currency, base_micros, amount_micros, developer_share_micros,
    funding, status, occurred_at, recorded_at, due_at, journal_id)
SELECT id, 'grown:' || id, 'ppcv', id::text, (%(merchant_refs)s::text[])[merchant],
    (%(studio_refs)s::text[])[studio], agent_ref, '', '', 'electronics',
    %(prices)s, 'USD', 0, 250000, 175000, 'postpaid', 'posted', at, at, at, id
FROM made
"""
_GROWN = (
    "billing_journal",
    "billing_entry",
    "billing_usageevent",
    "billing_hold",
    "billing_usageeventchange",
)

# What waits in quarantine at any time.
_HELD = """
INSERT INTO billing_usageevent (id, idempotency_key, kind, conversation_ref, merchant_ref, developer_ref, agent_ref,
    buyer_ref, line_ref, category, price_version_id, currency, base_micros, amount_micros, developer_share_micros,
    funding, status, occurred_at, recorded_at, due_at)
SELECT gen_random_uuid(), 'held:' || n, 'ppcv', 'held:' || n, (%(merchant_refs)s::text[])[1 + n %% 200],
    (%(studio_refs)s::text[])[1 + n %% 50], 'agent:a' || n %% 100, '', '', 'electronics',
    %(prices)s, 'USD', 0, 250000,
    175000, 'postpaid', CASE n %% 50 WHEN 0 THEN 'review' ELSE 'quarantined' END, now(), now(),
    now() + interval '1 hour'
FROM generate_series(1, %(held)s) AS n
"""
_BUDGET_DAYS = """
INSERT INTO billing_budgetday (budget_id, day, spent_micros)
SELECT b.id, day::date, 1000000 FROM billing_merchantbudget b,
    generate_series(now() - interval '59 days', now(), interval '1 day') AS day
WHERE b.merchant_ref = %(merchant)s AND to_char(day, 'YYYY-MM') = b.period
"""


def grow(prices: PriceVersion, *, events: int) -> tuple[Organization, Organization, User]:
    """So many more events over the last days; a merchant, a studio and an operator who look at them."""
    from django.db import connection

    from agentstore.identity.models import Organization, User
    from agentstore.identity.services import create_organization
    from agentstore.kit.money import Money
    from benchmarks.bulk import loading
    from billing import budgets
    from billing.accounts import developer_pending, merchant_receivable, open_accounts, platform_revenue
    from billing.periods import day_of, start_of
    from billing.posting import BATCH

    people = [User.objects.create_user(f"{name}@example.com", name=name) for name in ("mia", "alice")]
    operator = User.objects.create_user("olivia@example.com", is_staff=True)
    merchant = create_organization(kind=Organization.Kind.MERCHANT, name="Audio Haus", owner=people[0])
    studio = create_organization(kind=Organization.Kind.DEVELOPER, name="Northwind", owner=people[1])
    merchants = [merchant.ref, *(f"org:m{number}" for number in range(1, 200))]
    studios = [studio.ref, *(f"org:d{number}" for number in range(1, 50))]
    receivables = [merchant_receivable(ref, "USD") for ref in merchants]
    pending = [developer_pending(ref, "USD") for ref in studios]
    accounts = open_accounts([*receivables, *pending, platform_revenue("USD")])
    budget = budgets.set_budget(
        merchant_ref="org:grown", cap=Money(10**15, "USD"), at_cap="organic", by="benchmark"
    )
    given: dict[str, Any] = {
        "prices": prices.pk,
        "merchants": [accounts[key] for key in receivables],
        "studios": [accounts[key] for key in pending],
        "revenue": accounts[platform_revenue("USD")],
        "merchant_refs": merchants,
        "studio_refs": studios,
        "budget": budget.pk,
    }
    today = day_of(datetime.now(UTC))
    with loading(_GROWN), connection.cursor() as cursor:
        for number in range(DAYS):
            count = events * (number + 1) // DAYS - events * number // DAYS
            day = start_of(today - timedelta(days=DAYS - number))
            # As many transactions as posting needs: pages read an account in their order.
            for first in range(0, count, BATCH):
                last = min(first + BATCH, count) - 1
                cursor.execute(_GROW, {**given, "day": day, "count": count, "first": first, "last": last})
    _surround(prices, merchant.ref, merchants, studios, held=min(20_000, events // 10))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE billing_usageevent, billing_invoice")
    return merchant, studio, operator


def _surround(
    prices: PriceVersion, merchant: str, merchants: list[str], studios: list[str], *, held: int
) -> None:
    """What pages show beside posted fees: held ones, invoices, a merchant's days."""
    from django.db import connection

    from agentstore.kit.money import Money
    from billing import budgets
    from billing.models import Invoice
    from billing.periods import Month

    month = Month.of(datetime.now(UTC))
    for at in (month.previous().previous().start, month.previous().start, month.start):
        budgets.set_budget(
            merchant_ref=merchant, cap=Money(10**12, "USD"), at_cap="organic", by="benchmark", at=at
        )
    with connection.cursor() as cursor:
        given: dict[str, Any] = {
            "merchant_refs": merchants,
            "studio_refs": studios,
            "prices": prices.pk,
            "held": held,
        }
        cursor.execute(_HELD, given)
        cursor.execute(_BUDGET_DAYS, {"merchant": merchant})
    at = datetime.now(UTC)
    Invoice.objects.bulk_create(
        Invoice(
            owner_ref=owner, currency="USD", status="open" if month < 3 else "paid", net_minor=100_000,
            paid_minor=0 if month < 3 else 100_000, number=f"A-{month}", made_at=at - timedelta(days=30 * month),
            due_at=at - timedelta(days=30 * month - 14),
        )
        for owner in merchants
        for month in range(12)
    )  # fmt: skip


def visit_pages(merchant: Organization, studio: Organization, operator: User) -> Iterator[tuple[str, float]]:
    """Each page's name and the 95th percentile of its time in milliseconds, from request to rendered answer."""
    from django.test import Client
    from django.urls import reverse

    from agentstore.identity.models import User
    from billing.models import Account, UsageEvent

    mia, alice = (User.objects.get(email=f"{name}@example.com") for name in ("mia", "alice"))
    largest = Account.objects.get(kind=Account.Kind.PLATFORM_REVENUE)
    today = datetime.now(UTC).date()
    charge = UsageEvent.objects.filter(merchant_ref=merchant.ref).order_by("-occurred_at")[0]
    share = UsageEvent.objects.filter(developer_ref=studio.ref, status="posted").order_by("-occurred_at")[0]
    billing, books, usage = (reverse(f"billing:{name}") for name in ("operator", "ledger", "usage"))
    mine, earnings = (
        reverse("billing:merchant", args=[merchant.slug]),
        reverse("billing:earnings", args=[studio.slug]),
    )
    days = f"first={today - timedelta(days=45)}&last={today - timedelta(days=40)}"
    pages = {
        "operator's billing page": (operator, billing),
        "the same, a year by month": (operator, f"{billing}?period=365"),
        "usage": (operator, usage),
        "usage, flagged": (operator, f"{usage}?status=review"),
        "usage of a merchant": (operator, f"{usage}?merchant={merchant.ref}"),
        "usage of an agent": (operator, f"{usage}?developer={studio.ref}&agent=agent:a0"),
        "one fee": (operator, reverse("billing:fee", args=[charge.pk])),
        "flagged fees": (operator, reverse("billing:review")),
        "invoices by age": (operator, f"{reverse('billing:invoices')}?age=31"),
        "ledger page": (operator, books),
        "ledger page, a kind in old days": (operator, f"{books}?kind=ppcv&{days}"),
        "ledger page, a kind without any": (operator, f"{books}?kind=refund&{days}"),
        "trial balance of a past day": (operator, f"{books}?day={today - timedelta(days=30)}"),
        "page of the largest account": (operator, reverse("billing:account", args=[largest.pk])),
        "merchant's billing page": (mia, mine),
        "the same, agent tax alone": (mia, f"{mine}?kind=agent_tax"),
        "merchant's charge": (mia, reverse("billing:charge", args=[merchant.slug, charge.pk])),
        "merchant's page by agent": (mia, reverse("shopping:merchant-agents", args=[merchant.slug])),
        "developer's earnings page": (alice, earnings),
        "developer's share": (alice, reverse("billing:earning", args=[studio.slug, share.pk])),
    }
    for name, (person, url) in pages.items():
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        times = []
        for _ in range(VISITS):
            start = time.perf_counter()
            answer = client.get(url)
            times.append(1000 * (time.perf_counter() - start))
            assert answer.status_code == 200, f"{url} answered {answer.status_code}"
        yield name, statistics.quantiles(times[1:], n=20, method="inclusive")[-1]


def close_a_day() -> tuple[int, float]:
    """Hash one day in the middle as its close would: how many journals, in how many seconds."""
    from django.db import connection

    from billing.closing import read_digest
    from billing.models import DailyClose
    from billing.periods import day_of

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        horizon = int(cursor.fetchone()[0])
    day = day_of(datetime.now(UTC)) - timedelta(days=DAYS // 2)
    start = time.perf_counter()
    _, journals = read_digest(DailyClose(day=day, horizon=horizon))
    return journals, time.perf_counter() - start

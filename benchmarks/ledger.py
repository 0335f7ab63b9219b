"""Posting PPCv events to the ledger: batches against one row at a time; reading balances and rolling up.

    python -m benchmarks.ledger [--quick] [--json]

Works in a database of its own, made on the server that DATABASE_URL names and dropped at the end.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import django

from benchmarks.report import Report, parser

EVENTS = """
INSERT INTO billing_usageevent (id, idempotency_key, kind, conversation_ref, merchant_ref, developer_ref,
    line_ref,
    category, price_version_id, currency, base_micros, amount_micros, developer_share_micros, status,
    occurred_at, recorded_at, due_at)
SELECT id, 'ppcv:' || id, 'ppcv', id::text, 'org:m' || n %% 200, 'org:d' || n %% 50, '', 'electronics',
    %(prices)s,
    'USD', 0, 250000, 175000, 'rated', now(), now(), now()
FROM (SELECT n, ((lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15)))::uuid AS id
    FROM generate_series(1, %(count)s) AS n) AS made
"""
HOLDS = """
INSERT INTO billing_hold (budget_id, event_id, amount_micros, placed_at)
SELECT %(budget)s, e.id, e.amount_micros, now() FROM billing_usageevent e
WHERE e.status = 'rated' AND NOT EXISTS (SELECT FROM billing_hold h WHERE h.event_id = e.id)
"""


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(report: Report, *, batch_events: int, single_events: int, rounds: int) -> None:
    """Interleaved rounds of both ways of posting, then reading."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    from agentstore.kit.money import Money
    from billing import budgets, ledger, posting
    from billing.accounts import merchant_receivable
    from billing.models import Entry, UsageEvent
    from billing.pricing import current_price_version

    settings.DEBUG = False
    call_command("seed_prices", verbosity=0)
    prices = current_price_version()
    budget = budgets.set_budget(
        merchant_ref="org:m1", cap=Money(10**15, "USD"), at_cap="organic", by="benchmark"
    )

    def make(count: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(EVENTS, {"prices": prices.pk, "count": count})
            cursor.execute(HOLDS, {"budget": budget.pk})
            cursor.execute("ANALYZE billing_usageevent, billing_hold, billing_account")

    def post(limit: int) -> None:
        while posting.post_rated_events(limit=limit):
            pass

    make(2_000)
    post(posting.BATCH)
    batched, single = [], []
    for _ in range(rounds):
        make(batch_events)
        batched.append(batch_events / timed(lambda: post(posting.BATCH)))
        make(single_events)
        single.append(single_events / timed(lambda: post(1)))
    posted = UsageEvent.objects.filter(status="posted").count()
    assert posted == 2_000 + rounds * (batch_events + single_events), "an event was lost"
    assert Entry.objects.count() == 3 * posted, "an event was posted twice"
    assert sum(line.balance.micros for line in ledger.trial_balance()) == 0

    report.add("events posted, one worker", statistics.median(batched), "events/s", "higher", 8_000)
    report.add("the same, one row at a time", statistics.median(single), "events/s", "higher")
    report.add("ratio", statistics.median(batched) / statistics.median(single), "times", "higher")
    report.add("trial balance before the roll-up", 1000 * timed(ledger.trial_balance), "ms", "lower")
    rolled: list[int] = []
    seconds = timed(lambda: rolled.append(ledger.roll_up()))
    # Another session's open transaction holds the horizon: then fewer entries are rolled up, or none.
    if rolled[0]:
        report.add("rolling up, per million entries", seconds * 1_000_000 / rolled[0], "s", "lower")
    account = merchant_receivable("org:m1", "USD")
    report.add("trial balance after it", 1000 * timed(ledger.trial_balance), "ms", "lower", 150)
    reads = [1000 * timed(lambda: ledger.balance(account)) for _ in range(50)]
    report.add("balance of an account, median", statistics.median(reads), "ms", "lower")


def main() -> None:
    """Parse, make the database, measure, drop it."""
    arguments = parser(__doc__ or "").parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    os.environ["TEST_DATABASE_NAME"] = f"bench_ledger_{os.getpid()}"
    django.setup()
    from django.db import connection

    size = {"batch_events": 20_000, "single_events": 300, "rounds": 3}
    if not arguments.quick:
        size = {"batch_events": 200_000, "single_events": 1_000, "rounds": 5}
    report = Report({**size, "batch": 2_000})
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        measure(report, **size)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()

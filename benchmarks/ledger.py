"""PPCv events posted to the ledger: in batches by one and two workers against one row at a time; closing; growth.

    python -m benchmarks.ledger [--quick] [--events N] [--json]

`--events 10000000` grows the books to so many events before pages, posting, roll-up and closing are measured again.
Works in a database of its own, made on the server that DATABASE_URL names and dropped at the end.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import django

from benchmarks.report import Report, parser, timed

# Rated events of 200 merchants and 50 studios, as the quarantine leaves them.
EVENTS = """
INSERT INTO billing_usageevent (id, idempotency_key, kind, conversation_ref, merchant_ref, developer_ref, buyer_ref,
    line_ref, category, price_version_id, currency, base_micros, amount_micros, developer_share_micros, funding,
    status, occurred_at, recorded_at, due_at, agent_ref)
SELECT id, 'ppcv:' || id, 'ppcv', id::text, 'org:m' || n %% 200, 'org:d' || n %% 50, '', '', 'electronics', %(prices)s,
    'USD', 0, 250000, 175000, 'postpaid', 'rated', now(), now(), now(), 'agent:' || n %% 100
FROM (SELECT n, ((lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15)))::uuid AS id
    FROM generate_series(1, %(count)s) AS n) AS made
"""
HOLDS = """
INSERT INTO billing_hold (budget_id, event_id, amount_micros, placed_at)
SELECT %(budget)s, e.id, e.amount_micros, now() FROM billing_usageevent e
WHERE e.status = 'rated' AND NOT EXISTS (SELECT FROM billing_hold h WHERE h.event_id = e.id)
"""


def post_all(limit: int) -> None:
    """Post what is rated, so many in a batch."""
    from billing import posting

    while posting.post_rated_events(limit=limit):
        pass


def post_by_two(limit: int) -> None:
    """The same by two processes side by side."""
    from django.db import connection

    # Neither a connection nor the pool's threads outlive a fork.
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's alone
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=post_all, args=(limit,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, "a worker failed"


class Books:
    """A store's books with prices and a budget, and rated events on demand."""

    def __init__(self) -> None:
        from django.core.management import call_command

        from agentstore.kit.money import Money
        from billing import budgets
        from billing.pricing import current_price_version

        call_command("seed_prices", verbosity=0)
        self.prices = current_price_version()
        self.budget = budgets.set_budget(
            merchant_ref="org:m1", cap=Money(10**15, "USD"), at_cap="organic", by="benchmark"
        )
        self.posted = 0

    def rate(self, count: int) -> None:
        """So many events that wait to be posted."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(EVENTS, {"prices": self.prices.pk, "count": count})
            cursor.execute(HOLDS, {"budget": self.budget.pk})
            cursor.execute("ANALYZE billing_usageevent, billing_hold, billing_account")
        self.posted += count

    def rates(self, ways: dict[str, tuple[int, Callable[[], None]]], *, rounds: int) -> dict[str, float]:
        """Events a second of each way, the median of interleaved rounds."""
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (count, post) in ways.items():
                self.rate(count)
                found[name].append(count / timed(post))
        return {name: statistics.median(values) for name, values in found.items()}

    def check(self) -> None:
        """Every event was posted once."""
        from billing import ledger
        from billing.models import Entry, UsageEvent

        assert UsageEvent.objects.filter(status="posted").count() == self.posted, "an event was lost"
        assert Entry.objects.count() == 3 * self.posted, "an event was posted twice"
        assert sum(line.balance.micros for line in ledger.trial_balance()) == 0


def measure_posting(
    report: Report, books: Books, *, batch_events: int, single_events: int, rounds: int
) -> None:
    """One worker, two workers, and one row at a time."""
    from billing import posting

    books.rate(2_000)
    post_all(posting.BATCH)
    found = books.rates(
        {
            "one": (batch_events, lambda: post_all(posting.BATCH)),
            "two": (batch_events, lambda: post_by_two(posting.BATCH)),
            "single": (single_events, lambda: post_all(1)),
        },
        rounds=rounds,
    )
    books.check()
    report.add("events posted, one worker", found["one"], "events/s", "higher", 8_000)
    report.add("the same, two workers", found["two"], "events/s", "higher")
    report.add("the same, one row at a time", found["single"], "events/s", "higher")
    report.add("one worker to one row at a time", found["one"] / found["single"], "times", "higher")


def measure_reading(report: Report, *, when: str) -> None:
    """Roll-up, trial balance and one balance."""
    from billing import ledger
    from billing.accounts import merchant_receivable

    report.add(f"trial balance before the roll-up{when}", 1000 * timed(ledger.trial_balance), "ms", "lower")
    rolled: list[int] = []
    seconds = timed(lambda: rolled.append(ledger.roll_up()))
    # Another session's open transaction holds the horizon: then fewer entries are rolled up, or none.
    if rolled[0]:
        report.add(f"rolling up, per million entries{when}", seconds * 1_000_000 / rolled[0], "s", "lower")
    report.add(f"trial balance after it{when}", 1000 * timed(ledger.trial_balance), "ms", "lower", 150)
    account = merchant_receivable("org:m1", "USD")
    reads = [1000 * timed(lambda: ledger.balance(account)) for _ in range(50)]
    report.add(f"balance of an account, median{when}", statistics.median(reads), "ms", "lower")


def measure_growth(report: Report, books: Books, *, events: int, batch_events: int) -> None:
    """The same at so many events, and the pages that show them."""
    from benchmarks.ledger_growth import close_a_day, grow, visit_pages
    from billing import posting

    when = f", {events:,} events"
    grown, start = events - books.posted, time.perf_counter()
    people = grow(books.prices, events=grown)
    report.add(f"growing the books{when}", grown / (time.perf_counter() - start), "events/s", "higher")
    books.posted = events
    measure_reading(report, when=when)
    for name, milliseconds in visit_pages(*people):
        report.add(f"{name}, p95{when}", milliseconds, "ms", "lower", 150)
    books.rate(batch_events)
    rate = batch_events / timed(lambda: post_all(posting.BATCH))
    report.add(f"events posted, one worker{when}", rate, "events/s", "higher", 8_000)
    books.check()
    journals, seconds = close_a_day()
    if journals:
        report.add(f"closing a day, per million journals{when}", seconds * 1_000_000 / journals, "s", "lower")


def main() -> None:
    """Parse, make the database, measure, drop it."""
    flags = parser(__doc__ or "")
    flags.add_argument("--events", type=int, default=0, help="grow the books to so many events")
    arguments = flags.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    os.environ["TEST_DATABASE_NAME"] = f"bench_ledger_{os.getpid()}"
    django.setup()
    from django.conf import settings
    from django.db import connection

    settings.DEBUG = False
    size: dict[str, Any] = {"batch_events": 10_000, "single_events": 200, "rounds": 2}
    if not arguments.quick:
        size = {"batch_events": 200_000, "single_events": 1_000, "rounds": 5}
    events = arguments.events or (100_000 if arguments.quick else 2_000_000)
    report = Report({**size, "batch": 2_000, "events": events})
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        books = Books()
        measure_posting(report, books, **size)
        measure_reading(report, when="")
        measure_growth(report, books, events=max(events, books.posted), batch_events=size["batch_events"])
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()

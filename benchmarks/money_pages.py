"""Every money page's time over books of millions of events: the 95th percentile from request to rendered answer.

    python -m benchmarks.money_pages [--quick] [--events 10000000] [--json]

Rows are made by SQL, the roll-up moved as its task does. Works in a database of its own, made on the server that
DATABASE_URL names and dropped at the end.
"""

from __future__ import annotations

import os

import django

from benchmarks.report import Report, parser, timed

GOAL = 150


def main() -> None:
    """Parse, make the database, grow it, roll up, visit, drop it."""
    flags = parser(__doc__ or "")
    flags.add_argument("--events", type=int, default=0, help="so many posted fees")
    arguments = flags.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    os.environ["TEST_DATABASE_NAME"] = f"bench_pages_{os.getpid()}"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    settings.DEBUG = False
    events = arguments.events or (100_000 if arguments.quick else 1_000_000)
    report = Report({"events": events})
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        from benchmarks.ledger_growth import grow, visit_pages
        from billing import ledger
        from billing.pricing import current_price_version

        call_command("seed_prices", verbosity=0)
        merchant, studio, operator = grow(current_price_version(), events=events)
        rolled: list[int] = []
        seconds = timed(lambda: rolled.append(ledger.roll_up()))
        report.add("entries rolled up", rolled[0], "", "higher")
        report.add("rolling up, per million entries", 1_000_000 * seconds / max(1, rolled[0]), "s", "lower")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE billing_subjecttotal, billing_daytotal, billing_balancerollup")
        for page, milliseconds in visit_pages(merchant, studio, operator):
            report.add(f"{page}, p95", milliseconds, "ms", "lower", GOAL)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()

"""Importing a large feed: memory against its length, items per second, searches meanwhile, against one save per row.

    python -m benchmarks.feeds [--quick] [--items N] [--json]

Works in a database of its own, made on the server that DATABASE_URL names and dropped at the end. Each import runs in a
process of its own, whose highest resident memory is read at its end, and gives way as the store's workers do. While the
long feed is read for the first time, a catalogue of 100 k variants is searched ten times a second and a worker keeps
its index and vectors, all on one machine.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import django

from benchmarks.catalog_build import build_catalogue
from benchmarks.catalog_rows import Sizes
from benchmarks.feeds_meanwhile import searching
from benchmarks.report import Report, parser
from benchmarks.store import own_store

if TYPE_CHECKING:
    from agentstore.identity.models import Organization

# Milliseconds at 100 k variants and at a million.
SEARCH_GOALS = (30.0, 80.0)
STRETCH_SECONDS = 120
SINGLE = 500
SEARCHED_SECONDS = 20
HEADER = "id,item_group_id,title,description,price,sale_price,availability,quantity,brand,product_category,color,size\n"


def write_feed(path: Path, items: int, *, price: int = 9) -> None:
    """A gzipped feed: three variants a product, four hundred categories, a hundredth of the lines refused."""
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(HEADER)
        for n in range(items):
            asked = "much" if n % 100 == 99 else f"{price + n % 90}.50 USD"
            file.write(
                f"i{n},g{n // 3},Thing {n // 3} of kind {n % 400},{'Words that describe it well. ' * 4},{asked},,"
                f"in_stock,{n % 9},Brand {n % 50},Home > Kind {n % 20} > Sort {n % 400},Red,S{n % 3}\n"
            )


def peak_memory() -> float:
    """MiB of this process at its highest; `getrusage` would count what its parent held when it started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def import_here(path: str, how: str) -> None:
    """In a process of its own: import a feed and print seconds, peak memory in MiB and counts."""
    django.setup()
    from django.conf import settings
    from django.core.files.base import File

    from agentstore.identity.models import Organization
    from agentstore.kit.priority import give_way
    from marketplace.catalog.feeds import roll_back_import, run_import, start_import, start_roll_back
    from marketplace.catalog.models import FeedImport

    settings.DEBUG = False
    give_way(settings.PATIENT_NICENESS)
    merchant, _ = Organization.objects.get_or_create(
        kind="merchant", name=f"Bench {how}", slug=f"bench-{how}"
    )
    before = peak_memory()
    began = time.perf_counter()
    if how == "rows":
        counts = save_row_by_row(merchant, path)
    elif how == "undo":
        merchant = Organization.objects.get(slug="bench-long")
        last = FeedImport.objects.filter(merchant=merchant, changed__gt=0).latest("created_at")
        start_roll_back(import_id=last.pk, merchant=merchant, by=None, enqueue=False)
        undone = roll_back_import(import_id=last.pk)
        counts = [undone.restored, undone.kept]
    else:
        with open(path, "rb") as file:
            started = start_import(
                merchant=merchant, source=File(file, name="feed.csv.gz"), by=None, enqueue=False,
                dry_run=how == "dry",
            )  # fmt: skip
        done = run_import(import_id=started.pk)
        counts = [done.accepted, done.changed, done.unchanged, done.refused]
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "before": before, "peak": peak_memory(), "counts": counts}))


def save_row_by_row(merchant: Organization, path: str) -> list[int]:
    """The named alternative: read each line, get or create its rows, save; one transaction an item."""
    from datetime import UTC, datetime

    from django.db import transaction

    from marketplace.catalog.categories import ensure_category
    from marketplace.catalog.feeds.items import read_item
    from marketplace.catalog.feeds.reader import FeedReader
    from marketplace.catalog.feeds.refusals import RowRefused
    from marketplace.catalog.models import Offer, Product, Variant

    counts = [0, 0, 0, 0]
    with open(path, "rb") as file:
        for line in FeedReader(file, format="csv"):
            try:
                if isinstance(line.cells, RowRefused):
                    raise line.cells
                item = read_item(line.cells, currency="USD", at=datetime.now(UTC))
            except RowRefused:
                counts[3] += 1
                continue
            with transaction.atomic():
                product, _ = Product.objects.update_or_create(
                    owner=merchant, group_id=item.group_id,
                    defaults={"title": item.title, "category": ensure_category(item.category)},
                )  # fmt: skip
                variant, _ = Variant.objects.update_or_create(
                    owner=merchant,
                    item_id=item.item_id,
                    defaults={"product": product, "title": item.variant_title},
                )
                _, new = Offer.objects.update_or_create(
                    variant=variant, merchant=merchant,
                    defaults={**item.prices.columns, "currency": "USD", "on_hand": item.stock},
                )  # fmt: skip
            counts[0 if new else 1] += 1
    return counts


def imported(path: Path, how: str, environment: dict[str, str]) -> dict[str, float]:
    """Run an import in a process of its own and give what it printed."""
    program = f"from benchmarks.feeds import import_here; import_here({str(path)!r}, {how!r})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        # As the store's workers, which lead a session each.
        start_new_session=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report_searches(
    report: Report, name: str, spent: list[tuple[float, float]], variants: int | None = None
) -> None:
    """Median and 95th percentile of searches, against the limit for a catalogue of so many variants."""
    goal = None if variants is None else SEARCH_GOALS[variants > 500_000]
    report.spread(name, [took for _, took in spent], goal)


def measure(report: Report, items: int, variants: int, directory: Path) -> None:
    """Short and long feeds, first and again, dry, and a part of it row by row."""
    environment = os.environ | {"AGENTSTORE_DATA_DIR": str(directory), "LOG_LEVEL": "ERROR"}
    short, long, changed, some = (
        directory / f"{name}.csv.gz" for name in ("short", "long", "changed", "some")
    )
    for path, number, price in (
        (short, items // 10, 9), (long, items, 9), (changed, items // 10, 10), (some, SINGLE, 9),
    ):  # fmt: skip
        write_feed(path, number, price=price)
    few = imported(short, "short", environment)
    with searching() as alone:
        threading.Event().wait(SEARCHED_SECONDS)
    with searching(environment=environment) as meanwhile:
        new = imported(long, "long", environment)
    same = imported(long, "long", environment)
    # What follows costs by the line: a tenth shows it.
    dry = imported(changed, "dry", environment)
    prices = imported(changed, "long", environment)
    undone = imported(changed, "undo", environment)
    rows = imported(some, "rows", environment)
    report.add(f"peak memory, {items // 10:,} lines", few["peak"], "MiB", "lower")
    report.add(f"peak memory, {items:,} lines", new["peak"], "MiB", "lower")
    report.add("memory that ten times the lines cost", max(0, new["peak"] - few["peak"]), "MiB", "lower", 32)
    report.add("new items", items / new["seconds"], "lines/s", "higher")
    report.add("unchanged items", items / same["seconds"], "lines/s", "higher")
    report.add("changed prices", items // 10 / prices["seconds"], "lines/s", "higher")
    report.add("roll back of changed prices", items // 10 / undone["seconds"], "lines/s", "higher")
    report.add("dry run of changed prices", items // 10 / dry["seconds"], "lines/s", "higher")
    report_searches(report, "search before", alone, variants)
    begun, ended = meanwhile[0][0], meanwhile[-1][0]
    report_searches(report, "search while new items are read", meanwhile)
    first = [one for one in meanwhile if one[0] < begun + STRETCH_SECONDS]
    report_searches(report, "in its first two minutes", first, variants)
    last = [one for one in meanwhile if one[0] > ended - STRETCH_SECONDS]
    report_searches(report, "in its last two minutes", last, variants + items)
    one_by_one = SINGLE / rows["seconds"]
    report.add("row by row, for comparison", one_by_one, "lines/s", "higher")
    report.add("batches against row by row", items / new["seconds"] / one_by_one, "times", "higher")


def main() -> None:
    """Make a database, measure, drop it."""
    made = parser(__doc__ or "")
    made.add_argument("--items", type=int, help="lines of the long feed (1,000,000; quick: 5,000)")
    options = made.parse_args()
    items = options.items or (5_000 if options.quick else 1_000_000)
    variants, bases = (10_000, 500) if options.quick else (100_000, 2_000)
    report = Report(
        {"lines": items, "refused": "1 %", "variants a product": 3, "variants searched": variants}
    )
    with own_store("feeds") as directory:
        from django.db import connection

        named = {key: str(value) for key, value in connection.settings_dict.items() if value}
        password = f":{named['PASSWORD']}" if "PASSWORD" in named else ""
        os.environ["DATABASE_URL"] = (
            f"postgres://{named['USER']}{password}@{named['HOST']}:{named['PORT']}/{named['NAME']}"
        )
        build_catalogue(lambda *_, **__: None, Sizes(variants), bases=bases, directory=directory)
        measure(report, items, variants, directory)
    report.show(as_json=options.json)


if __name__ == "__main__":
    main()

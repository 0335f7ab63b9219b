"""The catalogue: importing a feed, indexing, searching; against PostgreSQL's own full-text search in the same run.

    python -m benchmarks.catalog [--quick] [--json] [--data DIR]

Works in a database of its own, made on the server that DATABASE_URL names and dropped at the end, with the index
in a temporary directory. With `--data DIR`, relevance is measured on `DIR/homedepot` as well (benchmarks/relevance.py).
"""

from __future__ import annotations

import functools
import io
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

from benchmarks.report import Report, parser

KINDS = [
    "frying pan",
    "kettle",
    "desk lamp",
    "running shoe",
    "rain jacket",
    "office chair",
    "water bottle",
    "backpack",
    "camera",
    "headphones",
    "keyboard",
    "monitor",
    "garden hose",
    "tent",
    "sleeping bag",
    "bath towel",
    "candle",
    "notebook",
    "wrist watch",
    "yoga mat",
]
MATERIALS = [
    "steel",
    "cotton",
    "oak",
    "bamboo",
    "leather",
    "ceramic",
    "glass",
    "aluminium",
    "wool",
    "recycled plastic",
]
MANNERS = [
    "light",
    "heavy duty",
    "foldable",
    "classic",
    "compact",
    "waterproof",
    "vintage",
    "professional",
    "quiet",
    "soft",
]
USES = [
    "for travel",
    "for the kitchen",
    "for children",
    "for winter",
    "for the office",
    "for beginners",
    "outdoors",
]
BRANDS = ["Loom", "Photon", "Sonus", "Hill", "Lumo", "Northwind", "Acorn", "Brook", "Cedar", "Dune"]
TEXT_SEARCH = """
SELECT p.id FROM catalog_product p JOIN bench_text t ON t.id = p.id
WHERE t.words @@ %(any)s::tsquery AND p.status = 'active' AND EXISTS (
    SELECT 1 FROM catalog_variant v JOIN catalog_offer o ON o.variant_id = v.id
    WHERE v.product_id = p.id AND o.active AND o.stock > 0 AND o.price_micros <= %(price)s)
ORDER BY ts_rank(t.words, %(any)s::tsquery) DESC LIMIT 100
"""


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def feed(*, items: int, texts: int, seed: int = 7) -> bytes:
    """A CSV feed whose items share so many distinct titles, as real catalogues do."""
    rng = random.Random(seed)
    every = list(itertools.product(MANNERS, MATERIALS, KINDS, USES))
    titles = [" ".join(parts) for parts in rng.sample(every, min(texts, len(every)))]
    out = io.StringIO("")
    out.write("id,title,brand,product_category,price,availability,quantity,ships_to\n")
    for number in range(items):
        title = titles[number % len(titles)]
        kind = next(kind for kind in KINDS if kind in title)
        price = f"{rng.randrange(100, 50_000) / 100:.2f} USD"
        country = rng.choice(["", "US", '"US,DE"'])
        out.write(
            f"i{number},{title},{rng.choice(BRANDS)},Goods > {kind.title()},{price},in_stock,"
            f"{rng.randrange(0, 20)},{country}\n"
        )
    return out.getvalue().encode()


def queries(number: int, seed: int = 11) -> list[str]:
    """What shoppers might type: two to four words, some misspelt."""
    rng = random.Random(seed)
    made = []
    for _ in range(number):
        words = [rng.choice(MATERIALS), rng.choice(KINDS), rng.choice(USES + MANNERS)]
        text = " ".join(rng.sample(words, rng.randrange(2, 4)))
        if rng.random() < 0.1:
            spot = rng.randrange(1, len(text) - 1)
            text = text[:spot] + text[spot + 1 :]
        made.append(text)
    return made


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(report: Report, *, items: int, texts: int, searches: int) -> None:
    """Import, index, embed, search; then the same searches by PostgreSQL alone."""
    from django.core.files.base import ContentFile
    from django.db import connection

    from agentstore.identity.models import User
    from agentstore.identity.services import create_organization
    from agentstore.kit.money import Money
    from marketplace.catalog.feeds import run_import, start_import
    from marketplace.catalog.models import TextEmbedding
    from marketplace.catalog.search import SearchFilters, search_catalog
    from marketplace.catalog.search.hybrid import get_backend
    from marketplace.catalog.search.indexing import drain_outbox, embed_missing, rebuild_index

    owner = User.objects.create_user("merchant@example.com")
    merchant = create_organization(kind="merchant", name="Benchmark", owner=owner)
    content = feed(items=items, texts=texts)

    def read(expected: str) -> float:
        started = start_import(
            merchant=merchant, source=ContentFile(content, name="feed.csv"), by=owner, enqueue=False
        )
        seconds = timed(lambda: run_import(import_id=started.pk))
        started.refresh_from_db()
        assert getattr(started, expected) == items, "an item was lost or doubled"
        return items / seconds

    report.add("feed items imported", read("accepted"), "items/s", "higher", 68_000 / 120)
    report.add("the same feed again, all unchanged", read("unchanged"), "items/s", "higher")
    report.add("full-text index built anew", items / timed(rebuild_index), "products/s", "higher")
    while drain_outbox():
        pass

    def embed() -> None:
        while embed_missing():
            pass

    seconds = timed(embed)
    report.add("texts embedded", TextEmbedding.objects.count() / seconds, "texts/s", "higher")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    wanted = queries(searches)
    filters = SearchFilters(max_price=Money(250_000_000, "USD"), ships_to="US")
    for text in wanted[:20]:
        search_catalog(query=text, filters=filters)
    hybrid = [1000 * timed(functools.partial(search_catalog, query=text, filters=filters)) for text in wanted]
    goal = 30 if items >= 100_000 else None
    report.add("search with filters, p50", statistics.median(hybrid), "ms", "lower")
    report.add("search with filters, p95", percentile(hybrid, 0.95), "ms", "lower", goal)

    backend = get_backend()

    def candidates(text: str) -> None:
        backend.search(query=text, filters=filters, offset=0, limit=100)

    ours = [1000 * timed(functools.partial(candidates, text)) for text in wanted]
    plain = postgresql_alone(wanted)
    for name, spent in {"candidates alone": ours, "the same by PostgreSQL's ranked OR search": plain}.items():
        report.add(f"{name}, p50", statistics.median(spent), "ms", "lower")
        report.add(f"{name}, p95", percentile(spent, 0.95), "ms", "lower")
    report.add("ratio at p95", percentile(plain, 0.95) / percentile(ours, 0.95), "times", "higher")


def rows(cursor: Any, values: dict[str, Any]) -> list[Any]:
    """What PostgreSQL's own search finds."""
    return list(cursor.execute(TEXT_SEARCH, values).fetchall())


def postgresql_alone(wanted: list[str]) -> list[float]:
    """Milliseconds of the same searches by `ts_rank` over a GIN index, candidates only: nothing is read whole."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_text AS SELECT id, to_tsvector('english', title || ' ' || brand) AS words"
            " FROM catalog_product"
        )
        cursor.execute("ALTER TABLE bench_text ADD PRIMARY KEY (id)")
        cursor.execute("CREATE INDEX ON bench_text USING gin (words)")
        cursor.execute("ANALYZE bench_text")
        spent = []
        for text in wanted:
            cursor.execute("SELECT replace(plainto_tsquery('english', %s)::text, '&', '|')", [text])
            any_word = cursor.fetchone()[0]
            values = {"any": any_word, "price": 250_000_000}
            spent.append(1000 * timed(functools.partial(rows, cursor, values)))
    return spent


def main() -> None:
    """Parse, make the database, measure, drop it."""
    made = parser(__doc__ or "")
    made.add_argument("--data", type=Path, help="where homedepot/ lies; adds the relevance figures")
    arguments = made.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    os.environ["TEST_DATABASE_NAME"] = f"bench_catalog_{os.getpid()}"
    with tempfile.TemporaryDirectory() as directory:
        os.environ["AGENTSTORE_DATA_DIR"] = directory
        django.setup()
        from django.conf import settings
        from django.db import connection

        settings.DEBUG = False
        size = {"items": 10_000, "texts": 1_000, "searches": 100}
        if not arguments.quick:
            size = {"items": 100_000, "texts": 14_000, "searches": 1_000}
        report = Report(dict(size))
        name = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            measure(report, **size)
            if arguments.data:
                from benchmarks.relevance import measure_relevance

                measure_relevance(report, arguments.data / "homedepot", quick=arguments.quick)
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()

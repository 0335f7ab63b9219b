"""The catalogue at 10 k, 100 k and 1 M variants: building, disk, memory, every operation, updates while searching.

    python -m benchmarks.catalog [--quick] [--json] [--sizes 10000,100000] [--data DIR]

Each size has a database of its own, made on the server that DATABASE_URL names and dropped at the end, with the index
in a temporary directory. The same searches are run by PostgreSQL's own full-text search, candidates only.

A product has two variants, and two products share a text: 1 M variants are 500 000 products and 250 000 vectors. Rows
are made by PostgreSQL itself, since a feed of a million lines would take the time that the figures are for; how fast a
feed is read is measured on the smallest size. Embedding 250 000 texts would take a quarter of an hour on two cores, so
2 000 titles get their true vectors, and each of these is varied by noise of 0.45 of its length: as near as titles that
differ by a model's name. How fast texts are embedded is measured on the true ones.

With `--data DIR`, relevance is measured on `DIR/homedepot` as well (benchmarks/relevance.py).
"""

from __future__ import annotations

import functools
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.catalog_build import build_catalogue
from benchmarks.catalog_rows import Sizes, queries
from benchmarks.report import Report, parser, percentile, timed
from benchmarks.store import own_store

GOALS = {100_000: 30.0, 1_000_000: 80.0}
BASES, QUICK_BASES = 2_000, 500
TEXT_SEARCH = """
SELECT p.id FROM catalog_product p JOIN bench_text t ON t.id = p.id
WHERE t.words @@ %(any)s::tsquery AND p.status = 'active' AND EXISTS (
    SELECT 1 FROM catalog_variant v JOIN catalog_offer o ON o.variant_id = v.id
    WHERE v.product_id = p.id AND o.active AND o.stock > 0 AND o.price_micros <= %(price)s
    AND (o.ships_to = '{}' OR 'US' = ANY(o.ships_to)))
ORDER BY ts_rank(t.words, %(any)s::tsquery) DESC LIMIT 100
"""


def each(work: Callable[[Any], object], inputs: list[Any]) -> list[float]:
    """Milliseconds of the work for each input, after a few to warm up."""
    for value in inputs[:10]:
        work(value)
    return [1000 * timed(functools.partial(work, value)) for value in inputs]


class Measured:
    """One size's catalogue, which is asked and changed."""

    def __init__(self, report: Report, sizes: Sizes, *, searches: int) -> None:
        from agentstore.kit.money import Money
        from marketplace.catalog.search import SearchFilters

        self.report = report
        self.sizes = sizes
        self.queries = queries(searches)
        self.filters = SearchFilters(max_price=Money(250_000_000, "USD"), ships_to="US")
        self.p95: dict[str, float] = {}

    def add(
        self, name: str, value: float, unit: str, better: str = "lower", goal: float | None = None
    ) -> None:
        """A figure of this size."""
        self.report.add(f"{self.sizes.name}: {name}", value, unit, better, goal)

    def spread(self, name: str, spent: list[float], goal: float | None = None) -> None:
        """Median and 95th percentile."""
        self.p95[name] = percentile(spent, 0.95)
        self.report.spread(f"{self.sizes.name}: {name}", spent, goal)

    def ask(self) -> None:
        """Every operation, one after the other."""
        from agentstore.kit.money import Money
        from marketplace.catalog.lookup import get_product, lookup_catalog
        from marketplace.catalog.models import Product
        from marketplace.catalog.reading import read_products
        from marketplace.catalog.search import SearchFilters, search_catalog
        from marketplace.catalog.search.dense import nearest_texts
        from marketplace.catalog.search.embedder import embed_query
        from marketplace.catalog.search.fulltext import get_fulltext
        from marketplace.catalog.search.hybrid import NEAREST, get_backend
        from marketplace.catalog.search.wordsearch import WordSearch

        def search(text: str, filters: SearchFilters = self.filters, *, facets: bool = True) -> None:
            search_catalog(query=text, filters=filters, facets=facets)

        goal = GOALS.get(self.sizes.variants)
        # A query that was embedded before, for a smaller size, costs a tenth less.
        embed_query.cache_clear()
        self.spread("search with filters", each(search, self.queries), goal)
        embed_query.cache_clear()
        bare = functools.partial(search, facets=False)
        self.spread("search with filters, no facets, as the SDK asks", each(bare, self.queries), goal)
        self.spread("search without filters", each(lambda text: search(text, SearchFilters()), self.queries))
        narrow = SearchFilters(
            categories=("goods--kettle", "goods--tent"), brands=("Loom",), options={"Color": ("Blue",)},
            attributes={"material": ("oak",)}, max_price=Money(50_000_000, "USD"), ships_to="US",
        )  # fmt: skip
        self.spread("search with narrow filters", each(lambda text: search(text, narrow), self.queries))
        self.spread("listing without words", each(lambda _: search(""), self.queries[:100]))

        def words(text: str) -> WordSearch:
            found = get_fulltext().word_search(text=text, filters=self.filters)
            assert found is not None
            return found

        self.spread("part: words", each(lambda text: words(text).ranked(100), self.queries))
        self.spread("part: facets", each(lambda text: words(text).facets(), self.queries))
        self.spread("part: query's vector", each(lambda text: embed_query(text + "."), self.queries[10:]))
        self.spread(
            "part: nearest texts",
            each(lambda text: nearest_texts(vector=embed_query(text) or (), limit=NEAREST), self.queries),
        )
        pages = [[one.product_id for one in words(text).ranked(13)[0]] for text in self.queries]
        self.spread("part: a page read whole", each(lambda page: read_products(ids=page), pages))
        rng = random.Random(9)
        first = Product.objects.order_by("id").values_list("id", flat=True)[0]
        ids = [f"prod_{first + rng.randrange(self.sizes.products)}" for _ in range(200)]
        self.spread("lookup of ten", each(lambda at: lookup_catalog(ids=ids[at : at + 10]), list(range(190))))
        self.spread("one product", each(lambda one: get_product(product_id=one), ids))
        backend = get_backend()
        self.spread(
            "candidates alone",
            each(lambda text: backend.search(query=text, filters=self.filters, limit=100), self.queries),
        )
        self.spread("the same by PostgreSQL's ranked OR search", self.by_postgresql())
        ratio = self.p95["the same by PostgreSQL's ranked OR search"] / self.p95["candidates alone"]
        self.add("PostgreSQL's p95 to ours", ratio, "times", "higher")
        self.add("memory of this process", psutil.Process().memory_info().rss / 2**20, "MiB")

    def by_postgresql(self) -> list[float]:
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

            def search(text: str) -> None:
                cursor.execute("SELECT replace(plainto_tsquery('english', %s)::text, '&', '|')", [text])
                values = {"any": cursor.fetchone()[0], "price": 250_000_000}
                cursor.execute(TEXT_SEARCH, values).fetchall()

            return each(search, self.queries[:200])

    def update(self, seconds: float) -> None:
        """Prices change and are indexed in batches while another thread searches."""
        from django.db import connection

        from marketplace.catalog.models import Offer
        from marketplace.catalog.outbox import announce_products
        from marketplace.catalog.search import search_catalog
        from marketplace.catalog.search.indexing import drain_outbox

        spent: list[float] = []
        ended = threading.Event()

        def searcher(texts: Iterator[str]) -> None:
            try:
                while not ended.is_set():
                    search = functools.partial(search_catalog, query=next(texts), filters=self.filters)
                    spent.append(1000 * timed(search))
            finally:
                connection.close()

        rng = random.Random(13)
        texts = iter(rng.choices(self.queries, k=1_000_000))
        rows = list(Offer.objects.order_by("?").values_list("id", "variant__product_id")[:2_000])
        thread = threading.Thread(target=searcher, args=(texts,))
        thread.start()
        changed, lags = 0, []
        began = time.perf_counter()
        try:
            while time.perf_counter() - began < seconds:
                batch = rng.sample(rows, 200)
                Offer.objects.filter(pk__in=[offer for offer, _ in batch]).update(
                    price_micros=rng.randrange(100, 40_000) * 10_000
                )
                announce_products(product for _, product in batch)
                lags.append(1000 * timed(drain_outbox))
                changed += len(batch)
        finally:
            took = time.perf_counter() - began
            ended.set()
            thread.join()
        self.add("prices changed and indexed while searching", changed / took, "offers/s", "higher")
        self.spread("until 200 changes are in the index", lags, 1_000)
        self.spread("search with filters meanwhile", spent)


def main() -> None:
    """Parse, build and ask each size."""
    made = parser(__doc__ or "")
    made.add_argument("--data", type=Path, help="where homedepot/ lies; adds the relevance figures")
    made.add_argument("--sizes", default="", help="variants, such as 10000,100000")
    arguments = made.parse_args()
    default = [2_000, 10_000] if arguments.quick else [10_000, 100_000, 1_000_000]
    wanted = [Sizes(int(size)) for size in arguments.sizes.split(",") if size] or [
        Sizes(one) for one in default
    ]
    searches, bases = (100, QUICK_BASES) if arguments.quick else (500, BASES)
    report = Report(
        {"variants": [sizes.variants for sizes in wanted], "searches": searches, "true texts": bases}
    )
    growth: list[tuple[Sizes, dict[str, float]]] = []
    for sizes in wanted:
        with own_store("catalog") as directory:
            measured = Measured(report, sizes, searches=searches)
            build_catalogue(measured.add, sizes, bases=bases, directory=directory)
            measured.ask()
            measured.update(2 if arguments.quick else 10)
            growth.append((sizes, measured.p95))
    for (small, before), (large, after) in itertools.pairwise(growth):
        for name in ("search with filters", "search with narrow filters", "one product"):
            ratio = after[name] / before[name]
            report.add(f"{name}, p95 grows from {small.name} to {large.name}", ratio, "times", "lower")
    if arguments.data:
        from benchmarks.relevance import measure_relevance

        with own_store("relevance"):
            measure_relevance(report, arguments.data / "homedepot", quick=arguments.quick)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()

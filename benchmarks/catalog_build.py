"""Building a catalogue for benchmarks/catalog.py, and what each step takes."""

from __future__ import annotations

import functools
import itertools
import random
import time
from pathlib import Path
from typing import Any, Protocol

from benchmarks.catalog_rows import BRANDS, KINDS, Sizes, fill_catalogue, fill_vectors, titles
from benchmarks.report import timed

FEED_ITEMS = 2_000


class Add(Protocol):
    """Takes a figure of the size being built."""

    def __call__(
        self, name: str, value: float, unit: str, better: str = "lower", goal: float | None = None
    ) -> None:
        """Add it."""


def build_catalogue(add: Add, sizes: Sizes, *, bases: int, directory: Path) -> None:
    """A feed, the rows, the full-text index, the vectors and their index; then what they weigh on disk."""
    from django.db import connection

    from agentstore.identity.models import User
    from agentstore.identity.services import create_organization
    from marketplace.catalog.search.indexing import rebuild_index

    owner = User.objects.create_user("merchant@example.com")
    merchant = create_organization(kind="merchant", name="Benchmark", owner=owner)
    read_feed(add, merchant=merchant, owner=owner, items=min(FEED_ITEMS, sizes.variants))
    vectors = embed_titles(add, titles(bases))
    with connection.cursor() as cursor:
        fill_catalogue(cursor, sizes, bases=described(bases), owner=merchant.pk)
        add("full-text index built anew", sizes.products / timed(rebuild_index), "products/s", "higher")
        cursor.execute("DELETE FROM catalog_waitingtext")
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'text_embedding_hnsw'")
        (definition,) = cursor.fetchone()
        cursor.execute("DROP INDEX text_embedding_hnsw")
        fill_vectors(cursor, sizes, vectors)
        cursor.execute("SET maintenance_work_mem = '2GB'")
        seconds = timed(lambda: cursor.execute(definition))
        add("vector index built anew", sizes.texts / seconds, "texts/s", "higher")
        # As autovacuum leaves tables in a store that runs.
        cursor.execute("VACUUM (ANALYZE)")
        for name, relations in {
            "products, variants and offers": ["catalog_product", "catalog_variant", "catalog_offer"],
            "vectors with their index": ["catalog_textembedding"],
        }.items():
            cursor.execute(
                "SELECT sum(pg_total_relation_size(n::regclass)) FROM unnest(%s::text[]) n", [relations]
            )
            add(f"disk of {name}", float(cursor.fetchone()[0]) / 2**20, "MiB")
    files = [path.stat().st_size for path in (directory / "search").rglob("*") if path.is_file()]
    add("disk of the full-text index", sum(files) / 2**20, "MiB")


def read_feed(add: Add, *, merchant: Any, owner: Any, items: int) -> None:
    """The same feed twice: all new, then all unchanged."""
    from django.core.files.base import ContentFile

    from marketplace.catalog.feeds import run_import, start_import

    rng = random.Random(7)
    lines = ["id,title,brand,product_category,price,availability,quantity"]
    for number, title in zip(range(items), itertools.cycle(titles(items)), strict=False):
        price = f"{rng.randrange(100, 50_000) / 100:.2f} USD"
        lines.append(f"f{number},{title},{rng.choice(BRANDS)},Goods > {kind_of(title)},{price},in_stock,5")
    content = "\n".join(lines).encode()
    for name, goal in (("feed items imported", 68_000 / 120), ("the same feed again, all unchanged", None)):
        source = ContentFile(content, name="feed.csv")
        started = start_import(merchant=merchant, source=source, by=owner, enqueue=False)
        seconds = timed(functools.partial(run_import, import_id=started.pk))
        started.refresh_from_db()
        assert started.items == items, "an item was lost or doubled"
        add(name, items / seconds, "items/s", "higher", goal)


def embed_titles(add: Add, wordings: list[str]) -> list[list[float]]:
    """The true vectors of the titles."""
    from marketplace.catalog.search.embedder import get_embedder

    embedder = get_embedder()
    assert embedder is not None, "the embedding model is not installed"
    began = time.perf_counter()
    rows = [
        row.tolist() for at in range(0, len(wordings), 64) for row in embedder.embed(wordings[at : at + 64])
    ]
    add("texts embedded", len(wordings) / (time.perf_counter() - began), "texts/s", "higher")
    return rows


def described(bases: int) -> list[tuple[str, int, str]]:
    """The titles with their categories and brands."""
    from marketplace.catalog.categories import ensure_category

    rng = random.Random(5)
    categories = {kind.title(): ensure_category(["Goods", kind.title()]) for kind in KINDS}
    found = []
    for title in titles(bases):
        category = categories[kind_of(title)]
        assert category is not None
        found.append((title, category.pk, rng.choice(BRANDS)))
    return found


def kind_of(title: str) -> str:
    """The category that a title is of."""
    return next(kind for kind in KINDS if kind in title).title()

"""How well search ranks, by the open judgements of home improvement queries: NDCG@10 and recall@50.

Run by `python -m benchmarks.catalog --data DIR`. `DIR/homedepot` holds `products.jsonl` (id, title), `queries.jsonl`
(id, text) and `qrels.tsv` (query, product, relevance 1 to 3). Unjudged products count as irrelevant. Reported are
words alone, vectors alone, and the fusion in use.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.report import Report

LEAST_JUDGEMENTS = 8
Judgements = Mapping[str, Mapping[str, float]]


def ndcg(ranked: Sequence[str], gains: Mapping[str, float], depth: int = 10) -> float:
    """Järvelin and Kekäläinen's normalised discounted cumulative gain, linear gains."""
    found = sum(gains.get(item, 0.0) / math.log2(place + 2) for place, item in enumerate(ranked[:depth]))
    ideal = sorted(gains.values(), reverse=True)[:depth]
    return found / sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal))


def recall(ranked: Sequence[str], gains: Mapping[str, float], depth: int = 50) -> float:
    """The share of the judged products that are among the first."""
    return len(set(ranked[:depth]) & gains.keys()) / len(gains)


def read_judgements(directory: Path) -> dict[str, dict[str, float]]:
    """Relevance by query and product, of queries with enough judgements."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    with (directory / "qrels.tsv").open() as rows:
        next(rows)
        for row in rows:
            query, product, relevance = row.split("\t")
            found[query][product] = float(relevance)
    return {query: gains for query, gains in found.items() if len(gains) >= LEAST_JUDGEMENTS}


def measure_relevance(report: Report, directory: Path, *, quick: bool) -> None:
    """Load the products as a feed, index them, and ask the sampled queries."""
    from django.core.files.base import ContentFile

    from agentstore.identity.models import User
    from agentstore.identity.services import create_organization
    from marketplace.catalog.feeds import run_import, start_import
    from marketplace.catalog.models import Variant
    from marketplace.catalog.search import SearchFilters
    from marketplace.catalog.search.dense import nearest_products
    from marketplace.catalog.search.embedder import embed_query
    from marketplace.catalog.search.fulltext import get_fulltext
    from marketplace.catalog.search.hybrid import get_backend
    from marketplace.catalog.search.indexing import embed_missing, rebuild_index

    judged = read_judgements(directory)
    rng = random.Random(5)
    chosen = rng.sample(sorted(judged), 100 if quick else 1_000)
    lines = [json.loads(line) for line in (directory / "products.jsonl").open()]
    if quick:
        needed = {product for query in chosen for product in judged[query]}
        lines = [line for line in lines if line["id"] in needed or rng.random() < 0.03]
    texts = {row["id"]: row["text"] for row in map(json.loads, (directory / "queries.jsonl").open())}

    merchant = create_organization(
        kind="merchant", name="Relevance", owner=User.objects.create_user("judge@example.com")
    )
    items = (
        {"id": row["id"], "title": row["title"][:300], "price": "1 USD", "availability": "in_stock"}
        for row in lines
    )
    content = "\n".join(json.dumps(item) for item in items).encode()
    started = start_import(
        merchant=merchant, source=ContentFile(content, name="feed.jsonl"), by=None, enqueue=False
    )
    run_import(import_id=started.pk)
    rebuild_index()
    while embed_missing():
        pass

    own = Variant.objects.filter(owner=merchant)
    named = dict(own.values_list("product_id", "item_id"))
    filters = SearchFilters(merchants=(merchant.pk,))

    def by_words(text: str) -> list[int]:
        return list(get_fulltext().search(query=text, filters=filters, offset=0, limit=50).scores)

    def by_meaning(text: str) -> list[int]:
        near = nearest_products(vector=embed_query(text) or (), filters=filters, limit=50)
        return sorted(near, key=lambda number: -near[number])

    def by_both(text: str) -> list[int]:
        found = get_backend().search(query=text, filters=filters, offset=0, limit=50)
        return [hit.product_id for hit in found.hits]

    ways: dict[str, Callable[[str], list[int]]] = {
        "words": by_words,
        "meaning": by_meaning,
        "both": by_both,
    }
    for name, way in ways.items():
        ranked = {query: [named[number] for number in way(texts[query])] for query in chosen}
        scores = [ndcg(ranked[query], judged[query]) for query in chosen]
        shares = [recall(ranked[query], judged[query]) for query in chosen]
        report.add(f"relevance by {name}, NDCG@10", statistics.mean(scores), "", "higher")
        report.add(f"relevance by {name}, recall@50", statistics.mean(shares), "", "higher")

"""How well search ranks, by the open judgements of home improvement queries: NDCG@10, recall@50 and latency.

    python -m benchmarks.relevance --data DIR [--quick] [--json]

`DIR/homedepot` holds `products.jsonl` (id, title), `queries.jsonl` (id, text) and `qrels.tsv` (query, product,
relevance 1 to 3). Unjudged products count as irrelevant. Recall is given of all that were judged, and of those judged
relevant. The fusion's weight is chosen on one half of the queries and every figure is of the other half, so that none
was seen when choosing. Asked are words alone, meaning alone, the fusion with the weight chosen here, and the store's
own search as it is (its weight is the constant in `marketplace/catalog/search/fusion.py`), over the whole catalogue
and without the last reading of prices and stock.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Report, parser
from benchmarks.store import own_store

LEAST_JUDGEMENTS = 8
WEIGHTS = [step / 20 for step in range(21)]
# What is to be reached on the whole catalogue: NDCG@10 and recall@50 of the fusion first tried.
GOALS = {"NDCG@10": 0.351, "recall@50": 0.698}
LEAST_RELEVANCE = 2.33
RELEVANT = f"recall@50 of relevance {LEAST_RELEVANCE} and more"
Judgements = Mapping[str, Mapping[str, float]]


def ndcg(ranked: Sequence[str], gains: Mapping[str, float], depth: int = 10) -> float:
    """Järvelin and Kekäläinen's normalised discounted cumulative gain, linear gains."""
    found = sum(gains.get(item, 0.0) / math.log2(place + 2) for place, item in enumerate(ranked[:depth]))
    ideal = sorted(gains.values(), reverse=True)[:depth]
    return found / sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal))


def recall(ranked: Sequence[str], gains: Mapping[str, float], depth: int = 50) -> float:
    """The share of the judged products that are among the first."""
    return len(set(ranked[:depth]) & gains.keys()) / len(gains)


def recall_of_relevant(ranked: Sequence[str], gains: Mapping[str, float]) -> float | None:
    """The same of products judged relevant, 2.33 and more of 3; None where a query has none."""
    relevant = {item: gain for item, gain in gains.items() if gain >= LEAST_RELEVANCE}
    return recall(ranked, relevant) if relevant else None


def read_judgements(directory: Path) -> dict[str, dict[str, float]]:
    """Relevance by query and product, of queries with enough judgements."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    with (directory / "qrels.tsv").open() as rows:
        next(rows)
        for row in rows:
            query, product, relevance = row.split("\t")
            found[query][product] = float(relevance)
    return {query: gains for query, gains in found.items() if len(gains) >= LEAST_JUDGEMENTS}


def split(queries: Sequence[str]) -> tuple[list[str], list[str]]:
    """Train and test by a hash of the query's id: the same in every run, whatever the sample."""
    halves: tuple[list[str], list[str]] = ([], [])
    for query in queries:
        halves[hashlib.sha256(query.encode()).digest()[0] % 2].append(query)
    return halves


@dataclass
class Answers:
    """Both sides' candidates for a query, and the milliseconds that each took."""

    words: list[Any]
    meaning: list[tuple[Any, float]]
    spent: dict[str, float]


def measure_relevance(report: Report, directory: Path, *, quick: bool) -> None:
    """Load the products as a feed, index them, choose the weight on the train half, report on the test half."""
    judged = read_judgements(directory)
    rng = random.Random(5)
    chosen = rng.sample(sorted(judged), 100 if quick else 2_000)
    named = load(directory, judged, chosen, rng if quick else None)
    texts = {row["id"]: row["text"] for row in map(json.loads, (directory / "queries.jsonl").open())}
    ask(texts[chosen[0]])
    answers = {query: ask(texts[query]) for query in chosen}
    train, test = split(chosen)

    from marketplace.catalog.search.fusion import LEXICAL_WEIGHT, fuse

    def fused(query: str, weight: float) -> list[str]:
        found = fuse(answers[query].words, answers[query].meaning, lexical_weight=weight)
        return [named[one.product_id] for one in found]

    def quality(queries: Sequence[str], weight: float) -> float:
        lists = {query: fused(query, weight) for query in queries}
        return statistics.mean(
            ndcg(lists[query], judged[query]) + recall(lists[query], judged[query]) for query in queries
        )

    best = max(WEIGHTS, key=lambda weight: quality(train, weight))
    report.add("words' weight chosen on the train half", best, "", "higher")
    report.add("words' weight in use", LEXICAL_WEIGHT, "", "higher")
    ways = {
        "words": {query: [named[one.product_id] for one in answers[query].words] for query in test},
        "meaning": {query: [named[one.product_id] for one, _ in answers[query].meaning] for query in test},
        "fusion": {query: fused(query, best) for query in test},
        "search as it is": {query: fused(query, LEXICAL_WEIGHT) for query in test},
    }
    for name, ranked in ways.items():
        goals = GOALS if name == "search as it is" and not quick else {}
        for measure, score in (("NDCG@10", ndcg), ("recall@50", recall), (RELEVANT, recall_of_relevant)):
            scores = (score(ranked[query], judged[query]) for query in test)
            mean = statistics.mean(one for one in scores if one is not None)
            report.add(f"test half, {name}: {measure}", mean, "", "higher", goals.get(measure))
    for name in ("words", "meaning", "hybrid"):
        report.spread(name, [answers[query].spent[name] for query in test])


def load(
    directory: Path, judged: Judgements, chosen: Sequence[str], sample: random.Random | None
) -> dict[int, str]:
    """Import, index and embed the products; gives their names in the judgements by our ids."""
    from django.core.files.base import ContentFile

    from agentstore.identity.models import User
    from agentstore.identity.services import create_organization
    from marketplace.catalog.feeds import run_import, start_import
    from marketplace.catalog.models import Variant
    from marketplace.catalog.search.embedding import embed_waiting
    from marketplace.catalog.search.indexing import rebuild_index

    lines = [json.loads(line) for line in (directory / "products.jsonl").open()]
    if sample:
        needed = {product for query in chosen for product in judged[query]}
        lines = [line for line in lines if line["id"] in needed or sample.random() < 0.01]
    merchant = create_organization(
        kind="merchant", name="Relevance", owner=User.objects.create_user("judge@example.com")
    )
    content = "\n".join(
        json.dumps(
            {"id": row["id"], "title": row["title"][:300], "price": "1 USD", "availability": "in_stock"}
        )
        for row in lines
    )
    source = ContentFile(content.encode(), name="feed.jsonl")
    started = start_import(merchant=merchant, source=source, by=None, enqueue=False)
    run_import(import_id=started.pk)
    rebuild_index()
    while embed_waiting(limit=256):
        pass
    return dict(Variant.objects.filter(owner=merchant).values_list("product_id", "item_id"))


def ask(text: str) -> Answers:
    """One query by words, by meaning and by both."""
    from marketplace.catalog.search import SearchFilters
    from marketplace.catalog.search.embedder import embed_query
    from marketplace.catalog.search.fulltext import get_fulltext
    from marketplace.catalog.search.hybrid import CANDIDATES, candidates_by_meaning, get_backend

    filters = SearchFilters()
    began = time.perf_counter()
    words = get_fulltext().word_search(text=text, filters=filters)
    assert words is not None
    ranked, _ = words.ranked(CANDIDATES)
    by_words = time.perf_counter()
    meant = candidates_by_meaning(words, embed_query(text))
    by_meaning = time.perf_counter()
    get_backend().search(query=text, filters=filters, limit=CANDIDATES * 2)
    by_both = time.perf_counter()
    spent = {
        "words": 1000 * (by_words - began),
        "meaning": 1000 * (by_meaning - by_words),
        "hybrid": 1000 * (by_both - by_meaning),
    }
    return Answers(ranked, meant, spent)


def main() -> None:
    """Parse, make the database, measure, drop it."""
    made = parser(__doc__ or "")
    made.add_argument("--data", type=Path, required=True, help="where homedepot/ lies")
    arguments = made.parse_args()
    report = Report({"data": "homedepot", "quick": arguments.quick})
    with own_store("relevance"):
        measure_relevance(report, arguments.data / "homedepot", quick=arguments.quick)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()

"""One search in the full-text index: all its parts see the same documents and pass the same filters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import tantivy
from tantivy import Occur, Order, Query

from marketplace.catalog.search.backend import Facet
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.lexicon import (
    FACET_FIELDS,
    FIELDS,
    PRICE_STEPS,
    filter_query,
    one_of,
    wish_query,
)
from marketplace.catalog.search.synonyms import synonyms
from marketplace.catalog.search.wording import Analyze, Wish, read_query

_FACET_VALUES: Final = 20
_TRAIT_VALUES: Final = 60
_MICROS: Final = 1_000_000
_HIGHEST: Final = 1 << 62


class Worded(NamedTuple):
    """A product that the index gave: the key of its text, and BM25 (0 where none of the words stands in it)."""

    product_id: int
    text_key: int
    score: float


class WordSearch:
    """A text, filters, and the index as it was when this was made. An empty text matches everything."""

    def __init__(
        self,
        searcher: tantivy.Searcher,
        schema: tantivy.Schema,
        *,
        text: str,
        filters: SearchFilters,
        split: Analyze,
        stem: Analyze,
    ) -> None:
        self._searcher = searcher
        self._schema = schema
        self._text = text.strip()
        self._analyzers = split, stem
        self._conditions = filter_query(schema=schema, filters=filters)

    @property
    def index_empty(self) -> bool:
        """Whether nothing at all is indexed."""
        return self._searcher.num_docs == 0

    @cached_property
    def wishes(self) -> list[Wish]:
        """How the text is read."""
        split, stem = self._analyzers
        return read_query(
            self._text,
            split=split,
            stem=stem,
            known=lambda word: max(self._knows(name, word) for name in FIELDS),
            synonyms=synonyms(stem),
        )

    @cached_property
    def _words(self) -> list[Query]:
        return [wish_query(self._schema, wish, knows=self._knows) for wish in self.wishes]

    @cached_property
    def _whole(self) -> Query:
        if not self._text:
            wanted = Query.all_query()
        elif self._words:
            wanted = Query.boolean_query([(Occur.Should, word) for word in self._words])
        else:
            wanted = Query.empty_query()
        return Query.boolean_query([(Occur.Must, wanted), *self._conditions])

    def _knows(self, field: str, word: str) -> int:
        return self._searcher.doc_freq(field, word)

    def ranked(self, limit: int) -> tuple[list[Worded], int]:
        """The best matches by BM25, and how many match at all."""
        result = self._searcher.search(self._whole, limit=limit)
        return list(self._read(result)), _count(result)

    def listed(self, *, after: int, limit: int) -> tuple[list[int], int]:
        """Ids above `after` in their order, and how many pass at all; the text plays no part."""
        behind = Query.range_query(
            self._schema, "product_id", tantivy.FieldType.Integer, after, None, include_lower=False
        )
        rest = Query.boolean_query([(Occur.Must, Query.const_score_query(behind, 0.0)), *self._conditions])
        page = self._searcher.search(
            rest, limit=limit, count=False, order_by_field="product_id", order=Order.Asc
        )
        total = _count(self._searcher.search(self._whole, limit=1))
        return [worded.product_id for worded in self._read(page)], total

    def about(self, keys: Collection[int], *, limit: int) -> list[Worded]:
        """Products whose text has one of the keys and that pass the filters, with the words' scores."""
        among = Query.const_score_query(one_of(self._schema, "text_key", keys), 0.0)
        parts = [(Occur.Must, among), *self._conditions, *((Occur.Should, word) for word in self._words)]
        return list(self._read(self._searcher.search(Query.boolean_query(parts), limit=limit, count=False)))

    def passing(self, *, limit: int) -> tuple[set[int], int]:
        """Keys of the texts of up to `limit` products that pass the filters, and how many products do."""
        every = Query.boolean_query([(Occur.Must, Query.all_query()), *self._conditions])
        total = _count(self._searcher.search(every, limit=1))
        if total > limit:
            return set(), total
        found = self._read(self._searcher.search(every, limit=limit, count=False))
        return {worded.text_key for worded in found}, total

    def terms(self, product_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Which readings of the query's words stand in these products."""
        among = Query.const_score_query(one_of(self._schema, "product_id", product_ids), 0.0)
        found: dict[int, tuple[str, ...]] = {}
        for reading in (reading for wish in self.wishes for reading in wish):
            query = wish_query(self._schema, (reading,), knows=self._knows)
            both = Query.boolean_query([(Occur.Must, among), (Occur.Must, query)])
            for worded in self._read(self._searcher.search(both, limit=max(1, len(product_ids)))):
                found[worded.product_id] = (*found.get(worded.product_id, ()), reading.text)
        return found

    def facets(self) -> dict[str, tuple[Facet, ...]]:
        """How everything that matches divides by category, brand, price, options and attributes."""
        wanted: dict[str, Any] = {
            name: {"terms": {"field": field, "size": _TRAIT_VALUES if name == "trait" else _FACET_VALUES}}
            for name, field in FACET_FIELDS.items()
        }
        steps = [step * _MICROS for step in PRICE_STEPS]
        ends = [*steps[1:], _HIGHEST]
        wanted["price"] = {
            "range": {
                "field": "min_price",
                "ranges": [
                    {"from": low, "to": high, "key": f"{low}"} for low, high in zip(steps, ends, strict=True)
                ],
            }
        }
        found = self._searcher.aggregate(self._whole, wanted)
        return {
            "category": _facet(found["category"]),
            "brand": _facet(found["brand"]),
            "price": tuple(_price_facets(found["price"])),
            **_traits(found["trait"]),
        }

    def _read(self, result: tantivy.SearchResult) -> Iterator[Worded]:
        places = [address for _, address in result.hits]
        ids = self._searcher.fast_field_values("product_id", places)
        keys = self._searcher.fast_field_values("text_key", places)
        for (score, _), number, key in zip(result.hits, ids, keys, strict=True):
            if number is not None and key is not None:
                yield Worded(int(number), int(key), float(score or 0.0))


def _facet(found: Any) -> tuple[Facet, ...]:
    return tuple(Facet(str(row["key"]), int(row["doc_count"])) for row in found["buckets"])


def _price_facets(found: Any) -> Iterator[Facet]:
    for row in found["buckets"]:
        count = int(row["doc_count"])
        if count and "from" in row:
            low = int(row["from"]) // _MICROS * 100
            high = "" if row["to"] >= _HIGHEST else str(int(row["to"]) // _MICROS * 100 - 1)
            yield Facet(f"{low}-{high}", count)


def _traits(found: Any) -> dict[str, tuple[Facet, ...]]:
    grouped: dict[str, tuple[Facet, ...]] = {}
    for facet in _facet(found):
        name, _, value = facet.value.partition("=")
        grouped[name] = (*grouped.get(name, ()), Facet(value, facet.count))
    return grouped


def _count(result: tantivy.SearchResult) -> int:
    # The stubs leave out `count`, which the class has whenever the search counted.
    return int(result.count)  # type: ignore[attr-defined]

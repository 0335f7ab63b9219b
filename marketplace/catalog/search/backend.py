"""What any search backend does. The hybrid one is the default; a cluster's would keep the same contract.

The contract is a suite: tests/catalog/test_search_backend.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from marketplace.catalog.search.filters import SearchFilters


@dataclass(frozen=True, slots=True)
class IndexDocument:
    """A product as the index knows it. Prices are micro-units of its offers that are switched on.

    `text_key` is `texts.text_key` of the text that is embedded; products that read the same share it.
    """

    product_id: int
    text_key: int
    title: str
    brand: str
    category_names: tuple[str, ...]
    category_slugs: tuple[str, ...]
    body: str
    options: frozenset[tuple[str, str]]
    attributes: frozenset[tuple[str, str]]
    merchants: frozenset[str]
    ships_to: frozenset[str]
    currencies: frozenset[str]
    min_price: int
    max_price: int
    in_stock: bool


@dataclass(frozen=True, slots=True)
class Why:
    """How a hit came to its score: `score` is the sum of the two shares.

    `words` is BM25 and `meaning` the cosine to the query, None where that side did not know the product.
    `terms` are the query's words, or what was read for them, that stand in the product.
    """

    words: float | None
    meaning: float | None
    words_share: float
    meaning_share: float
    terms: tuple[str, ...]


class Hit(NamedTuple):
    """A candidate. Scores order hits of one search and mean nothing between two; `place` is where it stands,
    for going on behind it."""

    product_id: int
    score: float
    place: int
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that the found products have and how many of them do."""

    value: str
    count: int


Facets = Mapping[str, tuple[Facet, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates in order, how many matched, and how they divide.

    Facets are `category` (slugs), `brand`, `price` (ranges of minor units as `1000-2499`), `options.<name>` and
    `attributes.<name>`, None where nobody asked for them. `reading` says how the query's words were understood, when
    asked to explain.
    """

    hits: Sequence[Hit]
    total: int
    facets: Facets | None = None
    index_empty: bool = False
    reading: tuple[str, ...] = ()


class SearchBackend(Protocol):
    """Finds candidates. It never decides price or stock: the caller reads them back from PostgreSQL.

    Whoever writes holds the writers' lock (`indexing.writer_lock`).
    """

    def apply(self, *, upserts: Iterable[IndexDocument], deletes: Iterable[int]) -> int:
        """Delete and replace or add in one step, visible to every process's searches after this returns.

        Unknown products to delete are no error. Gives how many documents were written.
        """

    def replace_all(self, batches: Iterable[Sequence[IndexDocument]]) -> int:
        """Everything anew; searches see all of the old until they see all of the new. Gives the new size."""

    def search(
        self,
        *,
        query: str,
        filters: SearchFilters,
        after: int = 0,
        limit: int,
        facets: bool = True,
        explain: bool = False,
    ) -> Found:
        """Candidates whose place is behind `after`, best first; an empty query lists everything that passes.

        Without `facets` they are not counted, which takes a tenth to a fifth of a search.
        """

    def facets(self, *, query: str, filters: SearchFilters) -> Facets:
        """The facets of a search alone."""

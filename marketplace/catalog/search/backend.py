"""What any search backend does. The hybrid one is the default; a cluster's would keep the same contract."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from marketplace.catalog.search.filters import SearchFilters


@dataclass(frozen=True, slots=True)
class IndexDocument:
    """A product as the index knows it. Prices are micro-units of its offers that are switched on."""

    product_id: int
    title: str
    brand: str
    category_names: tuple[str, ...]
    category_slugs: tuple[str, ...]
    body: str
    options: frozenset[tuple[str, str]]
    merchants: frozenset[str]
    ships_to: frozenset[str]
    currencies: frozenset[str]
    min_price: int
    max_price: int
    in_stock: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate and its score; scores order hits of one search and mean nothing between two."""

    product_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that the found products have and how many of them do."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates in order, how many matched, and how they divide by category slug and brand."""

    hits: Sequence[Hit]
    total: int
    facets: dict[str, tuple[Facet, ...]] = field(default_factory=dict)
    index_empty: bool = False


class SearchBackend(Protocol):
    """Finds candidates. It never decides price or stock: the caller reads them back from PostgreSQL."""

    def upsert(self, documents: Iterable[IndexDocument]) -> int:
        """Replace or add documents, visible to searches after this returns; gives their number."""

    def delete(self, product_ids: Iterable[int]) -> None:
        """Forget products; unknown ones are no error."""

    def search(self, *, query: str, filters: SearchFilters, offset: int, limit: int) -> Found:
        """Candidates from `offset` on, best first; an empty query lists everything that passes."""

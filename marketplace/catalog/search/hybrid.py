"""The default backend: Tantivy and pgvector side by side, joined by score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from marketplace.catalog.search.backend import Found, Hit, IndexDocument, SearchBackend
from marketplace.catalog.search.dense import nearest_products
from marketplace.catalog.search.embedder import embed_query
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.fulltext import get_fulltext
from marketplace.catalog.search.fusion import fuse

# From each side; what both find counts once.
CANDIDATES: Final = 100
# Below this cosine a text is about something else. Measured: docs/algorithms/search.md.
LEAST_SIMILARITY: Final = 0.25


class HybridBackend:
    """Keeps words in the full-text index; vectors are PostgreSQL's, which the indexing tasks fill."""

    def upsert(self, documents: Iterable[IndexDocument]) -> int:
        """Replace or add documents in one commit."""
        return get_fulltext().apply(upserts=documents, deletes=())

    def delete(self, product_ids: Iterable[int]) -> None:
        """Forget products."""
        get_fulltext().apply(upserts=(), deletes=product_ids)

    def search(self, *, query: str, filters: SearchFilters, offset: int, limit: int) -> Found:
        """A text query ranks at most 200 candidates; an empty one lists everything, however deep."""
        text = query.strip()
        if not text:
            listed = get_fulltext().search(query="", filters=filters, offset=offset, limit=limit)
            hits = [Hit(number, score) for number, score in listed.scores.items()]
            return Found(hits, listed.total, listed.facets, listed.empty)
        words = get_fulltext().search(query=text, filters=filters, offset=0, limit=CANDIDATES)
        meanings = {} if words.empty else self._by_meaning(text, filters)
        ranked = fuse(words.scores, meanings)
        return Found(
            hits=[Hit(number, score) for number, score in ranked[offset : offset + limit]],
            total=max(words.total, len(ranked)),
            facets=words.facets,
            index_empty=words.empty,
        )

    def _by_meaning(self, text: str, filters: SearchFilters) -> dict[int, float]:
        vector = embed_query(text)
        if vector is None:
            return {}
        found = nearest_products(vector=vector, filters=filters, limit=CANDIDATES)
        return {number: score for number, score in found.items() if score >= LEAST_SIMILARITY}


def get_backend() -> SearchBackend:
    """The backend in use."""
    return HybridBackend()

"""The default backend: Tantivy and pgvector side by side, joined by score."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from marketplace.catalog.search.backend import Facets, Found, Hit, IndexDocument, SearchBackend, Why
from marketplace.catalog.search.dense import nearest_texts, similarities
from marketplace.catalog.search.embedder import embed_query
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.fulltext import get_fulltext
from marketplace.catalog.search.fusion import Fused, fuse
from marketplace.catalog.search.wordsearch import Worded, WordSearch

# From each side; what both find counts once.
CANDIDATES: Final = 100
# Below this cosine a text is about something else. Measured: docs/algorithms/search.md.
LEAST_SIMILARITY: Final = 0.25
# Texts asked for first, and again where filters leave too few of their products.
NEAREST: Final = 200
WIDELY: Final = 4_000
# Up to so many products that pass the filters, every one is compared.
ALL_COMPARED: Final = 4_000
_FIRST_TEXTS: Final = 80
_MOST_OF_TEXTS: Final = 1_000

# Words are searched beside meanings, rankings remembered beside reading: the one takes this process's core, the other
# PostgreSQL's.
beside = ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1), thread_name_prefix="search")


class HybridBackend:
    """Keeps words in the full-text index; vectors are PostgreSQL's, which the indexing tasks fill."""

    def apply(self, *, upserts: Iterable[IndexDocument], deletes: Iterable[int]) -> int:
        """Delete and replace or add in one commit."""
        return get_fulltext().apply(upserts=upserts, deletes=deletes)

    def replace_all(self, batches: Iterable[Sequence[IndexDocument]]) -> int:
        """A new generation, put in place in one step."""
        size = 0
        with get_fulltext().new_generation() as generation:
            for documents in batches:
                size = generation.add(documents)
        return size

    def facets(self, *, query: str, filters: SearchFilters) -> Facets:
        """Of the words; meanings match everything a little."""
        words = get_fulltext().word_search(text=query, filters=filters)
        return {} if words is None or words.index_empty else words.facets()

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
        """A text query ranks at most 200 candidates; an empty one lists everything, however deep."""
        words = get_fulltext().word_search(text=query, filters=filters)
        if words is None or words.index_empty:
            return Found([], 0, index_empty=True)
        if not query.strip():
            ids, total = words.listed(after=after, limit=limit)
            counts = words.facets() if facets else None
            return Found([Hit(number, 0.0, place=number) for number in ids], total, counts)
        by_words = beside.submit(words.ranked, CANDIDATES)
        vector = embed_query(query.strip())
        # From here on this thread waits for PostgreSQL; before, counting would take its core.
        counted = beside.submit(words.facets) if facets else None
        meant = candidates_by_meaning(words, vector)
        ranked, total = by_words.result()
        fused = fuse(ranked, meant)
        page = fused[after : after + limit]
        terms = words.terms([one.product_id for one in page]) if explain else {}
        return Found(
            hits=[
                Hit(
                    one.product_id,
                    one.score,
                    place=after + position,
                    why=_why(one, terms.get(one.product_id, ())) if explain else None,
                )
                for position, one in enumerate(page, start=1)
            ],
            total=max(total, len(fused)),
            facets=counted.result() if counted else None,
            reading=tuple(reading.text for wish in words.wishes for reading in wish) if explain else (),
        )


def _near_enough(found: dict[int, float]) -> dict[int, float]:
    return {key: similarity for key, similarity in found.items() if similarity >= LEAST_SIMILARITY}


def candidates_by_meaning(words: WordSearch, vector: Sequence[float] | None) -> list[tuple[Worded, float]]:
    """The products whose texts are nearest to the query's vector, of those that pass its filters; none without one.

    The nearest texts of all are tried first. Where filters leave too few of them, every product that passes is
    compared if these are few, and else many more texts are fetched.
    """
    if vector is None:
        return []
    near = _near_enough(nearest_texts(vector=vector, limit=NEAREST))
    found = _having(words, near)
    if len(found) >= CANDIDATES or len(near) < NEAREST:
        return found[:CANDIDATES]
    keys, passing = words.passing(limit=ALL_COMPARED)
    if passing <= len(found):
        return found
    if keys:
        near = similarities(vector=vector, keys=keys)
    else:
        near = nearest_texts(vector=vector, limit=WIDELY)
    return _having(words, _near_enough(near))[:CANDIDATES]


def _having(words: WordSearch, near: dict[int, float]) -> list[tuple[Worded, float]]:
    """Products of these texts that pass, nearest first, ties by id; those of the nearest texts are enough."""
    keys = sorted(near, key=lambda key: -near[key])
    found: list[Worded] = []
    for count in (_FIRST_TEXTS, len(keys)):
        some = keys[:count]
        found = words.about(some, limit=_MOST_OF_TEXTS) if some else []
        while len(found) == _MOST_OF_TEXTS and len(some) > 1:
            # More products read alike than are taken at once.
            some = some[: max(1, len(some) // 4)]
            found = words.about(some, limit=_MOST_OF_TEXTS)
        if len(found) >= CANDIDATES or count >= len(keys):
            break
    pairs = [(worded, near[worded.text_key]) for worded in found]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0].product_id))


def _why(one: Fused, terms: tuple[str, ...]) -> Why:
    return Why(one.words, one.meaning, one.words_share, one.meaning_share, terms)


def get_backend() -> SearchBackend:
    """The backend in use."""
    return HybridBackend()

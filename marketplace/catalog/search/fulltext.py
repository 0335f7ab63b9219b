"""The full-text index on disk: one writer at a time, any number of reading processes.

Each generation of the index is a directory below `DATA_DIR/search`; the file `current` names the one in use,
so that a rebuilt index replaces the old in one step. A reader looks at `current` and at the generation's
`meta.json` before each search and reloads when either changed, so that processes need not talk to each other.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import tantivy
from django.conf import settings
from tantivy import Occur, Order, Query

from agentstore.kit.ids import new_id
from marketplace.catalog.search.backend import Facet, IndexDocument
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.lexicon import (
    SCHEMA_VERSION,
    TOKENIZER,
    analyzer,
    build_schema,
    filter_query,
    text_query,
    to_document,
)

_HEAP: Final = 64_000_000
_FACETS: Final = {"category": "facet_category", "brand": "facet_brand"}
_FACET_VALUES: Final = 20


@dataclass(frozen=True, slots=True)
class LexicalFound:
    """BM25 scores by product id in rank order, the number of all matches, and their facets."""

    scores: dict[int, float]
    total: int
    facets: dict[str, tuple[Facet, ...]]
    empty: bool


class FullTextIndex:
    """The index below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._index: tantivy.Index | None = None
        self._seen: tuple[str, int, int] | None = None
        self._schema = build_schema()
        self._words = analyzer()

    @property
    def _pointer(self) -> Path:
        return self._root / "current"

    def _current(self) -> str | None:
        try:
            name = self._pointer.read_text().strip()
        except FileNotFoundError:
            return None
        return name if name.startswith(f"v{SCHEMA_VERSION}-") and (self._root / name).is_dir() else None

    def exists(self) -> bool:
        """Whether there is an index of this version of the schema."""
        return self._current() is not None

    def _open(self, directory: Path) -> tantivy.Index:
        index = tantivy.Index(self._schema, path=str(directory))
        index.register_tokenizer(TOKENIZER, self._words)
        index.config_reader("manual")
        return index

    def _searcher(self) -> tantivy.Searcher | None:
        name = self._current()
        if name is None:
            return None
        meta = (self._root / name / "meta.json").stat()
        seen = (name, meta.st_mtime_ns, meta.st_ino)
        with self._lock:
            if self._index is None or self._seen is None or self._seen[0] != name:
                self._index = self._open(self._root / name)
                self._index.reload()
            elif self._seen != seen:
                self._index.reload()
            self._seen = seen
            return self._index.searcher()

    def search(self, *, query: str, filters: SearchFilters, offset: int, limit: int) -> LexicalFound:
        """The best matches from `offset` on; an empty query matches everything, ordered by product id."""
        searcher = self._searcher()
        if searcher is None or searcher.num_docs == 0:
            return LexicalFound({}, 0, {}, empty=True)
        conditions = filter_query(schema=self._schema, filters=filters)
        browsing = not query.strip()
        if browsing:
            wanted = Query.all_query()
        else:
            wanted = text_query(schema=self._schema, searcher=searcher, words=self._words, text=query)
        whole = Query.boolean_query([(Occur.Must, wanted), *conditions])
        if browsing:
            result = searcher.search(
                whole, limit=limit, offset=offset, order_by_field="product_id", order=Order.Asc
            )
        else:
            result = searcher.search(whole, limit=limit, offset=offset)
        ids = searcher.fast_field_values("product_id", [address for _, address in result.hits])
        scores = {
            int(number): 0.0 if browsing else float(score)
            for (score, _), number in zip(result.hits, ids, strict=True)
            if number is not None
        }
        return LexicalFound(scores, _count(result), self._facets(searcher, whole), empty=False)

    def _facets(self, searcher: tantivy.Searcher, query: Query) -> dict[str, tuple[Facet, ...]]:
        wanted = {name: {"terms": {"field": field, "size": _FACET_VALUES}} for name, field in _FACETS.items()}
        found = searcher.aggregate(query, wanted)
        return {
            name: tuple(Facet(str(row["key"]), int(row["doc_count"])) for row in found[name]["buckets"])
            for name in _FACETS
        }

    def apply(self, *, upserts: Iterable[IndexDocument], deletes: Iterable[int]) -> int:
        """Delete and replace in one commit; gives how many documents were written.

        The caller holds the writers' lock (`indexing.writer_lock`).
        """
        name = self._current()
        if name is None:
            with self.new_generation() as generation:
                return generation.add(upserts)
        writer = self._open(self._root / name).writer(_HEAP, 1)
        for number in deletes:
            writer.delete_documents_by_term("product_id", number)
        written = 0
        for document in upserts:
            writer.delete_documents_by_term("product_id", document.product_id)
            writer.add_document(to_document(document))
            written += 1
        writer.commit()
        writer.wait_merging_threads()
        return written

    @contextmanager
    def new_generation(self) -> Iterator[Generation]:
        """An empty index to fill; it takes the place of the current one when the block ends well."""
        name = f"v{SCHEMA_VERSION}-{new_id().hex}"
        directory = self._root / name
        directory.mkdir(parents=True)
        try:
            generation = Generation(self._open(directory))
            yield generation
            generation.finish()
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        staged = self._root / f"{name}.pointer"
        staged.write_text(name)
        staged.replace(self._pointer)
        for old in self._root.iterdir():
            # Readers that have an old generation open keep its files until they let go.
            if old.is_dir() and old.name != name:
                shutil.rmtree(old, ignore_errors=True)


class Generation:
    """An index being filled from nothing."""

    def __init__(self, index: tantivy.Index) -> None:
        self._writer = index.writer(_HEAP * 2, min(2, os.cpu_count() or 1))
        self._written = 0

    def add(self, documents: Iterable[IndexDocument]) -> int:
        """Add documents; gives how many there are so far."""
        for document in documents:
            self._writer.add_document(to_document(document))
            self._written += 1
        return self._written

    def finish(self) -> None:
        """Commit and let merges end."""
        self._writer.commit()
        self._writer.wait_merging_threads()


def _count(result: tantivy.SearchResult) -> int:
    # The stubs leave out `count`, which the class has whenever the search counted.
    return int(result.count)  # type: ignore[attr-defined]


@lru_cache(maxsize=4)
def _index_at(root: Path) -> FullTextIndex:
    return FullTextIndex(root)


def get_fulltext() -> FullTextIndex:
    """This process's view of the index below `DATA_DIR`."""
    return _index_at(Path(settings.DATA_DIR) / "search")

"""The full-text index on disk: one writer at a time, any number of reading processes.

Each generation of the index is a directory below `DATA_DIR/search`; the file `v<schema>.current` names the one in
use, so that a rebuilt index replaces the old in one step. A reader looks at it and at the generation's `meta.json`
before each search and reloads when either changed, so that processes need not talk to each other. Processes of the
release before this one keep their own file and generation while a new one is built beside them.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

import tantivy
from django.conf import settings

from agentstore.kit.ids import new_id
from marketplace.catalog.search.backend import IndexDocument
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.lexicon import (
    SCHEMA_VERSION,
    TOKENIZER,
    analyzer,
    build_schema,
    splitter,
    to_document,
)
from marketplace.catalog.search.wordsearch import WordSearch

_HEAP: Final = 64_000_000
# A reader that opens a generation while it is being replaced looks again.
_TRIES: Final = 5
# Seconds for which another release's generation is left alone.
_UPGRADE: Final = 86_400


class FullTextIndex:
    """The index below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._index: tantivy.Index | None = None
        self._seen: tuple[str, int, int] | None = None
        self._schema = build_schema()
        self._stemmer = analyzer()
        self._splitter = splitter()

    @property
    def _pointer(self) -> Path:
        return self._root / f"v{SCHEMA_VERSION}.current"

    def _current(self) -> str | None:
        try:
            name = self._pointer.read_text().strip()
        except FileNotFoundError:
            return None
        return name if (self._root / name).is_dir() else None

    def exists(self) -> bool:
        """Whether there is an index of this version of the schema."""
        return self._current() is not None

    def _open(self, directory: Path, *, create: bool = False) -> tantivy.Index:
        path = str(directory)
        index = tantivy.Index(self._schema, path=path) if create else tantivy.Index.open(path)
        index.register_tokenizer(TOKENIZER, self._stemmer)
        index.config_reader("manual")
        return index

    def _searcher(self) -> tantivy.Searcher | None:
        for attempt in range(_TRIES):
            name = self._current()
            if name is None:
                return None
            try:
                return self._read(name)
            except (OSError, ValueError):
                # Tantivy reports a directory that went away as ValueError.
                if attempt == _TRIES - 1:
                    raise
        return None

    def _read(self, name: str) -> tantivy.Searcher:
        meta = (self._root / name / "meta.json").stat()
        seen = (name, meta.st_mtime_ns, meta.st_ino)
        with self._lock:
            if self._index is None or self._seen is None or self._seen[0] != name:
                index = self._open(self._root / name)
                index.reload()
                self._index = index
            elif self._seen != seen:
                self._index.reload()
            self._seen = seen
            return self._index.searcher()

    def word_search(self, *, text: str, filters: SearchFilters) -> WordSearch | None:
        """A search in the index as it is now; None where nothing was ever indexed."""
        searcher = self._searcher()
        if searcher is None:
            return None
        return WordSearch(
            searcher,
            self._schema,
            text=text,
            filters=filters,
            split=self._splitter.analyze,
            stem=self._stemmer.analyze,
        )

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
            generation = Generation(self._open(directory, create=True))
            yield generation
            generation.finish()
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        staged = self._root / f"{name}.pointer"
        staged.write_text(name)
        staged.replace(self._pointer)
        self._remove_others(name)

    def _remove_others(self, name: str) -> None:
        """Readers that have an old generation open keep its files until they let go."""
        for old in self._root.iterdir():
            mine = old.name.startswith(f"v{SCHEMA_VERSION}-")
            if old.is_dir() and old.name != name and (mine or old.stat().st_mtime < time.time() - _UPGRADE):
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


@lru_cache(maxsize=4)
def _index_at(root: Path) -> FullTextIndex:
    return FullTextIndex(root)


def get_fulltext() -> FullTextIndex:
    """This process's view of the index below `DATA_DIR`."""
    return _index_at(Path(settings.DATA_DIR) / "search")

"""Keeping the index true to PostgreSQL: draining the outbox, building anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from agentstore.kit.errors import Conflict
from agentstore.kit.locks import only_one
from marketplace.catalog.models import IndexOutbox, Product
from marketplace.catalog.search.backend import IndexDocument
from marketplace.catalog.search.documents import read_documents
from marketplace.catalog.search.embedding import await_vectors
from marketplace.catalog.search.fulltext import get_fulltext
from marketplace.catalog.search.hybrid import get_backend

_WRITER: Final = UUID("0c7a1c1e-5d0b-4c0e-9f0a-2b6f1f3f6361")
DRAIN_ROWS: Final = 5_000
_REBUILD_BATCH: Final = 1_000


class IndexBusy(Conflict):
    """Another process is writing the index."""

    code = "index_busy"


@contextmanager
def writer_lock(*, wait: bool) -> Iterator[None]:
    """The right to write the index, one process at a time. Raises IndexBusy when taken, or waits."""
    with only_one(_WRITER, wait=wait) as mine:
        if not mine:
            raise IndexBusy("The search index is being written.", hint="Try again in a moment.")
        yield


def drain_outbox(*, limit: int = DRAIN_ROWS) -> int:
    """Bring the index up to what changed; gives how many outbox rows were dealt with.

    Rows go only after the index's commit: after a crash in between, the same products are written again.
    Raises IndexBusy.
    """
    if not IndexOutbox.objects.exists():
        return 0
    with writer_lock(wait=False):
        rows = list(IndexOutbox.objects.order_by("id").values_list("id", "product_id")[:limit])
        wanted = sorted({product_id for _, product_id in rows})
        documents = read_documents(wanted)
        present = {document.product_id for document in documents}
        gone = [number for number in wanted if number not in present]
        get_backend().apply(upserts=documents, deletes=gone)
        await_vectors(present)
        IndexOutbox.objects.filter(id__in=[row_id for row_id, _ in rows]).delete()
    return len(rows)


def ensure_index() -> None:
    """Build the index where there is none of this release's form, as after an upgrade. Raises IndexBusy."""
    if not get_fulltext().exists() and Product.objects.exists():
        rebuild_index(wait=False)


def rebuild_index(*, wait: bool = True, progress: Callable[[int], None] = lambda done: None) -> int:
    """Build the full-text index anew from PostgreSQL and put it in place in one step; gives its size.

    Changes announced meanwhile stay in the outbox and are applied to the new index afterwards. Raises IndexBusy,
    or waits for the writer before it.
    """
    with writer_lock(wait=wait):
        return get_backend().replace_all(_everything(progress))


def _everything(progress: Callable[[int], None]) -> Iterator[list[IndexDocument]]:
    last = done = 0
    while True:
        ids = list(
            Product.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:_REBUILD_BATCH]
        )
        if not ids:
            return
        documents = read_documents(ids)
        await_vectors(document.product_id for document in documents)
        yield documents
        last, done = ids[-1], done + len(documents)
        progress(done)

"""Keeping the index true to PostgreSQL: draining the outbox, embedding texts, building anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from agentstore.kit.errors import Conflict
from marketplace.catalog.categories import slug_of
from marketplace.catalog.models import IndexOutbox, Product, TextEmbedding
from marketplace.catalog.search.backend import IndexDocument
from marketplace.catalog.search.embedder import get_embedder
from marketplace.catalog.search.fulltext import get_fulltext
from marketplace.catalog.texts import product_text

_LOCK: Final = 0x6361745F  # "cat_": the key of PostgreSQL's advisory lock for the index's writer
DRAIN_ROWS: Final = 5_000
EMBED_TEXTS: Final = 64
_REBUILD_BATCH: Final = 1_000


class IndexBusy(Conflict):
    """Another process is writing the index."""

    code = "index_busy"


@contextmanager
def writer_lock(*, wait: bool) -> Iterator[None]:
    """The right to write the index, one process at a time. Raises IndexBusy when taken, or waits."""
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        else:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                raise IndexBusy("The search index is being written.", hint="Try again in a moment.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def read_documents(ids: Sequence[int]) -> list[IndexDocument]:
    """Products as the index should know them; withheld ones and those without offers are left out."""
    products = (
        Product.objects.filter(pk__in=ids, status=Product.Status.ACTIVE)
        .select_related("category")
        .prefetch_related("variants__offers")
    )
    found = (_document(product) for product in products)
    return [document for document in found if document is not None]


def _document(product: Product) -> IndexDocument | None:
    variants = list(product.variants.all())
    offers = [offer for variant in variants for offer in variant.offers.all() if offer.active]
    if not offers:
        return None
    names = product.category.names if product.category else []
    in_stock = [offer for offer in offers if offer.stock > 0]
    priced = [offer.price_micros for offer in offers]
    facts = [f"{name} {value}" for name, value in product.attributes.items() if isinstance(value, str)]
    titles = [variant.title for variant in variants if variant.title]
    return IndexDocument(
        product_id=product.pk,
        title=product.title,
        brand=product.brand,
        category_names=tuple(names),
        category_slugs=tuple(slug_of(names[: depth + 1]) for depth in range(len(names))),
        body=" ".join([product.description, *facts, *titles]),
        options=frozenset(
            (name, str(value)) for variant in variants for name, value in variant.options.items()
        ),
        merchants=frozenset(str(offer.merchant_id) for offer in offers),
        ships_to=frozenset(place for offer in offers for place in (offer.ships_to or ["*"])),
        currencies=frozenset(offer.currency for offer in offers),
        min_price=min(priced),
        max_price=max(priced),
        in_stock=bool(in_stock),
    )


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
        get_fulltext().apply(upserts=documents, deletes=gone)
        IndexOutbox.objects.filter(id__in=[row_id for row_id, _ in rows]).delete()
    return len(rows)


def embed_missing(*, limit: int = EMBED_TEXTS) -> int:
    """Embed the next texts that have no vector, oldest products first; gives how many. Zero: all done."""
    known = TextEmbedding.objects.filter(text_hash=OuterRef("text_hash"))
    waiting = (
        Product.objects.filter(~Exists(known), status=Product.Status.ACTIVE)
        .select_related("category")
        .order_by("id")[:limit]
    )
    texts: dict[str, str] = {}
    for product in waiting:
        text = text_of(product)
        texts[product.text_hash] = text
    embedder = get_embedder() if texts else None
    if embedder is None:
        return 0
    vectors = embedder.embed(list(texts.values()))
    TextEmbedding.objects.bulk_create(
        [TextEmbedding(text_hash=key, vector=row.tolist()) for key, row in zip(texts, vectors, strict=True)],
        ignore_conflicts=True,
    )
    return len(texts)


def text_of(product: Product) -> str:
    """The text of a product that is embedded."""
    names = product.category.names if product.category else []
    return product_text(
        title=product.title, brand=product.brand, category=names, description=product.description
    )


def rebuild_index(*, progress: Callable[[int], None] = lambda done: None) -> int:
    """Build the full-text index anew from PostgreSQL and put it in place in one step; gives its size.

    Changes announced meanwhile stay in the outbox and are applied to the new index afterwards.
    """
    with writer_lock(wait=True), get_fulltext().new_generation() as generation:
        last, size = 0, 0
        while True:
            ids = list(
                Product.objects.filter(pk__gt=last)
                .order_by("pk")
                .values_list("pk", flat=True)[:_REBUILD_BATCH]
            )
            if not ids:
                break
            last = ids[-1]
            size = generation.add(read_documents(ids))
            progress(size)
    return size


@transaction.atomic
def forget_stale_vectors() -> int:
    """Delete vectors of texts that no product has any more; gives how many."""
    used = Product.objects.filter(text_hash=OuterRef("text_hash"))
    deleted, _ = TextEmbedding.objects.filter(~Exists(used)).delete()
    return deleted

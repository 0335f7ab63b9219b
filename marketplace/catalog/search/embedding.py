"""Vectors of what is described: each distinct text is embedded once, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from marketplace.catalog.models import Product, TextEmbedding, WaitingText
from marketplace.catalog.search.embedder import get_embedder
from marketplace.catalog.texts import product_text, text_key

EMBED_TEXTS: Final = 64

_AWAIT: Final = """
INSERT INTO catalog_waitingtext (text_hash)
SELECT DISTINCT p.text_hash FROM catalog_product p
WHERE p.id = ANY(%s) AND p.status = 'active' AND p.text_hash <> ''
  AND NOT EXISTS (SELECT 1 FROM catalog_textembedding e WHERE e.text_hash = p.text_hash)
ON CONFLICT DO NOTHING
"""


def await_vectors(product_ids: Iterable[int]) -> None:
    """Put the texts of these products that have no vector in line."""
    with connection.cursor() as cursor:
        cursor.execute(_AWAIT, [list(product_ids)])


@transaction.atomic
def embed_waiting(*, limit: int = EMBED_TEXTS) -> int:
    """Embed the next texts in line; gives how many left it. Zero: none is free, or there is no model.

    Two at once share the line. It goes by the hash, so that no merchant's long feed holds up another's.
    """
    embedder = get_embedder()
    if embedder is None:
        return 0
    waiting = list(
        WaitingText.objects.select_for_update(skip_locked=True)
        .order_by("text_hash")
        .values_list("text_hash", flat=True)[:limit]
    )
    if not waiting:
        return 0
    products = (
        Product.objects.filter(text_hash__in=waiting, status=Product.Status.ACTIVE)
        .select_related("category")
        .order_by("text_hash", "id")
        .distinct("text_hash")
    )
    texts = [(product.text_hash, text_of(product)) for product in products]
    if texts:
        _store([key for key, _ in texts], embedder.embed([text for _, text in texts]).tolist())
    WaitingText.objects.filter(text_hash__in=waiting).delete()
    return len(waiting)


def _store(hashes: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
    TextEmbedding.objects.bulk_create(
        [
            TextEmbedding(text_hash=text_hash, key=text_key(text_hash), vector=vector)
            for text_hash, vector in zip(hashes, vectors, strict=True)
        ],
        ignore_conflicts=True,
    )


def text_of(product: Product) -> str:
    """The text of a product that is embedded."""
    names = product.category.names if product.category else []
    return product_text(
        title=product.title, brand=product.brand, category=names, description=product.description
    )


@transaction.atomic
def forget_stale_vectors() -> int:
    """Delete vectors of texts that no product has any more; gives how many."""
    used = Product.objects.filter(text_hash=OuterRef("text_hash"))
    deleted, _ = TextEmbedding.objects.filter(~Exists(used)).delete()
    return deleted

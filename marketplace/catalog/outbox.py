"""The search index hears of changes through rows written in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable

from marketplace.catalog.models import IndexOutbox


def announce_products(product_ids: Iterable[int]) -> None:
    """Say that these products changed; the index's only writer reads them again."""
    IndexOutbox.objects.bulk_create(IndexOutbox(product_id=number) for number in sorted(set(product_ids)))

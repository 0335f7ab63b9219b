"""Which published drafts stand: what imports leave in place."""

from __future__ import annotations

from collections.abc import Collection

from marketplace.catalog.models import DescriptionDraft, Product


def standing_drafts(products: Collection[Product]) -> dict[int, DescriptionDraft]:
    """By product, the published draft that is its description now; one query."""
    published = DescriptionDraft.objects.filter(
        product__in=products, status=DescriptionDraft.Status.PUBLISHED
    )
    described = {product.pk: product.description for product in products}
    return {
        draft.product_id: draft
        for draft in published.order_by("created_at")
        if draft.text == described[draft.product_id]
    }

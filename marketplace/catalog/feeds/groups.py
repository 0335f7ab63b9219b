"""How many variants one product may have: each search hit, page and index document loads them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from django.db.models import Count

from agentstore.identity.models import Organization
from marketplace.catalog.feeds.items import FeedItem
from marketplace.catalog.feeds.refusals import RowRefused
from marketplace.catalog.models import Product, Variant

MOST_VARIANTS: Final = 2_000


def find_crowded(
    merchant: Organization, items: Sequence[tuple[int, FeedItem]], variants: Mapping[str, Variant]
) -> dict[str, RowRefused]:
    """By item id, those that would join a group that is full; `variants` are those of the items that exist.

    The caller holds the merchant's lock, so that no other import fills the group meanwhile.
    """
    groups = {
        group_id: (product_id, held)
        for group_id, product_id, held in Product.objects.filter(
            owner=merchant, group_id__in={item.group_id for _, item in items}
        )
        .values_list("group_id", "pk")
        .annotate(held=Count("variants"))
    }
    joined: Counter[str] = Counter()
    crowded = {}
    for _, item in items:
        product_id, held = groups.get(item.group_id, (None, 0))
        variant = variants.get(item.item_id)
        if variant is not None and variant.product_id == product_id:
            continue
        if held + joined[item.group_id] >= MOST_VARIANTS:
            said = (
                f"The group {item.group_id!r:.60} has {MOST_VARIANTS:,} items, the most one product may have."
            )
            crowded[item.item_id] = RowRefused("too_many_variants", said)
        else:
            joined[item.group_id] += 1
    return crowded

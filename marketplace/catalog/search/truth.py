"""Which candidates pass the filters as PostgreSQL has them this instant. The index only proposes."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import F, QuerySet

from marketplace.catalog.models import Offer, Product
from marketplace.catalog.offers import in_force
from marketplace.catalog.search.documents import slugs_of
from marketplace.catalog.search.filters import SearchFilters, has_traits


def passing(candidates: Collection[int], filters: SearchFilters) -> set[int]:
    """The candidates that pass: one query."""
    if not candidates:
        return set()
    rows = _offers(candidates, filters).values(
        "ships_to",
        product_id=F("variant__product_id"),
        options=F("variant__options"),
        attributes=F("variant__product__attributes"),
        brand=F("variant__product__brand"),
        path=F("variant__product__category__path"),
    )
    brands = {brand.casefold() for brand in filters.brands}
    categories = set(filters.categories)
    return {
        row["product_id"]
        for row in rows
        if (not filters.ships_to or not row["ships_to"] or filters.ships_to in row["ships_to"])
        and (not brands or row["brand"].casefold() in brands)
        and (not categories or not categories.isdisjoint(slugs_of(row["path"] or "")))
        and has_traits(row["options"], filters.options)
        and has_traits(row["attributes"], filters.attributes)
    }


def _offers(candidates: Collection[int], filters: SearchFilters) -> QuerySet[Offer]:
    offers = Offer.objects.filter(
        variant__product_id__in=candidates, variant__product__status=Product.Status.ACTIVE
    )
    if filters.in_stock:
        offers = offers.filter(in_force(), stock__gt=0)
    if filters.currency:
        offers = offers.filter(currency=filters.currency)
    if filters.min_price:
        offers = offers.filter(price_micros__gte=filters.min_price.micros)
    if filters.max_price:
        offers = offers.filter(price_micros__lte=filters.max_price.micros)
    if filters.merchants:
        offers = offers.filter(merchant_id__in=filters.merchants)
    return offers

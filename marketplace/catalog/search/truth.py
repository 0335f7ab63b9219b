"""Which candidates pass the filters as PostgreSQL has them this instant. The index only proposes."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from django.db import connection

from agentstore.kit.clock import now
from marketplace.catalog.search.documents import slugs_of
from marketplace.catalog.search.filters import SearchFilters, has_traits

# The same as `offers.in_force`. As text, since making this statement anew cost more than running it.
_IN_STOCK: Final = (
    "o.active AND (o.valid_from IS NULL OR o.valid_from <= %(at)s)"
    " AND (o.valid_to IS NULL OR o.valid_to > %(at)s) AND o.stock > 0"
)
# The same as `Offer.prices_at`.
_ASKED: Final = (
    "CASE WHEN o.sale_micros IS NULL THEN o.price_micros"
    " WHEN o.sale_from <= %(at)s AND %(at)s < o.sale_to THEN o.sale_micros ELSE o.regular_micros END"
)
_READ: Final = """
SELECT p.id, p.brand, p.attributes, coalesce(c.path, ''), v.options
FROM catalog_product p
JOIN catalog_variant v ON v.product_id = p.id
JOIN catalog_offer o ON o.variant_id = v.id
LEFT JOIN catalog_category c ON c.id = p.category_id
WHERE p.id = ANY(%(candidates)s) AND p.status = 'active'
"""


def passing(candidates: Collection[int], filters: SearchFilters) -> set[int]:
    """The candidates that pass: one query."""
    if not candidates:
        return set()
    conditions, values = _conditions(filters)
    brands = {brand.casefold() for brand in filters.brands}
    categories = set(filters.categories)
    with connection.cursor() as cursor:
        cursor.execute(
            " AND ".join([_READ, *conditions]), {"candidates": list(candidates), "at": now(), **values}
        )
        return {
            product_id
            for product_id, brand, attributes, path, options in cursor.fetchall()
            if (not brands or brand.casefold() in brands)
            and (not categories or not categories.isdisjoint(slugs_of(path)))
            and (not filters.options or has_traits(json.loads(options), filters.options))
            and (not filters.attributes or has_traits(json.loads(attributes), filters.attributes))
        }


def _conditions(filters: SearchFilters) -> tuple[list[str], dict[str, Any]]:
    """SQL conditions on the offer `o` and the values they take."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if filters.in_stock:
        conditions.append(_IN_STOCK)
    if filters.currency:
        conditions.append("o.currency = %(currency)s")
        values["currency"] = filters.currency
    if filters.min_price:
        conditions.append(f"{_ASKED} >= %(low)s")
        values["low"] = filters.min_price.micros
    if filters.max_price:
        conditions.append(f"{_ASKED} <= %(high)s")
        values["high"] = filters.max_price.micros
    if filters.merchants:
        conditions.append("o.merchant_id = ANY(%(merchants)s)")
        values["merchants"] = list(filters.merchants)
    if filters.ships_to:
        conditions.append("(o.ships_to = '{}' OR %(place)s = ANY(o.ships_to))")
        values["place"] = filters.ships_to
    return conditions, values

"""Nearest products by meaning: pgvector's HNSW over half-precision vectors, filtered as it scans.

Filters run inside the scan (`hnsw.iterative_scan`), so that a narrow filter still fills its candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connection, transaction

from marketplace.catalog.search.filters import SearchFilters

EF_SEARCH: Final = 200
MOST_SCANNED: Final = 20_000


def nearest_products(*, vector: Sequence[float], filters: SearchFilters, limit: int) -> dict[int, float]:
    """Product ids to cosine similarity (−1..1), the nearest `limit` of those that pass the filters."""
    where, values = _conditions(filters)
    statement = f"""
        SELECT p.id, 1 - (e.vector <=> %(vector)s::halfvec) AS similarity
        FROM catalog_textembedding e JOIN catalog_product p ON p.text_hash = e.text_hash
        WHERE {" AND ".join(where)}
        ORDER BY e.vector <=> %(vector)s::halfvec
        LIMIT %(limit)s
    """  # noqa: S608 (the conditions are literals from below; every value is a parameter)
    text = "[" + ",".join(f"{part:.6f}" for part in vector) + "]"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true),"
            " set_config('hnsw.ef_search', %s, true), set_config('hnsw.max_scan_tuples', %s, true)",
            [str(EF_SEARCH), str(MOST_SCANNED)],
        )
        cursor.execute(statement, {"vector": text, "limit": limit, **values})
        return {int(number): float(similarity) for number, similarity in cursor.fetchall()}


def _conditions(filters: SearchFilters) -> tuple[list[str], dict[str, Any]]:
    """SQL conditions on the product `p` and the values they take."""
    where = ["p.status = 'active'"]
    values: dict[str, Any] = {}
    if filters.brands:
        where.append("lower(p.brand) = ANY(%(brands)s)")
        values["brands"] = [brand.lower() for brand in filters.brands]
    if filters.categories:
        where.append(
            "p.category_id IN (WITH RECURSIVE tree(id) AS ("
            "SELECT id FROM catalog_category WHERE slug = ANY(%(categories)s)"
            " UNION SELECT c.id FROM catalog_category c JOIN tree ON c.parent_id = tree.id)"
            " SELECT id FROM tree)"
        )
        values["categories"] = list(filters.categories)
    offer = ["v.product_id = p.id"]
    if filters.in_stock:
        offer += ["o.active", "o.stock > 0"]
    if filters.currency:
        offer.append("o.currency = %(currency)s")
        values["currency"] = filters.currency
    if filters.min_price:
        offer.append("o.price_micros >= %(min_price)s")
        values["min_price"] = filters.min_price.micros
    if filters.max_price:
        offer.append("o.price_micros <= %(max_price)s")
        values["max_price"] = filters.max_price.micros
    if filters.merchants:
        offer.append("o.merchant_id = ANY(%(merchants)s)")
        values["merchants"] = list(filters.merchants)
    if filters.ships_to:
        offer.append("(o.ships_to = '{}' OR %(ships_to)s = ANY(o.ships_to))")
        values["ships_to"] = filters.ships_to
    for position, (name, accepted) in enumerate(filters.options.items()):
        option = f"lower(option.name) = %(name_{position})s AND lower(option.value) = ANY(%(in_{position})s)"
        # S608: only the position, a number, is put into the text.
        offer.append(
            f"EXISTS (SELECT 1 FROM jsonb_each_text(v.options) option(name, value) WHERE {option})"  # noqa: S608
        )
        values[f"name_{position}"] = name.lower()
        values[f"in_{position}"] = [value.lower() for value in accepted]
    if len(offer) > 1:
        # S608: the conditions are the literals above.
        where.append(
            "EXISTS (SELECT 1 FROM catalog_variant v JOIN catalog_offer o ON o.variant_id = v.id"  # noqa: S608
            f" WHERE {' AND '.join(offer)})"
        )
    return where, values

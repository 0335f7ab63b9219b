"""Products as the index should know them: PostgreSQL gathers variants and offers, one statement a batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from django.db import connection

from marketplace.catalog.search.backend import IndexDocument
from marketplace.catalog.slugs import slugs_along
from marketplace.catalog.texts import text_key

_READ: Final = """
SELECT p.id, p.title, p.brand, p.description, p.attributes, p.text_hash, coalesce(c.path, ''),
       v.titles, v.options, o.merchants, o.currencies, o.places, o.low, o.high, o.in_stock
FROM catalog_product p
LEFT JOIN catalog_category c ON c.id = p.category_id
CROSS JOIN LATERAL (
    SELECT array_agg(v.title ORDER BY v.id) AS titles, jsonb_agg(DISTINCT v.options) AS options
    FROM catalog_variant v WHERE v.product_id = p.id
) v
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT o.merchant_id::text) AS merchants, array_agg(DISTINCT o.currency) AS currencies,
           array_agg(DISTINCT coalesce(place, '*')) AS places, min(o.price_micros) AS low,
           max(o.price_micros) AS high, bool_or(o.stock > 0) AS in_stock
    FROM catalog_variant v JOIN catalog_offer o ON o.variant_id = v.id AND o.active
    LEFT JOIN LATERAL unnest(o.ships_to) place ON true
    WHERE v.product_id = p.id
) o
WHERE p.id = ANY(%s) AND p.status = 'active' AND o.low IS NOT NULL
"""


def read_documents(ids: Sequence[int]) -> list[IndexDocument]:
    """Those of the products that can be found: withheld ones and those without offers are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, [list(ids)])
        return [_document(*row) for row in cursor.fetchall()]


def _document(
    product_id: int,
    title: str,
    brand: str,
    description: str,
    attributes: str,
    text_hash: str,
    path: str,
    titles: list[str],
    options: str,
    merchants: list[str],
    currencies: list[str],
    places: list[str],
    low: int,
    high: int,
    in_stock: bool,
) -> IndexDocument:
    names, slugs = _place(path)
    said = {name: value for name, value in json.loads(attributes).items() if isinstance(value, str)}
    facts = [f"{name} {value}" for name, value in said.items()]
    every: list[dict[str, Any]] = json.loads(options)
    return IndexDocument(
        product_id=product_id,
        text_key=text_key(text_hash) if text_hash else 0,
        title=title,
        brand=brand,
        category_names=names,
        category_slugs=slugs,
        body=" ".join([description, *facts, *filter(None, titles)]),
        options=frozenset((name, str(value)) for chosen in every for name, value in chosen.items()),
        attributes=frozenset(said.items()),
        merchants=frozenset(merchants),
        ships_to=frozenset(places),
        currencies=frozenset(currencies),
        min_price=low,
        max_price=high,
        in_stock=in_stock,
    )


def slugs_of(path: str) -> tuple[str, ...]:
    """Slugs of a category and of all above it, from the root."""
    return _place(path)[1]


@lru_cache(maxsize=4096)
def _place(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and slugs of a category and all above it, from the root."""
    names = tuple(path.split(" > ")) if path else ()
    return names, slugs_along(names)

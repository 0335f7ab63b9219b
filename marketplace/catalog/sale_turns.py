"""Sales that have begun or ended, brought into the columns that filters and sorting go by.

A dated sale is kept beside `price_micros` and `list_price_micros` and decides whenever an offer is read
(`Offer.prices_at`), so that no price is wrong between two rounds of the beat.
"""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

from agentstore.kit.clock import now
from marketplace.catalog.outbox import announce_products

_TURN: Final = """
WITH due AS (
    SELECT id, sale_from <= %(at)s AND %(at)s < sale_to AS on_sale FROM catalog_offer
    WHERE sale_micros IS NOT NULL
    AND price_micros <> CASE WHEN sale_from <= %(at)s AND %(at)s < sale_to THEN sale_micros ELSE regular_micros END
    ORDER BY variant_id LIMIT %(most)s FOR UPDATE
)
UPDATE catalog_offer o SET updated_at = %(at)s,
    price_micros = CASE WHEN on_sale THEN sale_micros ELSE regular_micros END,
    list_price_micros = CASE WHEN on_sale THEN regular_micros END
FROM due WHERE o.id = due.id
RETURNING (SELECT product_id FROM catalog_variant WHERE id = variant_id)
"""
_AT_ONCE: Final = 2_000


@transaction.atomic
def turn_sales() -> int:
    """Bring the columns of offers whose sale has begun or ended up to now; gives how many, a few thousand at most."""
    with connection.cursor() as cursor:
        cursor.execute(_TURN, {"at": now(), "most": _AT_ONCE})
        products = [int(row[0]) for row in cursor.fetchall()]
    announce_products(products)
    return len(products)

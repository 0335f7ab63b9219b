"""The lowest price in the thirty days before a reduction, as Directive 98/6/EC, article 6a (“Omnibus”), asks for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import connection

from agentstore.kit.clock import now
from marketplace.catalog.models import Offer

_OFFERS_AT_ONCE: Final = 5_000
# For an offer `o`: its latest price that was not reduced, the first reduced one after it, with which the reduction
# that is on began, and the price that stood when a stretch before an instant began. All by the index over (offer, at).
_PLAIN: Final = """
LATERAL (
    SELECT id, at FROM catalog_pricepoint WHERE offer_id = o.id AND list_price_micros IS NULL
    ORDER BY at DESC, id DESC LIMIT 1
) plain
"""
_BEGUN: Final = """
LATERAL (
    SELECT id, at FROM catalog_pricepoint WHERE offer_id = o.id AND (at, id) > (plain.at, plain.id)
    ORDER BY at, id LIMIT 1
) begun
"""
_STANDING: Final = """
LATERAL (
    SELECT id, at, price_micros FROM catalog_pricepoint WHERE offer_id = o.id AND at <= {instant} - interval '30 days'
    ORDER BY at DESC, id DESC LIMIT 1
) standing
"""
_LOWS: Final = f"""
SELECT o.id, least(inside.micros, standing.price_micros)
FROM unnest(%(offers)s) o(id) CROSS JOIN {_PLAIN} CROSS JOIN {_BEGUN}
LEFT JOIN {_STANDING.format(instant="begun.at")} ON true
CROSS JOIN LATERAL (
    SELECT min(price_micros) AS micros FROM catalog_pricepoint
    WHERE offer_id = o.id AND at > begun.at - interval '30 days' AND (at, id) < (begun.at, begun.id)
) inside
"""  # noqa: S608  (only the constants above are put in)
_FORGET: Final = f"""
DELETE FROM catalog_pricepoint old USING (
    SELECT o.id AS offer_id, standing.at, standing.id
    FROM catalog_offer o LEFT JOIN {_PLAIN} ON true LEFT JOIN {_BEGUN} ON true
    CROSS JOIN {_STANDING.format(instant="coalesce(begun.at, %(at)s)")}
    WHERE o.id > %(after)s AND o.id <= %(upto)s
) needed
WHERE old.offer_id = needed.offer_id AND (old.at, old.id) < (needed.at, needed.id)
"""  # noqa: S608  (only the constants above are put in)


def read_lows(offer_ids: Collection[int]) -> dict[int, int]:
    """The lowest price asked in the 30 days before the reduction that is on, in micro-units, by offer id; one query.

    A price lowered further during a reduction belongs to it. Offers that are not reduced now, or that asked nothing
    before, are absent.
    """
    if not offer_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LOWS, {"offers": list(offer_ids)})
        return dict(cursor.fetchall())


def forget_old_prices() -> int:
    """Delete what no reduction, of now or later, is compared with; gives how many prices."""
    last = Offer.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    forgotten = 0
    for after in range(0, last, _OFFERS_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(_FORGET, {"after": after, "upto": after + _OFFERS_AT_ONCE, "at": now()})
            forgotten += cursor.rowcount
    return forgotten

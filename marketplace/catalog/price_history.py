"""The lowest price in the thirty days before a reduction, as Directive 98/6/EC, article 6a (“Omnibus”), asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from marketplace.catalog.models import PricePoint

DAYS: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Asked:
    """A price from an instant on, in micro-units; `reduced` when a higher one was shown beside it."""

    at: datetime
    micros: int
    reduced: bool


def low_before_reduction(history: Sequence[Asked]) -> int | None:
    """The lowest price asked in the 30 days before the reduction that is on, in micro-units. Pure.

    `history` is in order of time. A price lowered further during a reduction belongs to it. None when no reduction is
    on or nothing was asked before it.
    """
    first = len(history)
    while first and history[first - 1].reduced:
        first -= 1
    if first == len(history) or not first:
        return None
    window = history[first].at - DAYS
    earlier = history[:first]
    inside = [point.micros for point in earlier if point.at > window]
    standing = [point.micros for point in earlier if point.at <= window][-1:]
    return min(inside + standing)


def read_lows(offer_ids: Collection[int]) -> dict[int, int]:
    """The low by offer id, of offers that are reduced now and had a price before; one query."""
    if not offer_ids:
        return {}
    histories: dict[int, list[Asked]] = defaultdict(list)
    points = PricePoint.objects.filter(offer_id__in=list(offer_ids)).order_by("offer_id", "at", "id")
    for offer_id, at, micros, before in points.values_list(
        "offer_id", "at", "price_micros", "list_price_micros"
    ):
        histories[offer_id].append(Asked(at, micros, before is not None))
    lows = {offer_id: low_before_reduction(history) for offer_id, history in histories.items()}
    return {offer_id: low for offer_id, low in lows.items() if low is not None}

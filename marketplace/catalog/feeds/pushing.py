"""Items, prices and stock that merchants' programs push, a few hundred at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from marketplace.catalog.feeds.columns import canonical_row, tidy
from marketplace.catalog.feeds.fields import set_values
from marketplace.catalog.feeds.intake import start_import
from marketplace.catalog.feeds.items import read_stock
from marketplace.catalog.feeds.prices import PRICE_COLUMNS, read_prices
from marketplace.catalog.feeds.progress import lock_merchant
from marketplace.catalog.feeds.refusals import RowRefused
from marketplace.catalog.feeds.runner import run_import
from marketplace.catalog.models import FeedImport, Offer
from marketplace.catalog.outbox import announce_products

MOST_ITEMS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item that was not taken: its place in the request from 0, and why."""

    index: int
    item_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class OffersOutcome:
    """How many offers changed and were as they are said to be, and what was refused."""

    changed: int
    unchanged: int
    refused: tuple[Refusal, ...]


def _require_few(items: Sequence[Any]) -> None:
    if not 1 <= len(items) <= MOST_ITEMS:
        raise Invalid(
            f"A request has 1 to {MOST_ITEMS} items.", hint="Send more in several requests, or a feed."
        )


def push_items(*, merchant: Organization, items: Sequence[Any], dry_run: bool = False) -> FeedImport:
    """Whole items under a feed's column names, read at once; the import with its report. Raises Invalid.

    While another import of the merchant is under way it waits, and a worker reads it behind that one.
    """
    _require_few(items)
    lines = "".join(f"{json.dumps(item)}\n" for item in items)
    started = start_import(
        merchant=merchant,
        source=ContentFile(lines.encode(), name="pushed.jsonl"),
        by=None,
        via=FeedImport.Via.PUSH,
        dry_run=dry_run,
        enqueue=False,
    )
    return run_import(import_id=started.pk)


@transaction.atomic
def push_offers(*, merchant: Organization, items: Sequence[Any]) -> OffersOutcome:
    """Prices, stock or both of items that the store has, by `id`, under a feed's column names; the rest stays.

    Each is taken or refused by itself. `availability` alone sets stock as in a feed. Raises Invalid.
    """
    _require_few(items)
    lock_merchant(merchant.pk)
    rows = [canonical_row(item) if isinstance(item, dict) else {} for item in items]
    ids = [tidy("id", row.get("id", "")) for row in rows]
    # In the order of the variants, as all who lock several offers go by.
    offers = {
        offer.variant.item_id: offer
        for offer in Offer.objects.select_for_update(of=("self",))
        .select_related("variant")
        .filter(merchant=merchant, variant__owner=merchant, variant__item_id__in=set(ids))
        .order_by("variant_id")
    }
    changed: dict[int, Offer] = {}
    refused: list[Refusal] = []
    unchanged = 0
    for index, (item_id, row) in enumerate(zip(ids, rows, strict=True)):
        try:
            values = _said(row)
            offer = offers.get(item_id)
            if offer is None:
                raise RowRefused("item_unknown", "There is no item with this id; push it whole.")
        except RowRefused as refusal:
            refused.append(Refusal(index, item_id, refusal.code, refusal.message))
            continue
        if set_values(offer, values):
            offer.updated_at = now()
            changed[offer.pk] = offer
        else:
            unchanged += offer.pk not in changed
    Offer.objects.bulk_update(changed.values(), [*PRICE_COLUMNS, "on_hand", "updated_at"], batch_size=500)
    announce_products(offer.variant.product_id for offer in changed.values())
    return OffersOutcome(len(changed), unchanged, tuple(refused))


def _said(row: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if row.get("price"):
        values |= read_prices(row, currency=settings.STORE_CURRENCY, at=now()).columns
    elif row.get("sale_price"):
        raise RowRefused("price_missing", "A sale_price comes with the price.")
    if row.get("availability"):
        values["on_hand"] = read_stock(row)
    elif row.get("quantity"):
        values["on_hand"] = read_stock({**row, "availability": "in_stock"})
    if not values:
        raise RowRefused("nothing_said", "There is neither a price, nor an availability, nor a quantity.")
    return values

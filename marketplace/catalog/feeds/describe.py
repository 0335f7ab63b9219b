"""What an import changed, in words for its merchant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from agentstore.kit.money import Money
from marketplace.catalog.models import Category, FeedItemChange

_LABELS: Final = {
    "product.title": "Title",
    "product.description": "Description",
    "product.brand": "Brand",
    "product.category_id": "Category",
    "product.attributes": "Details",
    "product.photos": "Photographs",
    "product.rating_value": "Rating",
    "product.rating_count": "Ratings",
    "product.min_age": "Age limit",
    "variant.product_id": "Product",
    "variant.sku": "SKU",
    "variant.gtin": "GTIN",
    "variant.title": "Variant",
    "variant.options": "Options",
    "variant.measure": "Content",
    "variant.measure_base": "Compared per",
    "variant.measure_unit": "Unit",
    "offer.price_micros": "Price",
    "offer.list_price_micros": "Price before the sale",
    "offer.regular_micros": "Price outside the sale",
    "offer.sale_micros": "Price in the sale",
    "offer.sale_from": "Sale begins",
    "offer.sale_to": "Sale ends",
    "offer.on_hand": "Stock",
    "offer.ships_to": "Ships to",
    "offer.valid_to": "Ends",
}
_OF_NEW: Final = ("offer.price_micros", "offer.on_hand")
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, before and after, as people read it."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class DescribedChange:
    """An item's change with its fields in words; a new item shows price and stock alone."""

    row: FeedItemChange
    fields: tuple[FieldChange, ...]


def described(changes: Iterable[FeedItemChange]) -> list[DescribedChange]:
    """Changes in words, in one query however many."""
    rows = list(changes)
    wanted = {values.get("product.category_id") for row in rows for values in (row.before, row.after)} - {
        None
    }
    categories = dict(Category.objects.filter(pk__in=wanted).values_list("pk", "path"))
    return [DescribedChange(row, tuple(_fields(row, categories))) for row in rows]


def _fields(row: FeedItemChange, categories: dict[int, str]) -> Iterable[FieldChange]:
    is_new = row.kind == FeedItemChange.Kind.NEW
    for key, label in _LABELS.items():
        if key not in row.after or (is_new and key not in _OF_NEW):
            continue
        before = "" if is_new else _said(key, row.before.get(key), categories)
        yield FieldChange(label, before, _said(key, row.after[key], categories))


def _said(key: str, value: Any, categories: dict[int, str]) -> str:
    if value in (None, "", [], {}):
        return "none"
    if key == "product.category_id":
        return categories.get(value, "another")
    if key.endswith("_micros"):
        return str(Money(int(value), settings.STORE_CURRENCY))
    if isinstance(value, dict):
        value = ", ".join(f"{name} {part}" for name, part in value.items())
    elif isinstance(value, list):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

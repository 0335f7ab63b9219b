"""Column names: what ACP, Google Merchant and their exporters call the same thing.

Sources: the Agentic Commerce Protocol's product feed specification and Google Merchant Center's product data
specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("item_id", "sku_id", "offer_id"),
    "item_group_id": ("group_id", "parent_id"),
    "item_group_title": ("group_title",),
    "title": ("name",),
    "description": (),
    "price": (),
    "sale_price": (),
    "sale_price_effective_date": (),
    "image_link": ("image_url", "image"),
    "additional_image_link": ("additional_image_links", "additional_image_urls"),
    "unit_pricing_measure": (),
    "unit_pricing_base_measure": (),
    "availability": (),
    "quantity": ("inventory", "inventory_quantity", "stock", "sell_on_google_quantity", "stock_quantity"),
    "brand": ("manufacturer",),
    "gtin": ("upc", "ean", "isbn", "barcode"),
    "mpn": (),
    "sku": (),
    "product_category": ("google_product_category", "category", "product_type"),
    "color": ("colour",),
    "size": (),
    "material": (),
    "pattern": (),
    "gender": (),
    "age_group": (),
    "condition": (),
    "dimensions": (),
    "weight": ("shipping_weight", "product_weight"),
    "custom_variant1_category": (),
    "custom_variant1_option": (),
    "custom_variant2_category": (),
    "custom_variant2_option": (),
    "custom_variant3_category": (),
    "custom_variant3_option": (),
    "ships_to": ("ships_to_countries", "shipping_country", "target_countries"),
    "shipping": (),
    "adult": (),
    "age_restriction": ("min_age",),
    "expiration_date": (),
    "rating": ("product_review_rating", "review_rating", "rating_value"),
    "rating_count": ("product_review_count", "review_count"),
}
_CANONICAL: Final = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}
_PUNCTUATION: Final = re.compile(r"[^a-z0-9]+")

REQUIRED: Final = ("id", "title", "price", "availability")
# Kept with the product as they are, for filters and the product's page.
ATTRIBUTES: Final = ("material", "pattern", "gender", "age_group", "condition", "dimensions", "weight", "mpn")

LONGEST_TEXT: Final = 20_000


def tidy(name: str, text: str) -> str:
    """A column's text as it is compared and kept: with single spaces; a description keeps its own."""
    return text.strip() if name == "description" else " ".join(text.split())


def canonical_name(column: str) -> str | None:
    """Our name of a column, None for one that is not read: `"g:Sale Price"` → `"sale_price"`."""
    plain = column.strip().lower().removeprefix("g:")
    return _CANONICAL.get(_PUNCTUATION.sub("_", plain).strip("_"))


def header_names(columns: Iterable[str]) -> list[str | None]:
    """Our names for a header's columns, in order; a name given twice counts where it stands first."""
    seen: set[str] = set()
    names: list[str | None] = []
    for column in columns:
        name = canonical_name(column)
        names.append(None if name in seen else name)
        if name:
            seen.add(name)
    return names


def canonical_row(raw: Mapping[str, Any]) -> dict[str, str]:
    """A JSON object's members under our names, as text; what is not read, null or nested is left out."""
    row: dict[str, str] = {}
    for column, value in raw.items():
        name = canonical_name(str(column))
        if name is None or value is None or name in row:
            continue
        if isinstance(value, bool):
            row[name] = "yes" if value else "no"
        elif isinstance(value, list) and all(isinstance(part, str | int | float) for part in value):
            row[name] = ",".join(str(part) for part in value)
        elif isinstance(value, str | int | float):
            row[name] = str(value)
    return row

"""Which texts of a product come from its merchant, under the names that answers have for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from marketplace.catalog.models import Media, Product, Variant

# Answers name these fields; docs/guides/catalogue-api.md lists them.
NAMES: Final = (
    "title",
    "description",
    "brand",
    "categories",
    "seller",
    "attributes",
    "options",
    "sku",
    "media",
)


def texts_of(product: Product, variants: Iterable[Variant], media: Iterable[Media]) -> dict[str, list[str]]:
    """Distinct texts by field. The product is read with its category and owner."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    found["title"][product.title] = None
    found["description"][product.description] = None
    found["brand"][product.brand] = None
    found["seller"][product.owner.name] = None
    if product.category:
        found["categories"][product.category.path] = None
    for name, value in product.attributes.items():
        found[f"attributes.{name}"[:80]][f"{value}"] = None
    for variant in variants:
        found["sku"][variant.sku] = None
        for name, value in variant.options.items():
            found["options"][f"{name}: {value}"] = None
    for photo in media:
        found["media"][photo.alt] = None
    return {field: kept for field, texts in found.items() if (kept := [text for text in texts if text])}

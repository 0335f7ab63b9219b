"""Products as the index should know them, read from PostgreSQL in three queries a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from marketplace.catalog.categories import slug_of
from marketplace.catalog.models import Offer, Product, Variant
from marketplace.catalog.search.backend import IndexDocument
from marketplace.catalog.texts import text_key


class _Offer(NamedTuple):
    merchant_id: UUID
    price_micros: int
    currency: str
    stock: int
    ships_to: list[str]


def read_documents(ids: Sequence[int]) -> list[IndexDocument]:
    """Those of the products that can be found: withheld ones and those without offers are left out."""
    offers: dict[int, list[_Offer]] = defaultdict(list)
    for product_id, *rest in Offer.objects.filter(variant__product_id__in=ids, active=True).values_list(
        "variant__product_id", "merchant_id", "price_micros", "currency", "stock", "ships_to"
    ):
        offers[product_id].append(_Offer._make(rest))
    variants: dict[int, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for product_id, title, options in (
        Variant.objects.filter(product_id__in=list(offers))
        .order_by("id")
        .values_list("product_id", "title", "options")
    ):
        variants[product_id].append((title, options))
    products = Product.objects.filter(pk__in=list(offers), status=Product.Status.ACTIVE).values_list(
        "id", "title", "brand", "description", "attributes", "text_hash", "category__path"
    )
    return [_document(row, variants[row[0]], offers[row[0]]) for row in products]


def _document(
    row: tuple[Any, ...], variants: list[tuple[str, dict[str, Any]]], offers: list[_Offer]
) -> IndexDocument:
    product_id, title, brand, description, attributes, text_hash, path = row
    names, slugs = _place(path or "")
    said = {str(name): value for name, value in attributes.items() if isinstance(value, str)}
    facts = [f"{name} {value}" for name, value in said.items()]
    return IndexDocument(
        product_id=product_id,
        text_key=text_key(text_hash) if text_hash else 0,
        title=title,
        brand=brand,
        category_names=names,
        category_slugs=slugs,
        body=" ".join([description, *facts, *(name for name, _ in variants if name)]),
        options=frozenset((name, str(value)) for _, options in variants for name, value in options.items()),
        attributes=frozenset(said.items()),
        merchants=frozenset(str(offer.merchant_id) for offer in offers),
        ships_to=frozenset(place for offer in offers for place in (offer.ships_to or ["*"])),
        currencies=frozenset(offer.currency for offer in offers),
        min_price=min(offer.price_micros for offer in offers),
        max_price=max(offer.price_micros for offer in offers),
        in_stock=any(offer.stock > 0 for offer in offers),
    )


def slugs_of(path: str) -> tuple[str, ...]:
    """Slugs of a category and of all above it, from the root."""
    return _place(path)[1]


@lru_cache(maxsize=4096)
def _place(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and slugs of a category and all above it, from the root."""
    names = tuple(path.split(" > ")) if path else ()
    return names, tuple(slug_of(names[: depth + 1]) for depth in range(len(names)))

"""Reading products whole from PostgreSQL, offers as they are this instant.

The statements are fixed texts of the columns that are shown: for a page of ten products, having them made from
querysets, and models made of whole rows, took longer than all else.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.catalog.hostile.marks import MARKS_OF, UNMARKED, Marks, marks_from
from marketplace.catalog.hostile.readings import shown
from marketplace.catalog.measures import Measure
from marketplace.catalog.media import photo_url
from marketplace.catalog.models import Product
from marketplace.catalog.price_history import read_lows
from marketplace.catalog.products import OfferView, PhotoView, ProductView, VariantView
from marketplace.catalog.sales import dated_sale
from marketplace.catalog.slugs import slug_of, top_level_slug

_PRODUCTS: Final = """
SELECT p.id, p.owner_id, owner.name, p.title, p.description, p.brand, coalesce(c.path, ''), p.attributes,
    p.rating_value, p.rating_count, p.min_age, p.status
FROM catalog_product p
JOIN identity_organization owner ON owner.id = p.owner_id LEFT JOIN catalog_category c ON c.id = p.category_id
WHERE p.id = ANY(%(ids)s)
"""
_VARIANTS: Final = """
SELECT id, product_id, title, options, sku, gtin, measure, measure_base, measure_unit
FROM catalog_variant WHERE product_id = ANY(%(ids)s) ORDER BY id
"""
_OFFERS: Final = """
SELECT o.id, o.variant_id, o.merchant_id, m.name, o.currency, o.price_micros, o.list_price_micros,
    o.regular_micros, o.sale_micros, o.sale_from, o.sale_to, o.stock, o.ships_to, o.valid_from, o.valid_to, o.active
FROM catalog_variant v JOIN catalog_offer o ON o.variant_id = v.id
JOIN identity_organization m ON m.id = o.merchant_id WHERE v.product_id = ANY(%(ids)s)
"""
_MEDIA: Final = """
SELECT product_id, path, alt, width, height FROM catalog_media WHERE product_id = ANY(%(ids)s) ORDER BY position, id
"""
# One message: each would wait for its turn on a busy machine.
_READ: Final = ";".join([_PRODUCTS, _OFFERS, _VARIANTS, _MEDIA, MARKS_OF])


class _ProductRow(NamedTuple):
    id: int
    owner_id: UUID
    owner_name: str
    title: str
    description: str
    brand: str
    path: str
    attributes: str
    rating_value: Decimal | None
    rating_count: int
    min_age: int
    status: str


class _VariantRow(NamedTuple):
    id: int
    product_id: int
    title: str
    options: str
    sku: str
    gtin: str
    measure: Decimal | None
    measure_base: Decimal | None
    measure_unit: str


class _OfferRow(NamedTuple):
    id: int
    variant_id: int
    merchant_id: UUID
    merchant_name: str
    currency: str
    price_micros: int
    list_price_micros: int | None
    regular_micros: int | None
    sale_micros: int | None
    sale_from: datetime | None
    sale_to: datetime | None
    stock: int
    ships_to: list[str]
    valid_from: datetime | None
    valid_to: datetime | None
    active: bool

    def prices_at(self, at: datetime) -> tuple[int, int | None]:
        """As `Offer.prices_at`, in micro-units."""
        sale = dated_sale(self.regular_micros, self.sale_micros, self.sale_from, self.sale_to)
        return sale.at(at) if sale else (self.price_micros, self.list_price_micros)


def read_products(
    *, ids: Sequence[int], keep: Callable[[VariantView], bool] = lambda variant: True
) -> list[ProductView]:
    """Products in the order of the ids, in a few queries however many; unknown ids are left out.

    `keep` says which variants the caller asked for; those come first within their product.
    """
    at = now()
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"ids": list(ids)})
        rows = list(map(_ProductRow._make, cursor.fetchall()))
        cursor.nextset()
        sold = list(map(_OfferRow._make, cursor.fetchall()))
        cursor.nextset()
        varied = list(map(_VariantRow._make, cursor.fetchall()))
        cursor.nextset()
        seen = cursor.fetchall()
        cursor.nextset()
        marks = marks_from(cursor.fetchall())
    lows = read_lows([offer.id for offer in sold if offer.prices_at(at)[1] is not None])
    offers: dict[int, list[_OfferRow]] = defaultdict(list)
    for offer in sold:
        offers[offer.variant_id].append(offer)
    variants: dict[int, list[VariantView]] = defaultdict(list)
    for variant in varied:
        view = _variant_view(variant, offers[variant.id], at=at, lows=lows)
        variants[variant.product_id].append(view)
    photos: dict[int, list[PhotoView]] = defaultdict(list)
    for product_id, path, alt, width, height in seen:
        photos[product_id].append(PhotoView(photo_url(path), shown(alt), width, height))
    views = {
        row.id: _product_view(
            row,
            variants=variants[row.id],
            photos=photos[row.id],
            keep=keep,
            marks=marks.get(row.id, UNMARKED),
        )
        for row in rows
    }
    return [views[number] for number in ids if number in views]


def _offer_view(offer: _OfferRow, *, at: datetime, low: int | None, measure: Measure | None) -> OfferView:
    asked, before = offer.prices_at(at)
    price = Money(asked, offer.currency)
    list_price = None if before is None else Money(before, offer.currency)
    started = offer.valid_from is None or offer.valid_from <= at
    ended = offer.valid_to is not None and offer.valid_to <= at
    return OfferView(
        offer_id=offer.id,
        merchant_id=offer.merchant_id,
        merchant_name=offer.merchant_name,
        price=price,
        list_price=list_price,
        stock=offer.stock,
        ships_to=tuple(offer.ships_to),
        in_force=offer.active and started and not ended,
        low=Money(low, offer.currency) if list_price and low is not None else None,
        unit_price=measure.unit_price(price) if measure else None,
    )


def _measure(variant: _VariantRow) -> Measure | None:
    if variant.measure is None or variant.measure_base is None:
        return None
    return Measure(variant.measure, variant.measure_base, variant.measure_unit)


def _variant_view(
    variant: _VariantRow, sold: Sequence[_OfferRow], *, at: datetime, lows: Mapping[int, int]
) -> VariantView:
    measure = _measure(variant)
    offers = [_offer_view(offer, at=at, low=lows.get(offer.id), measure=measure) for offer in sold]
    offers.sort(key=lambda offer: (not offer.available, offer.price.micros, offer.offer_id))
    return VariantView(
        variant_id=variant.id,
        title=shown(variant.title),
        options=_shown_values(json.loads(variant.options)),
        sku=shown(variant.sku),
        gtin=variant.gtin,
        offers=tuple(offers),
        measure=measure,
    )


def _product_view(
    product: _ProductRow,
    *,
    variants: list[VariantView],
    photos: list[PhotoView],
    keep: Callable[[VariantView], bool],
    marks: Marks,
) -> ProductView:
    names = product.path.split(" > ") if product.path else []
    return ProductView(
        product_id=product.id,
        owner_id=product.owner_id,
        owner_name=product.owner_name,
        title=shown(product.title),
        description=shown(product.description),
        brand=shown(product.brand),
        category=top_level_slug(names),
        category_slug=slug_of(names),
        category_path=tuple(map(shown, names)),
        attributes=_shown_values(json.loads(product.attributes)),
        rating_value=None if product.rating_value is None else float(product.rating_value),
        rating_count=product.rating_count,
        min_age=product.min_age,
        withheld=product.status == Product.Status.WITHHELD,
        photos=tuple(photos),
        # Stable sort: what fits the caller's filters first, then what can be bought, then the feed's order.
        variants=tuple(sorted(variants, key=lambda variant: (not keep(variant), not variant.available))),
        marks=marks,
    )


def _shown_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {shown(name): shown(value) if isinstance(value, str) else value for name, value in values.items()}

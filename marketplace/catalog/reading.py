"""Reading products whole from PostgreSQL, offers as they are this instant.

The statements are fixed texts: for a page of ten products, having them made from querysets took longer than all else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.catalog.categories import slug_of, top_level_slug
from marketplace.catalog.hostile.marks import UNMARKED, Marks, read_marks
from marketplace.catalog.hostile.readings import shown
from marketplace.catalog.measures import Measure
from marketplace.catalog.media import photo_url
from marketplace.catalog.models import Media, Offer, Product, Variant
from marketplace.catalog.price_history import read_lows
from marketplace.catalog.products import OfferView, PhotoView, ProductView, VariantView

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

    class _Placed(TypedDict):
        owner_name: str
        path: str

    class _Sold(TypedDict):
        merchant_name: str

    ProductRow = WithAnnotations[Product, _Placed]
    OfferRow = WithAnnotations[Offer, _Sold]

_PRODUCTS: Final = """
SELECT p.*, owner.name AS owner_name, coalesce(c.path, '') AS path FROM catalog_product p
JOIN identity_organization owner ON owner.id = p.owner_id LEFT JOIN catalog_category c ON c.id = p.category_id
WHERE p.id = ANY(%s)
"""
_VARIANTS: Final = "SELECT * FROM catalog_variant WHERE product_id = ANY(%s) ORDER BY id"
_OFFERS: Final = """
SELECT o.*, m.name AS merchant_name FROM catalog_variant v JOIN catalog_offer o ON o.variant_id = v.id
JOIN identity_organization m ON m.id = o.merchant_id WHERE v.product_id = ANY(%s)
"""
_MEDIA: Final = "SELECT * FROM catalog_media WHERE product_id = ANY(%s) ORDER BY position, id"


def read_products(
    *, ids: Sequence[int], keep: Callable[[VariantView], bool] = lambda variant: True
) -> list[ProductView]:
    """Products in the order of the ids, in a few queries however many; unknown ids are left out.

    `keep` says which variants the caller asked for; those come first within their product.
    """
    at, wanted = now(), [list(ids)]
    rows = cast("list[ProductRow]", list(Product.objects.raw(_PRODUCTS, wanted)))
    sold = cast("list[OfferRow]", list(Offer.objects.raw(_OFFERS, wanted)))
    lows = read_lows([offer.pk for offer in sold if offer.prices_at(at)[1] is not None])
    offers: dict[int, list[OfferRow]] = defaultdict(list)
    for offer in sold:
        offers[offer.variant_id].append(offer)
    variants: dict[int, list[VariantView]] = defaultdict(list)
    for variant in Variant.objects.raw(_VARIANTS, wanted):
        view = _variant_view(variant, offers[variant.pk], at=at, lows=lows)
        variants[variant.product_id].append(view)
    media: dict[int, list[Media]] = defaultdict(list)
    for photo in Media.objects.raw(_MEDIA, wanted):
        media[photo.product_id].append(photo)
    marks = read_marks(ids=ids)
    views = {
        row.pk: _product_view(
            row,
            variants=variants[row.pk],
            media=media[row.pk],
            keep=keep,
            marks=marks.get(row.pk, UNMARKED),
        )
        for row in rows
    }
    return [views[number] for number in ids if number in views]


def _offer_view(offer: OfferRow, *, at: datetime, low: int | None, measure: Measure | None) -> OfferView:
    price, list_price = offer.prices_at(at)
    started = offer.valid_from is None or offer.valid_from <= at
    ended = offer.valid_to is not None and offer.valid_to <= at
    return OfferView(
        offer_id=offer.pk,
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


def _measure(variant: Variant) -> Measure | None:
    if variant.measure is None or variant.measure_base is None:
        return None
    return Measure(variant.measure, variant.measure_base, variant.measure_unit)


def _variant_view(
    variant: Variant, sold: Iterable[OfferRow], *, at: datetime, lows: Mapping[int, int]
) -> VariantView:
    measure = _measure(variant)
    offers = [_offer_view(offer, at=at, low=lows.get(offer.pk), measure=measure) for offer in sold]
    offers.sort(key=lambda offer: (not offer.available, offer.price.micros, offer.offer_id))
    return VariantView(
        variant_id=variant.pk,
        title=shown(variant.title),
        options=_shown_values(variant.options),
        sku=shown(variant.sku),
        gtin=variant.gtin,
        offers=tuple(offers),
        measure=measure,
    )


def _product_view(
    product: ProductRow,
    *,
    variants: list[VariantView],
    media: Iterable[Media],
    keep: Callable[[VariantView], bool],
    marks: Marks,
) -> ProductView:
    names = product.path.split(" > ") if product.path else []
    return ProductView(
        product_id=product.pk,
        owner_id=product.owner_id,
        owner_name=product.owner_name,
        title=shown(product.title),
        description=shown(product.description),
        brand=shown(product.brand),
        category=top_level_slug(names),
        category_slug=slug_of(names),
        category_path=tuple(map(shown, names)),
        attributes=_shown_values(product.attributes),
        rating_value=None if product.rating_value is None else float(product.rating_value),
        rating_count=product.rating_count,
        min_age=product.min_age,
        withheld=product.status == Product.Status.WITHHELD,
        photos=tuple(
            PhotoView(photo_url(photo), shown(photo.alt), photo.width, photo.height) for photo in media
        ),
        # Stable sort: what fits the caller's filters first, then what can be bought, then the feed's order.
        variants=tuple(sorted(variants, key=lambda variant: (not keep(variant), not variant.available))),
        marks=marks,
    )


def _shown_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {shown(name): shown(value) if isinstance(value, str) else value for name, value in values.items()}

"""Products as they leave the catalogue: read whole from PostgreSQL, offers as they are this instant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch

from agentstore.identity.models import User
from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound
from agentstore.kit.ids import public_id
from agentstore.kit.money import Money
from marketplace.catalog.categories import slug_of, top_level_slug
from marketplace.catalog.measures import Measure
from marketplace.catalog.media import photo_url
from marketplace.catalog.models import Media, Offer, Product, ProductStatusChange, Variant
from marketplace.catalog.outbox import announce_products
from marketplace.catalog.price_history import read_lows


@dataclass(frozen=True, slots=True)
class PhotoView:
    """A photograph at the store's own address; sizes in pixels."""

    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class OfferView:
    """A merchant's price and stock now. `in_force` is False when switched off or outside its dates.

    `low` is the lowest price in the 30 days before a reduction that is on, None where nothing was asked before.
    `unit_price` is what the variant's base measure costs.
    """

    offer_id: int
    merchant_id: UUID
    merchant_name: str
    price: Money
    list_price: Money | None
    stock: int
    ships_to: tuple[str, ...]
    in_force: bool
    low: Money | None = None
    unit_price: Money | None = None

    @property
    def available(self) -> bool:
        """In force and in stock."""
        return self.in_force and self.stock > 0

    @property
    def public_id(self) -> str:
        """`off_1`"""
        return public_id("off", self.offer_id)

    def ships(self, country: str) -> bool:
        """Whether it ships to a country (ISO 3166-1 alpha-2)."""
        return not self.ships_to or country in self.ships_to


@dataclass(frozen=True, slots=True)
class VariantView:
    """A sellable item with its offers, the best first: available before not, then the cheaper."""

    variant_id: int
    title: str
    options: dict[str, str]
    sku: str
    gtin: str
    offers: tuple[OfferView, ...]
    measure: Measure | None = None

    @property
    def public_id(self) -> str:
        """`var_1`"""
        return public_id("var", self.variant_id)

    @property
    def best(self) -> OfferView | None:
        """The best offer, None when nobody offers it."""
        return self.offers[0] if self.offers else None

    @property
    def available(self) -> bool:
        """Whether any offer can be bought."""
        return self.best is not None and self.best.available


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product, whole. Variants that can be bought come first, in the feed's order."""

    product_id: int
    owner_id: UUID
    owner_name: str
    title: str
    description: str
    brand: str
    category: str
    category_slug: str
    category_path: tuple[str, ...]
    attributes: dict[str, Any]
    rating_value: float | None
    rating_count: int
    min_age: int
    withheld: bool
    photos: tuple[PhotoView, ...]
    variants: tuple[VariantView, ...]

    @property
    def public_id(self) -> str:
        """`prod_1`"""
        return public_id("prod", self.product_id)

    @property
    def offers(self) -> list[OfferView]:
        """The best offer of every variant that has one."""
        return [variant.best for variant in self.variants if variant.best]

    @property
    def cheapest(self) -> OfferView | None:
        """The lowest price that can be paid now; of those that can't, when none can."""
        return min(self.offers, key=lambda offer: (not offer.available, offer.price.micros), default=None)

    @property
    def available(self) -> bool:
        """Whether any variant can be bought."""
        return not self.withheld and any(variant.available for variant in self.variants)


def offer_view(
    offer: Offer, *, at: datetime, low: int | None = None, measure: Measure | None = None
) -> OfferView:
    """An offer read with its merchant; `low` in micro-units, as `price_history.read_lows` gives it."""
    price, list_price = offer.prices_at(at)
    started = offer.valid_from is None or offer.valid_from <= at
    ended = offer.valid_to is not None and offer.valid_to <= at
    return OfferView(
        offer_id=offer.pk,
        merchant_id=offer.merchant_id,
        merchant_name=offer.merchant.name,
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


def _variant_view(variant: Variant, *, at: datetime, lows: dict[int, int]) -> VariantView:
    measure = _measure(variant)
    offers = [
        offer_view(offer, at=at, low=lows.get(offer.pk), measure=measure) for offer in variant.offers.all()
    ]
    offers.sort(key=lambda offer: (not offer.available, offer.price.micros, offer.offer_id))
    return VariantView(
        variant_id=variant.pk,
        title=variant.title,
        options=dict(variant.options),
        sku=variant.sku,
        gtin=variant.gtin,
        offers=tuple(offers),
        measure=measure,
    )


def _product_view(
    product: Product, *, at: datetime, keep: Callable[[VariantView], bool], lows: dict[int, int]
) -> ProductView:
    names = product.category.names if product.category else []
    variants = [_variant_view(variant, at=at, lows=lows) for variant in product.variants.all()]
    # Stable sorts: what fits the caller's filters first, then what can be bought, then the feed's order.
    variants.sort(key=lambda variant: (not keep(variant), not variant.available))
    return ProductView(
        product_id=product.pk,
        owner_id=product.owner_id,
        owner_name=product.owner.name,
        title=product.title,
        description=product.description,
        brand=product.brand,
        category=top_level_slug(names),
        category_slug=slug_of(names),
        category_path=tuple(names),
        attributes=dict(product.attributes),
        rating_value=None if product.rating_value is None else float(product.rating_value),
        rating_count=product.rating_count,
        min_age=product.min_age,
        withheld=product.status == Product.Status.WITHHELD,
        photos=tuple(
            PhotoView(photo_url(media), media.alt, media.width, media.height) for media in product.media.all()
        ),
        variants=tuple(variants),
    )


def read_products(
    *, ids: Sequence[int], keep: Callable[[VariantView], bool] = lambda variant: True
) -> list[ProductView]:
    """Products in the order of the ids, in a few queries however many; unknown ids are left out.

    `keep` says which variants the caller asked for; those come first within their product.
    """
    at = now()
    rows = Product.objects.filter(pk__in=list(ids)).select_related("owner", "category").prefetch_related(
        Prefetch("media", queryset=Media.objects.order_by("position", "id")),
        Prefetch("variants", queryset=Variant.objects.order_by("id")),
        Prefetch("variants__offers", queryset=Offer.objects.select_related("merchant")),
    )  # fmt: skip
    lows = read_lows(
        [
            offer.pk
            for row in rows
            for variant in row.variants.all()
            for offer in variant.offers.all()
            if offer.prices_at(at)[1] is not None
        ]
    )
    views = {row.pk: _product_view(row, at=at, keep=keep, lows=lows) for row in rows}
    return [views[number] for number in ids if number in views]


@transaction.atomic
def _move_product(*, product_id: int, to_status: str, by: User, reason: str) -> Product:
    product = Product.objects.select_for_update().filter(pk=product_id).first()
    if product is None:
        raise NotFound("There is no such product.")
    if product.status != to_status:
        ProductStatusChange.objects.create(
            product=product, from_status=product.status, to_status=to_status, by=by, reason=reason
        )
        product.status, product.updated_at = to_status, now()
        product.save(update_fields=["status", "updated_at"])
        announce_products([product.pk])
    return product


def withhold_product(*, product_id: int, by: User, reason: str) -> Product:
    """Take a product out of search and sale. The caller has checked that `by` is an operator."""
    return _move_product(product_id=product_id, to_status=Product.Status.WITHHELD, by=by, reason=reason)


def restore_product(*, product_id: int, by: User, reason: str) -> Product:
    """Let a withheld product back. The caller has checked that `by` is an operator."""
    return _move_product(product_id=product_id, to_status=Product.Status.ACTIVE, by=by, reason=reason)

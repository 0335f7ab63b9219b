"""Products as they leave the catalogue (`reading.py` reads them), and their withholding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from agentstore.identity.models import User
from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound
from agentstore.kit.ids import public_id
from agentstore.kit.money import Money
from marketplace.catalog.hostile.examining import keep_marked
from marketplace.catalog.hostile.marks import UNMARKED, Marks
from marketplace.catalog.measures import Measure
from marketplace.catalog.models import Product, ProductStatusChange
from marketplace.catalog.outbox import announce_products


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
    """A product, whole. Variants that can be bought come first, in the feed's order.

    Its texts are without characters that cannot be seen; `marks` says which of them are not to be trusted.
    """

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
    marks: Marks = UNMARKED

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


@transaction.atomic
def _move_product(*, product_id: int, to_status: str, by: User, reason: str) -> Product:
    product = Product.objects.select_for_update(no_key=True).filter(pk=product_id).first()
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


@transaction.atomic
def restore_product(*, product_id: int, by: User, reason: str) -> Product:
    """Let a withheld product back. Texts that hid it are marked from then on.

    The caller has checked that `by` is an operator.
    """
    product = _move_product(product_id=product_id, to_status=Product.Status.ACTIVE, by=by, reason=reason)
    keep_marked(product_id=product_id, by=by, reason=reason)
    return product

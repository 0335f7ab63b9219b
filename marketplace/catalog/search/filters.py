"""What a search is narrowed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from agentstore.kit.money import Money
from marketplace.catalog.products import OfferView, ProductView, VariantView
from marketplace.catalog.slugs import slugs_along


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """All given filters must hold; within one, any value does.

    `categories` are slugs (a category includes what lies below it), `brands` names, `options` a variant's options by
    name with accepted values, `attributes` the same of the product; all but slugs in any case. Prices include their
    ends. `ships_to` is an ISO 3166-1 alpha-2 code. `in_stock` leaves out what cannot be bought now.
    """

    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    min_price: Money | None = None
    max_price: Money | None = None
    ships_to: str = ""
    in_stock: bool = True
    merchants: tuple[UUID, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def currency(self) -> str:
        """The currency of the price limits; empty without any."""
        limit = self.min_price or self.max_price
        return limit.currency if limit else ""

    def fits_offer(self, offer: OfferView) -> bool:
        """Whether an offer as it is now passes the filters that concern offers."""
        if self.in_stock and not offer.available:
            return False
        if self.currency and offer.price.currency != self.currency:
            return False
        if self.min_price and offer.price.micros < self.min_price.micros:
            return False
        if self.max_price and offer.price.micros > self.max_price.micros:
            return False
        if self.merchants and offer.merchant_id not in self.merchants:
            return False
        return not self.ships_to or offer.ships(self.ships_to)

    def fits_variant(self, variant: VariantView) -> bool:
        """Whether a variant passes: its options, and at least one of its offers."""
        return has_traits(variant.options, self.options) and any(
            self.fits_offer(offer) for offer in variant.offers
        )

    def fits_product(self, product: ProductView) -> bool:
        """Whether a product as it is now passes all of the filters. `search.truth` asks PostgreSQL the same."""
        if product.withheld:
            return False
        if self.brands and product.brand.casefold() not in {brand.casefold() for brand in self.brands}:
            return False
        if self.categories and set(self.categories).isdisjoint(slugs_along(product.category_path)):
            return False
        return has_traits(product.attributes, self.attributes) and any(
            map(self.fits_variant, product.variants)
        )


def has_traits(have: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether each wanted name has one of its accepted values, in any case."""
    if not wanted:
        return True
    plain = {name.casefold(): str(value).casefold() for name, value in have.items()}
    return all(
        plain.get(name.casefold()) in {value.casefold() for value in accepted}
        for name, accepted in wanted.items()
    )

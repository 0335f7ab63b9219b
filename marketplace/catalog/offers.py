"""Offers as PostgreSQL has them this instant: the only source of a price or a stock that anybody is shown."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from agentstore.identity.models import reference
from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.catalog.models import Offer, Product


@dataclass(frozen=True, slots=True)
class OfferFact:
    """What is true of an offer. `ships_to` holds ISO 3166-1 alpha-2 codes and is empty for everywhere."""

    offer_id: int
    variant_id: int
    product_id: int
    merchant_id: UUID
    merchant_name: str
    title: str
    options: dict[str, str]
    brand: str
    category: str
    price: Money
    list_price: Money | None
    stock: int
    ships_to: tuple[str, ...]
    min_age: int
    active: bool
    withheld: bool
    image_url: str

    @property
    def merchant_ref(self) -> str:
        """How the ledger names the merchant."""
        return reference(self.merchant_id)


def read_offer(*, variant_id: int, offer_id: int | None = None) -> OfferFact | None:
    """The named offer of a variant, or its best: in stock and in force first, then the lowest price.

    None when there is no such variant, no offer for it, or the named offer is of another variant.
    """
    offers = _with_product().filter(variant_id=variant_id)
    if offer_id is not None:
        offers = offers.filter(pk=offer_id)
    facts = [_fact(offer) for offer in offers]
    return min(facts, key=_preference, default=None)


def read_offers(*, offer_ids: Collection[int]) -> dict[int, OfferFact]:
    """The offers by id, in one query for all; ids that do not exist are missing from the answer."""
    return {offer.pk: _fact(offer) for offer in _with_product().filter(pk__in=offer_ids)}


def in_force() -> Q:
    """A filter on offers: active and within their dates."""
    instant = now()
    return (
        Q(active=True)
        & (Q(valid_from__isnull=True) | Q(valid_from__lte=instant))
        & (Q(valid_to__isnull=True) | Q(valid_to__gt=instant))
    )


def _with_product() -> QuerySet[Offer]:
    return Offer.objects.select_related("merchant", "variant__product__category").prefetch_related(
        "variant__product__media"
    )


def _preference(fact: OfferFact) -> tuple[bool, bool, int, int]:
    return (not fact.active, fact.stock <= 0, fact.price.micros, fact.offer_id)


def _fact(offer: Offer) -> OfferFact:
    variant = offer.variant
    product = variant.product
    instant = now()
    started = offer.valid_from is None or offer.valid_from <= instant
    ended = offer.valid_to is not None and offer.valid_to <= instant
    media = next(iter(product.media.all()), None)
    return OfferFact(
        offer_id=offer.pk,
        variant_id=variant.pk,
        product_id=product.pk,
        merchant_id=offer.merchant_id,
        merchant_name=offer.merchant.name,
        title=f"{product.title}, {variant.title}" if variant.title else product.title,
        options=variant.options,
        brand=product.brand,
        category=product.category.slug if product.category else "",
        price=offer.price,
        list_price=None
        if offer.list_price_micros is None
        else Money(offer.list_price_micros, offer.currency),
        stock=offer.stock,
        ships_to=tuple(offer.ships_to),
        min_age=product.min_age,
        active=offer.active and started and not ended,
        withheld=product.status == Product.Status.WITHHELD,
        image_url=f"/{settings.MEDIA_URL.strip('/')}/{media.path}" if media else "",
    )

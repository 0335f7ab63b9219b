"""Offers as PostgreSQL has them this instant, and changes of them by hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet

from agentstore.identity.models import Organization, User, reference
from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid, NotFound
from agentstore.kit.ids import public_id
from agentstore.kit.money import Money
from marketplace.catalog.hostile.readings import shown
from marketplace.catalog.media import photo_url
from marketplace.catalog.models import Media, Offer, OfferChange, Product
from marketplace.catalog.outbox import announce_products
from marketplace.catalog.price_history import read_lows
from marketplace.catalog.slugs import top_level_slug

MOST_STOCK: Final = 1_000_000_000


class InvalidOffer(Invalid):
    """A price or stock that cannot be."""

    code = "invalid_offer"


@dataclass(frozen=True, slots=True)
class OfferFact:
    """What is true of an offer now. It says what is; grounding decides what may be shown.

    `category` is the slug of the top-level category (what fees and rankings go by), `category_path` the names
    from there down. `active` is False for an offer switched off or outside its dates. `ships_to` holds ISO
    3166-1 alpha-2 codes; none means everywhere. `image_url` is the store's own address, or empty. `low` is the lowest
    price in the 30 days before a reduction that is on.
    """

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
    category_path: tuple[str, ...] = field(default=())
    low: Money | None = None

    @property
    def merchant_ref(self) -> str:
        """How the ledger names the merchant."""
        return reference(self.merchant_id)

    @property
    def available(self) -> bool:
        """Whether it could be bought at all: active, not withheld, in stock."""
        return self.active and not self.withheld and self.stock > 0

    @property
    def public_ids(self) -> dict[str, str]:
        """The ids that leave the store, by kind."""
        return {
            "product": public_id("prod", self.product_id),
            "variant": public_id("var", self.variant_id),
            "offer": public_id("off", self.offer_id),
        }


def in_force(at: datetime | None = None) -> Q:
    """A filter on offers: active and within their dates."""
    instant = at or now()
    return (
        Q(active=True)
        & (Q(valid_from__isnull=True) | Q(valid_from__lte=instant))
        & (Q(valid_to__isnull=True) | Q(valid_to__gt=instant))
    )


def _with_all() -> QuerySet[Offer]:
    return Offer.objects.select_related("merchant", "variant__product__category").prefetch_related(
        Prefetch("variant__product__media", queryset=Media.objects.order_by("position", "id"))
    )


def fact(offer: Offer, *, at: datetime, low: int | None = None) -> OfferFact:
    """An offer read with its variant, product and merchant, as a fact."""
    price, list_price = offer.prices_at(at)
    variant, product = offer.variant, offer.variant.product
    names = product.category.names if product.category else []
    photos = list(product.media.all())
    dated = (offer.valid_from is None or offer.valid_from <= at) and (
        offer.valid_to is None or at < offer.valid_to
    )
    return OfferFact(
        offer_id=offer.pk,
        variant_id=variant.pk,
        product_id=product.pk,
        merchant_id=offer.merchant_id,
        merchant_name=offer.merchant.name,
        title=shown(f"{product.title}, {variant.title}" if variant.title else product.title),
        options=dict(variant.options),
        brand=shown(product.brand),
        category=top_level_slug(names),
        price=price,
        list_price=list_price,
        stock=offer.stock,
        ships_to=tuple(offer.ships_to),
        min_age=product.min_age,
        active=offer.active and dated,
        withheld=product.status == Product.Status.WITHHELD,
        image_url=photo_url(photos[0].path) if photos else "",
        category_path=tuple(names),
        low=Money(low, offer.currency) if list_price and low is not None else None,
    )


def _facts(offers: QuerySet[Offer]) -> list[OfferFact]:
    at = now()
    found = list(offers)
    lows = read_lows([offer.pk for offer in found if offer.prices_at(at)[1] is not None])
    return [fact(offer, at=at, low=lows.get(offer.pk)) for offer in found]


def read_offer(*, variant_id: int, offer_id: int | None = None) -> OfferFact | None:
    """The named offer of a variant, or its best: buyable first, then cheapest. None when there is none."""
    offers = _with_all().filter(variant_id=variant_id)
    if offer_id is not None:
        offers = offers.filter(pk=offer_id)
    return min(_facts(offers), key=lambda f: (not f.available, f.price.micros, f.offer_id), default=None)


def read_offers(*, offer_ids: Collection[int]) -> dict[int, OfferFact]:
    """Facts by offer id; ids that do not exist are absent.

    One query, one for the photographs, and one for earlier prices where something is reduced.
    """
    return {fact.offer_id: fact for fact in _facts(_with_all().filter(pk__in=list(offer_ids)))}


@transaction.atomic
def change_offer(
    *,
    offer_id: int,
    merchant: Organization,
    by: User,
    price: Money | None,
    list_price: Money | None,
    stock: int,
    active: bool,
    shown_stock: int | None = None,
    reason: str = "",
) -> Offer:
    """Set an offer's price, stock and switch by hand; leaves a row that says who and why.

    A new price ends a dated sale; None leaves all prices as they are. `stock` is what the merchant has, items in open
    checkouts included; those stay reserved. Where `shown_stock` tells what `stock` is a correction of, the offer's
    moves by the difference, since some may have been sold meanwhile.

    Raises NotFound when the offer is not this merchant's, InvalidOffer for impossible values.
    """
    offer = Offer.objects.select_for_update(of=("self",)).filter(pk=offer_id, merchant=merchant).first()
    if offer is None:
        raise NotFound("There is no such offer.")
    if stock < 0:
        raise InvalidOffer("Stock is not below zero.")
    if price is not None:
        _set_price(offer, price, list_price)
    if shown_stock is not None:
        stock = min(max(0, offer.on_hand + stock - shown_stock), MOST_STOCK)
    offer.on_hand, offer.active, offer.updated_at = stock, active, now()
    offer.save()
    OfferChange.objects.create(
        offer=offer, by=by, reason=reason, price_micros=offer.price_micros,
        list_price_micros=offer.list_price_micros, stock=stock, active=active,
    )  # fmt: skip
    announce_products([offer.variant.product_id])
    return offer


def _set_price(offer: Offer, price: Money, list_price: Money | None) -> None:
    if price.micros <= 0 or price.currency != offer.currency:
        raise InvalidOffer(f"A price is above zero and in {offer.currency}.")
    if list_price is not None and list_price.micros <= price.micros:
        raise InvalidOffer("The list price is above the price.", hint="Leave it empty when there is no sale.")
    offer.price_micros = price.micros
    offer.list_price_micros = list_price.micros if list_price else None
    offer.regular_micros = offer.sale_micros = offer.sale_from = offer.sale_to = None

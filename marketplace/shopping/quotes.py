"""Quotes as a cart uses them: which of a shopper's hold now, and what they make of a price.

A quote is taken with the checkout that opens, in its transaction, and given back when that comes to nothing.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Q

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact
from marketplace.shopping.models import Checkout, Quote, Shopper

# So long a cart says of a negotiated price that it is over.
_REMEMBERED: Final = timedelta(hours=24)


class QuoteGone(Conflict):
    """A negotiated price has expired, or another checkout uses it."""

    code = "quote_gone"


@dataclass(frozen=True, slots=True)
class Part:
    """So many pieces at a price of one: the quote's, or without one the offer's own."""

    quantity: int
    unit: Money
    quote: Quote | None = None

    @property
    def total(self) -> Money:
        """Quantity times price."""
        return self.unit * self.quantity


def split_line(quantity: int, price: Money, quotes: Sequence[Quote]) -> tuple[Part, ...]:
    """What so many pieces cost: as many as it is for at the quote that saves most, the others at the offer's price.

    A quote that is dearer than the offer is now, or for more pieces than there are, or in another currency, is left
    alone. Pure.
    """

    def saved(quote: Quote) -> int:
        return (price.micros - quote.unit_price_micros) * min(quantity, quote.quantity)

    fitting = [
        quote
        for quote in quotes
        if quote.currency == price.currency
        and quote.unit_price_micros < price.micros
        and quote.least_quantity <= quantity
    ]
    if not fitting:
        return (Part(quantity, price),)
    best = max(fitting, key=lambda quote: (saved(quote), quote.made_at))
    taken = min(quantity, best.quantity)
    rest = quantity - taken
    return (Part(taken, best.unit_price, best), *([Part(rest, price)] if rest else []))


@dataclass(frozen=True, slots=True)
class Quotes:
    """A shopper's quotes of one offer: those that hold now, and the last one that no longer does."""

    live: tuple[Quote, ...] = ()
    over: Quote | None = None

    def notice(self, price: Money, quantity: int) -> str:
        """What the shopper has to know of a quote that does not count for so many pieces; empty for nothing."""
        if split_line(quantity, price, self.live)[0].quote is not None:
            return ""
        if any(quote.currency != price.currency for quote in (*self.live, self.over) if quote):
            return ""
        cheaper = [quote for quote in self.live if quote.unit_price < price]
        if cheaper:
            least = min(cheaper, key=lambda quote: quote.least_quantity)
            return f"{least.unit_price} each was negotiated for {least.least_quantity} or more."
        if self.live or self.over is None or self.over.unit_price >= price:
            return ""
        why = "is used" if self.over.checkout_id else "is over"
        return f"The negotiated price of {self.over.unit_price} {why}: {price} each now."


NONE: Final = Quotes()


def quotes_for(shopper: Shopper, offer_ids: Collection[int]) -> dict[int, Quotes]:
    """By offer, the quotes of this shopper's own conversations; one query.

    One that the shopper's open checkout holds counts as live: another checkout takes that one's place.
    """
    at = now()
    rows = Quote.objects.filter(
        Q(expires_at__gt=at - _REMEMBERED), conversation__shopper=shopper, offer_id__in=offer_ids
    ).select_related("checkout")
    live: dict[int, list[Quote]] = defaultdict(list)
    over: dict[int, Quote] = {}
    for quote in rows.order_by("made_at"):
        if _free(quote, shopper) and quote.expires_at > at:
            live[quote.offer_id].append(quote)
        else:
            over[quote.offer_id] = quote
    return {pk: Quotes(tuple(live[pk]), over.get(pk)) for pk in {*live, *over}}


def quotes_of_one(
    conversation_ids: Collection[uuid.UUID], facts: Mapping[int, OfferFact]
) -> dict[tuple[uuid.UUID, int], Quote]:
    """By conversation and offer, the conversation's own quote at which one piece is to be had now; one query."""
    held: dict[tuple[uuid.UUID, int], list[Quote]] = defaultdict(list)
    for quote in Quote.objects.filter(
        conversation__in=conversation_ids, offer__in=facts, checkout=None, expires_at__gt=now()
    ):
        held[quote.conversation_id, quote.offer_id].append(quote)
    best = {key: split_line(1, facts[key[1]].price, quotes)[0].quote for key, quotes in held.items()}
    return {key: quote for key, quote in best.items() if quote is not None}


def _free(quote: Quote, shopper: Shopper) -> bool:
    held = quote.checkout
    return held is None or (held.shopper_id == shopper.pk and held.status == Checkout.Status.OPEN)


def take_quotes(*, checkout: Checkout, quotes: Collection[Quote]) -> None:
    """Let a checkout use these; the caller is in a transaction. Raises QuoteGone when one is not to be had any more."""
    wanted = {quote.pk for quote in quotes}
    if not wanted:
        return
    rows = Quote.objects.select_for_update().filter(pk__in=wanted, checkout=None, expires_at__gt=now())
    had = set(rows.order_by("pk").values_list("pk", flat=True))
    if had != wanted:
        raise QuoteGone(
            "A negotiated price is not to be had any more.", hint="Look your cart through once more."
        )
    Quote.objects.filter(pk__in=wanted).update(checkout=checkout)


def return_quotes(*, checkout: Checkout) -> None:
    """An ended checkout's quotes are free again, until they expire."""
    Quote.objects.filter(checkout=checkout, used_at=None).update(checkout=None)


def use_quotes(*, checkout: Checkout) -> None:
    """The checkout was paid: its quotes are used for good."""
    Quote.objects.filter(checkout=checkout).update(used_at=checkout.paid_at)

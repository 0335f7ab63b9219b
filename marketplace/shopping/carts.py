"""What a shopper is about to buy. Prices and stock are read each time; the cart stores neither."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid, NotFound, Refused
from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact, read_offers
from marketplace.catalog.stock import OutOfStock
from marketplace.shopping.models import Cart, CartLine, Recommendation, Shopper
from marketplace.shopping.quotes import NONE, Part, Quotes, quotes_for, split_line

MOST_OF_ONE = 99


class NotForSale(Refused):
    """The offer cannot be bought: gone, switched off, withheld, or priced in another currency."""

    code = "not_for_sale"


@dataclass(frozen=True, slots=True)
class CartItem:
    """A line beside what is true of its offer now.

    `problem` says why it cannot be bought, `notice` what changed. `parts` are what it costs: at a negotiated price,
    at the offer's own, or some at each; none for an offer that is gone.
    """

    line: CartLine
    fact: OfferFact | None
    problem: str
    notice: str
    parts: tuple[Part, ...] = ()

    @property
    def total(self) -> Money | None:
        """Quantity times the price of now; None for an offer that is gone."""
        return None if self.fact is None else total_of(self.parts, self.fact.price.currency)


@dataclass(frozen=True, slots=True)
class CartView:
    """A cart as it stands at this instant."""

    items: tuple[CartItem, ...]
    total: Money

    @property
    def count(self) -> int:
        """How many items, by quantity."""
        return sum(item.line.quantity for item in self.items)

    @property
    def ready(self) -> bool:
        """Whether it can be checked out: something is in it and nothing stands in the way."""
        return bool(self.items) and not any(item.problem for item in self.items)


def read_cart(shopper: Shopper | None) -> CartView:
    """The shopper's cart with prices and stock as PostgreSQL has them now. Writes nothing."""
    lines = list(CartLine.objects.filter(cart__shopper=shopper)) if shopper else []
    facts = read_offers(offer_ids=[line.offer_id for line in lines]) if lines else {}
    quotes = quotes_for(shopper, facts) if shopper else {}
    items = tuple(_item(line, facts.get(line.offer_id), quotes.get(line.offer_id, NONE)) for line in lines)
    total = Money(
        sum(item.total.micros for item in items if item.total and not item.problem), settings.STORE_CURRENCY
    )
    return CartView(items, total)


def _item(line: CartLine, fact: OfferFact | None, quotes: Quotes) -> CartItem:
    problem = problem_with(fact, line.quantity)
    if fact is None:
        return CartItem(line, fact, problem, "")
    notices = [quotes.notice(fact.price, line.quantity)]
    if fact.price.micros != line.seen_price_micros:
        before = Money(line.seen_price_micros, fact.price.currency)
        way = "up" if fact.price > before else "down"
        notices.append(f"The price went {way} since you added it: {before} before, {fact.price} now.")
    parts = split_line(line.quantity, fact.price, quotes.live)
    return CartItem(line, fact, problem, " ".join(filter(None, notices)), parts)


def total_of(parts: Iterable[Part], currency: str) -> Money:
    """What these parts cost together."""
    return Money(sum(part.total.micros for part in parts), currency)


def problem_with(fact: OfferFact | None, quantity: int) -> str:
    """Why that many of an offer cannot be bought now, in words; empty when they can."""
    if fact is None or not fact.active or fact.withheld:
        return "This is no longer for sale."
    if fact.price.currency != settings.STORE_CURRENCY:
        return f"This store takes {settings.STORE_CURRENCY} only."
    if fact.stock == 0:
        return "This is out of stock."
    return f"Only {fact.stock} left." if fact.stock < quantity else ""


@transaction.atomic
def add_to_cart(
    *, shopper: Shopper, offer_id: int, quantity: int = 1, recommendation_id: uuid.UUID | None = None
) -> CartLine:
    """Add so many of an offer to what is in the cart already; remembers the card that it came from.

    Raises Invalid for a quantity outside 1–99, NotForSale, OutOfStock when there are not as many,
    NotFound for a card that this shopper was never shown.
    """
    cart = lock_cart(shopper)
    line = cart.lines.filter(offer_id=offer_id).first()
    wanted = quantity + (line.quantity if line else 0)
    fact = _require_buyable(offer_id, quantity, wanted)
    card = _card(shopper, recommendation_id, fact) if recommendation_id else None
    if line is None:
        line = CartLine(cart=cart, offer_id=offer_id)
    line.quantity, line.seen_price_micros = wanted, fact.price.micros
    line.recommendation = card or line.recommendation
    line.save()
    return line


@transaction.atomic
def change_quantity(*, shopper: Shopper, line_id: int, quantity: int) -> CartLine:
    """Set how many of a line;

    Takes note of the price of now. Raises Invalid, NotForSale, OutOfStock, NotFound.
    """
    cart = lock_cart(shopper)
    line = _line(cart, line_id)
    fact = _require_buyable(line.offer_id, quantity, quantity)
    line.quantity, line.seen_price_micros = quantity, fact.price.micros
    line.save(update_fields=["quantity", "seen_price_micros"])
    return line


@transaction.atomic
def remove_line(*, shopper: Shopper, line_id: int) -> CartLine:
    """Take a line out; gives it as it was, so that it can be put back. Raises NotFound."""
    line = _line(lock_cart(shopper), line_id)
    CartLine.objects.filter(pk=line.pk).delete()
    return line


@transaction.atomic
def take_out_bought(*, shopper: Shopper, bought: dict[int, int]) -> None:
    """After a payment: take the bought quantities, by offer id, out of the cart;

    What was added since stays.
    """
    cart = lock_cart(shopper)
    for line in cart.lines.filter(offer_id__in=bought):
        left = line.quantity - bought[line.offer_id]
        if left > 0:
            line.quantity = left
            line.save(update_fields=["quantity"])
        else:
            line.delete()


def lock_cart(shopper: Shopper) -> Cart:
    """The shopper's cart, made when there is none, locked until the caller's transaction ends."""
    Cart.objects.bulk_create([Cart(shopper=shopper)], ignore_conflicts=True)
    cart = Cart.objects.select_for_update().get(shopper=shopper)
    cart.updated_at = now()
    cart.save(update_fields=["updated_at"])
    return cart


def _line(cart: Cart, line_id: int) -> CartLine:
    line = cart.lines.filter(pk=line_id).first()
    if line is None:
        raise NotFound("This is not in your cart any more.", hint="Reload the page.")
    return line


def _require_buyable(offer_id: int, quantity: int, wanted: int) -> OfferFact:
    if not 1 <= quantity <= MOST_OF_ONE or wanted > MOST_OF_ONE:
        raise Invalid(f"A quantity is between 1 and {MOST_OF_ONE}.")
    fact = read_offers(offer_ids=[offer_id]).get(offer_id)
    problem = problem_with(fact, wanted)
    if fact is None or not fact.active or fact.withheld or fact.price.currency != settings.STORE_CURRENCY:
        raise NotForSale(problem, hint="Choose another product or merchant.")
    if problem:
        raise OutOfStock(
            problem, hint=f"You can have up to {fact.stock}." if fact.stock else "", left=fact.stock
        )
    return fact


def _card(shopper: Shopper, recommendation_id: uuid.UUID, fact: OfferFact) -> Recommendation:
    card = Recommendation.objects.filter(
        pk=recommendation_id,
        status=Recommendation.Status.SHOWN,
        conversation__shopper=shopper,
        variant_id=fact.variant_id,
    ).first()
    if card is None:
        raise NotFound("There is no such card.", hint="Add the product from its own page.")
    return card

"""From a cart to a payment. Stock is reserved in the transaction that opens a checkout, and bought or released
exactly once.

The processor is spoken to outside of any transaction; what it took is believed from its signed events alone
(marketplace.shopping.settlement).
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction

from agentstore.identity.models import User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, NotFound, Refused
from agentstore.kit.money import Money
from billing.processor.errors import ProcessorRefused, ProcessorUnavailable
from billing.processor.payments import cancel_payment, smallest_payment
from marketplace.catalog.offers import OfferFact, read_offers
from marketplace.catalog.stock import release_stock, reserve_stock
from marketplace.shopping.carts import lock_cart, problem_with, total_of
from marketplace.shopping.models import (
    CartLine,
    Checkout,
    CheckoutStatusChange,
    Order,
    OrderLine,
    OrderStatusChange,
    Shopper,
)
from marketplace.shopping.orders import move_order, new_order_number
from marketplace.shopping.quotes import NONE, Part, Quotes, quotes_for, return_quotes, split_line, take_quotes

logger = structlog.get_logger(__name__)

OPEN_FOR: Final = timedelta(minutes=30)
_EXPIRE_AT_ONCE: Final = 200


class CartChanged(Conflict):
    """Price, stock or lines are no longer what the shopper agreed to."""

    code = "cart_changed"


class DoesNotShip(Refused):
    """A merchant does not send this to that country."""

    code = "not_shippable"


class AgeRestricted(Refused):
    """The shopper is not known to be old enough."""

    code = "age_restricted"


class PaymentTooSmall(Refused):
    """The total is less than a card can be charged."""

    code = "payment_too_small"


class CheckoutClosed(Conflict):
    """The checkout is paid, expired or given up."""

    code = "checkout_closed"


class PaymentUnderWay(Conflict):
    """An earlier checkout's payment has gone through and is being confirmed."""

    code = "payment_under_way"


@dataclass(frozen=True, slots=True)
class _Bought:
    """A line of the cart with its offer now, and what it costs."""

    line: CartLine
    fact: OfferFact
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send it; `country` is ISO 3166-1 alpha-2. Merchants of the order see it, agents never."""

    name: str
    street: str
    city: str
    postal_code: str
    country: str


def checkout_of(user: User, checkout_id: uuid.UUID) -> Checkout:
    """The person's own checkout. Raises NotFound for everybody else's, as for one that never was."""
    checkout = Checkout.objects.filter(pk=checkout_id, shopper__user=user).first()
    if checkout is None:
        raise NotFound("There is no such checkout.", hint="Go to your cart.")
    return checkout


def start_checkout(*, shopper: Shopper, by: User | None, address: Address, agreed_total: Money) -> Checkout:
    """Give up the shopper's earlier open checkout, if any, and open one for the cart as it is.

    Raises PaymentUnderWay when the earlier one was paid a moment ago, and what `open_checkout` raises.
    """
    earlier = Checkout.objects.filter(shopper=shopper, status=Checkout.Status.OPEN).first()
    if earlier is not None and not give_up_checkout(
        checkout_id=earlier.pk, by=by, reason="replaced by a newer checkout"
    ):
        raise PaymentUnderWay(
            "Your last payment is just being confirmed.",
            hint="See your orders in a moment.",
            checkout=str(earlier.pk),
        )
    return open_checkout(shopper=shopper, by=by, address=address, agreed_total=agreed_total)


@transaction.atomic
def open_checkout(
    *,
    shopper: Shopper,
    by: User | None,
    address: Address,
    agreed_total: Money,
    quotes: Mapping[int, Quotes] | None = None,
) -> Checkout:
    """Read prices and stock again, reserve the stock, take the quotes, and make one order per merchant.

    `agreed_total` is what the page showed. `quotes` stand in place of the shopper's own. Raises CartChanged when it is
    not the total of now or the cart is empty, PaymentTooSmall, DoesNotShip, AgeRestricted, OutOfStock, QuoteGone, and
    Conflict when another tab has just opened one.
    """
    cart = lock_cart(shopper)
    lines = list(cart.lines.select_related("recommendation").order_by("offer_id"))
    facts = read_offers(offer_ids=[line.offer_id for line in lines])
    if quotes is None:
        quotes = quotes_for(shopper, facts)
    bought = _require_buyable(lines, facts, quotes, shopper=shopper, country=address.country)
    total = total_of([part for each in bought for part in each.parts], settings.STORE_CURRENCY)
    if not bought or total != agreed_total or total.rounded != total:
        raise CartChanged("Your cart has changed.", hint="Look it through once more.", total=str(total))
    least = smallest_payment(total.currency)
    if total < least:
        raise PaymentTooSmall(f"A card can be charged {least} or more.", hint="Add something to your cart.")
    if Checkout.objects.filter(shopper=shopper, status=Checkout.Status.OPEN).exists():
        raise Conflict("Another checkout of yours has just been opened.", hint="Go on there.")
    at = now()
    checkout = Checkout.objects.create(
        shopper=shopper,
        currency=total.currency,
        total_micros=total.micros,
        opened_at=at,
        expires_at=at + OPEN_FOR,
    )
    # In the order that reserve_stock asks for.
    for each in sorted(bought, key=lambda each: (each.fact.variant_id, each.fact.offer_id)):
        reserve_stock(
            offer_id=each.fact.offer_id,
            quantity=each.line.quantity,
            holder=checkout.ref,
            until=checkout.expires_at,
        )
    take_quotes(
        checkout=checkout, quotes=[part.quote for each in bought for part in each.parts if part.quote]
    )
    CheckoutStatusChange.objects.create(checkout=checkout, to_status=checkout.status, by=by, reason="opened")
    by_merchant: dict[uuid.UUID, list[_Bought]] = defaultdict(list)
    for each in bought:
        by_merchant[each.fact.merchant_id].append(each)
        each.line.seen_price_micros = each.fact.price.micros
    CartLine.objects.bulk_update(lines, ["seen_price_micros"])
    for merchant_id, theirs in by_merchant.items():
        _place_order(checkout, merchant_id, theirs, address=address, by=by)
    return checkout


def _require_buyable(
    lines: list[CartLine],
    facts: dict[int, OfferFact],
    quotes: Mapping[int, Quotes],
    *,
    shopper: Shopper,
    country: str,
) -> list[_Bought]:
    bought = []
    for line in lines:
        fact = facts.get(line.offer_id)
        problem = problem_with(fact, line.quantity)
        if fact is None or problem:
            title = fact.title if fact else "Something in your cart"
            raise CartChanged(f"{title}: {problem}", hint="Change or remove it in your cart.")
        if fact.ships_to and country not in fact.ships_to:
            raise DoesNotShip(
                f"{fact.merchant_name} does not ship {fact.title} to {country}.",
                hint="Remove it, or choose another address.",
            )
        # Only the year of birth is known, so the last possible birthday counts.
        if fact.min_age and (
            shopper.birth_year is None or now().year - shopper.birth_year - 1 < fact.min_age
        ):
            raise AgeRestricted(
                f"{fact.title} is for people of {fact.min_age} and over.",
                hint="Tell us your year of birth under Privacy, or remove it.",
            )
        live = quotes.get(fact.offer_id, NONE).live
        bought.append(_Bought(line, fact, split_line(line.quantity, fact.price, live)))
    return bought


def _place_order(
    checkout: Checkout,
    merchant_id: uuid.UUID,
    bought: list[_Bought],
    *,
    address: Address,
    by: User | None,
) -> None:
    order = Order.objects.create(
        number=new_order_number(),
        checkout=checkout,
        shopper_id=checkout.shopper_id,
        merchant_id=merchant_id,
        currency=checkout.currency,
        total_micros=sum(part.total.micros for each in bought for part in each.parts),
        ship_to=asdict(address),
        placed_at=checkout.opened_at,
    )
    OrderStatusChange.objects.create(order=order, to_status=order.status, by=by, reason="checkout opened")
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            offer_id=each.fact.offer_id,
            title=each.fact.title[:300],
            category=each.fact.category,
            quantity=part.quantity,
            unit_price_micros=part.unit.micros,
            list_price_micros=each.fact.price.micros,
            quote=part.quote,
            recommendation=each.line.recommendation,
        )
        for each in bought
        for part in each.parts
    )


def give_up_checkout(*, checkout_id: uuid.UUID, by: User | None, reason: str) -> bool:
    """Cancel the payment at the processor, then the checkout here, and release its stock.

    False when the payment has gone through: then the checkout stays, for its event to settle it.
    Raises ProcessorUnavailable; nothing has changed then.
    """
    return _end(checkout_id, to=Checkout.Status.CANCELLED, by=by, reason=reason)


def expire_checkouts() -> int:
    """End those whose time is up; gives how many. One that the processor cannot be asked about waits."""
    due = Checkout.objects.filter(status=Checkout.Status.OPEN, expires_at__lte=now())
    ended = 0
    for checkout_id in list(due.values_list("pk", flat=True)[:_EXPIRE_AT_ONCE]):
        try:
            ended += _end(checkout_id, to=Checkout.Status.EXPIRED, by=None, reason="not paid in time")
        except ProcessorUnavailable as away:
            logger.warning("checkout not expired", checkout=str(checkout_id), error=str(away))
    return ended


def _end(checkout_id: uuid.UUID, *, to: str, by: User | None, reason: str) -> bool:
    """The processor first: once a payment cannot succeed any more, its stock is free to go."""
    payment_ref = Checkout.objects.values_list("payment_ref", flat=True).get(pk=checkout_id)
    if payment_ref:
        try:
            cancel_payment(payment_id=payment_ref)
        except ProcessorRefused:
            return False
    close_checkout(checkout_id=checkout_id, to=to, by=by, reason=reason)
    return True


@transaction.atomic
def close_checkout(*, checkout_id: uuid.UUID, to: str, by: User | None, reason: str) -> bool:
    """End an open checkout unpaid, cancel its orders, release its stock: once, whoever comes first."""
    checkout = Checkout.objects.select_for_update().get(pk=checkout_id)
    if checkout.status != Checkout.Status.OPEN:
        return False
    move_checkout(checkout, to=to, by=by, reason=reason)
    for order in checkout.orders.select_for_update():
        move_order(order, to=Order.Status.CANCELLED, by=by, reason=reason)
    release_stock(holder=checkout.ref)
    return_quotes(checkout=checkout)
    return True


def move_checkout(checkout: Checkout, *, to: str, by: User | None, reason: str) -> None:
    """Set a checkout's status and leave the row that says who and why. The caller holds its lock."""
    CheckoutStatusChange.objects.create(
        checkout=checkout, from_status=checkout.status, to_status=to, by=by, reason=reason[:200]
    )
    checkout.status = to
    checkout.save(update_fields=["status", "paid_at"])

"""UCP's checkout operations but for paying: create, read, replace, give up.

A checkout holds no stock and promises no price until it is completed; only then it becomes a checkout of the
store, with an order per merchant.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, NotFound
from marketplace.shopping.models import UcpCheckout
from marketplace.shopping.ucp import settling
from marketplace.shopping.ucp.answers import (
    CHECKOUT,
    Answer,
    Json,
    error_message,
    failure,
    nothing_to_buy,
    with_found,
)
from marketplace.shopping.ucp.callers import Caller
from marketplace.shopping.ucp.carts import find_cart
from marketplace.shopping.ucp.delivery import read_destination
from marketplace.shopping.ucp.discounts import read_codes
from marketplace.shopping.ucp.lines import loaded, price_lines, read_lines, stored
from marketplace.shopping.ucp.people import read_buyer, read_context
from marketplace.shopping.ucp.shown import checkout_object

KEPT_FOR: Final = timedelta(hours=6)
_CHANGEABLE: Final = (UcpCheckout.Status.OPEN, UcpCheckout.Status.ESCALATED)


class SessionClosed(Conflict):
    """The checkout is bought, given up, or being paid for."""

    code = "checkout_closed"


@transaction.atomic
def create_checkout(caller: Caller, request: Json) -> Answer:
    """Make a checkout from `line_items`, or from the cart that `cart_id` names, whose contents go first.

    The same cart again answers with its open checkout. Without a line that can be bought there is none.
    """
    cart = None
    if (cart_id := request.get("cart_id")) is not None:
        try:
            cart = find_cart(caller, str(cart_id))
        except NotFound as unknown:
            return failure(CHECKOUT, error_message("not_found", unknown.message))
        # Two conversions at once: the second finds what the first has made.
        type(cart).objects.select_for_update().get(pk=cart.pk)
        same = cart.checkouts.filter(status__in=_CHANGEABLE, expires_at__gt=now()).first()
        if same is not None:
            return tell(same)
    lines, messages = (loaded(cart.lines), []) if cart else read_lines(request.get("line_items"))
    priced = price_lines(lines)
    if not priced.lines:
        return nothing_to_buy(CHECKOUT, [*messages, *priced.messages])
    method_id, destination = read_destination(request.get("fulfillment"))
    checkout = UcpCheckout.objects.create(
        platform=caller.platform,
        signed=caller.signed,
        cart=cart,
        lines=stored(lines),
        buyer=(cart.buyer if cart else {}) or read_buyer(request.get("buyer")),
        context=(cart.context if cart else {}) or read_context(request.get("context")),
        codes=read_codes(request.get("discounts"), before=cart.codes if cart else ()),
        method_id=method_id,
        destination=destination,
        expires_at=now() + KEPT_FOR,
    )
    checkout.changes.create(to_status=checkout.status, reason="opened")
    return tell(checkout, messages, status=201)


def get_checkout(caller: Caller, request: Json, checkout_id: str) -> Answer:
    """The checkout as it stands, at prices of now while it is open."""
    return _with_own(caller, checkout_id, lambda checkout: tell(settling.refresh(checkout)))


@transaction.atomic
def update_checkout(caller: Caller, request: Json, checkout_id: str) -> Answer:
    """Replace the checkout's contents by the request's. Raises SessionClosed."""

    def replace(checkout: UcpCheckout) -> Answer:
        locked = require_open(checkout)
        lines, messages = read_lines(request.get("line_items"))
        locked.method_id, locked.destination = read_destination(request.get("fulfillment"))
        locked.lines = stored(lines)
        locked.buyer = read_buyer(request.get("buyer"))
        locked.context = read_context(request.get("context"))
        locked.codes = read_codes(request.get("discounts"), before=locked.codes)
        locked.messages = []
        locked.expires_at = now() + KEPT_FOR
        locked.save()
        if locked.status == UcpCheckout.Status.ESCALATED:
            settling.move(locked, to=UcpCheckout.Status.OPEN, reason="changed by the platform")
        return tell(locked, messages)

    return _with_own(caller, checkout_id, replace)


@transaction.atomic
def cancel_checkout(caller: Caller, request: Json, checkout_id: str) -> Answer:
    """Give the checkout up. Raises SessionClosed."""

    def cancel(checkout: UcpCheckout) -> Answer:
        locked = require_open(checkout)
        settling.move(locked, to=UcpCheckout.Status.CANCELED, reason="given up by the platform")
        return Answer(checkout_object(locked))

    return _with_own(caller, checkout_id, cancel)


def tell(checkout: UcpCheckout, messages: list[Json] | None = None, *, status: int = 200) -> Answer:
    """The checkout as an answer. What it comes to and which codes count are kept: no more is charged, and no discount
    left out, without a word.
    """
    shown = checkout_object(checkout, messages)
    total = shown["totals"][-1]["amount"]
    counting = [each["code"] for each in shown.get("discounts", {}).get("applied", ())]
    if checkout.status in _CHANGEABLE and (checkout.told_minor, checkout.applied) != (total, counting):
        checkout.told_minor, checkout.applied = total, counting
        checkout.save(update_fields=["told_minor", "applied"])
    return Answer(shown, status)


def require_open(checkout: UcpCheckout) -> UcpCheckout:
    """The checkout, locked until the caller's transaction ends. Raises SessionClosed."""
    locked = UcpCheckout.objects.select_for_update(of=("self",)).get(pk=checkout.pk)
    if locked.status not in _CHANGEABLE:
        raise SessionClosed(f"This checkout is {locked.get_status_display().lower()}.", hint="Open another.")
    return locked


def find_checkout(caller: Caller, checkout_id: str) -> UcpCheckout:
    """The caller's own checkout; one that came to nothing is gone when its time is up. Raises NotFound."""
    found = caller.own(UcpCheckout.objects.select_related("purchase"), checkout_id)
    if found.expires_at <= now() and found.purchase_id is None:
        raise NotFound(f"The checkout {checkout_id!r:.60} has expired.", hint="Open another.")
    return found


def _with_own(caller: Caller, checkout_id: str, then: Callable[[UcpCheckout], Answer]) -> Answer:
    return with_found(CHECKOUT, lambda: find_checkout(caller, checkout_id), then)

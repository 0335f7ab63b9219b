"""UCP's cart operations. A cart promises nothing: prices and stock are those of each reading."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings

from agentstore.kit.clock import now
from marketplace.shopping.models import UcpCart
from marketplace.shopping.ucp.answers import CART, DISCOUNT, Answer, Json, nothing_to_buy, ucp, with_found
from marketplace.shopping.ucp.callers import Caller
from marketplace.shopping.ucp.discounts import discounts_object, price_owned, read_codes
from marketplace.shopping.ucp.lines import (
    line_objects,
    price_lines,
    read_lines,
    stored,
    title_warnings,
    total_objects,
)
from marketplace.shopping.ucp.negotiation import is_active
from marketplace.shopping.ucp.people import read_buyer, read_context

KEPT_FOR: Final = timedelta(days=7)


def create_cart(caller: Caller, request: Json) -> Answer:
    """Make a cart. Without a single line that can be bought there is none, and the answer says why."""
    lines, messages = read_lines(request.get("line_items"))
    priced = price_lines(lines)
    if not priced.lines:
        return nothing_to_buy(CART, [*messages, *priced.messages])
    cart = UcpCart.objects.create(
        platform=caller.platform,
        signed=caller.signed,
        lines=stored(lines),
        buyer=read_buyer(request.get("buyer")),
        context=read_context(request.get("context")),
        codes=read_codes(request.get("discounts")),
        expires_at=now() + KEPT_FOR,
    )
    return Answer(cart_object(cart, messages), 201)


def get_cart(caller: Caller, request: Json, cart_id: str) -> Answer:
    """The cart at prices of now."""
    return with_found(CART, lambda: find_cart(caller, cart_id), lambda cart: Answer(cart_object(cart)))


def update_cart(caller: Caller, request: Json, cart_id: str) -> Answer:
    """Replace the cart's contents by the request's."""

    def replace(cart: UcpCart) -> Answer:
        lines, messages = read_lines(request.get("line_items"))
        cart.lines = stored(lines)
        cart.buyer = read_buyer(request.get("buyer"))
        cart.context = read_context(request.get("context"))
        cart.codes = read_codes(request.get("discounts"), before=cart.codes)
        cart.expires_at = now() + KEPT_FOR
        cart.save(update_fields=["lines", "buyer", "context", "codes", "expires_at"])
        return Answer(cart_object(cart, messages))

    return with_found(CART, lambda: find_cart(caller, cart_id), replace)


def cancel_cart(caller: Caller, request: Json, cart_id: str) -> Answer:
    """Give the cart up; the answer is the cart as it was."""

    def cancel(cart: UcpCart) -> Answer:
        answer = Answer(cart_object(cart))
        cart.canceled_at = now()
        cart.save(update_fields=["canceled_at"])
        return answer

    return with_found(CART, lambda: find_cart(caller, cart_id), cancel)


def find_cart(caller: Caller, cart_id: str) -> UcpCart:
    """The caller's own cart, neither given up nor expired. Raises NotFound."""
    return caller.own(UcpCart.objects.filter(canceled_at=None, expires_at__gt=now()), cart_id)


def cart_object(cart: UcpCart, messages: list[Json] | None = None) -> Json:
    """The cart as UCP's object."""
    priced = price_owned(cart)
    found: Json = {
        "ucp": ucp(CART, DISCOUNT),
        "id": cart.id,
        "line_items": line_objects(priced),
        "currency": settings.STORE_CURRENCY,
        "totals": total_objects(priced, shipping=False),
        "expires_at": cart.expires_at.isoformat(),
    }
    told = [*(messages or []), *priced.messages, *priced.rejected, *title_warnings(priced)]
    if told:
        found["messages"] = told
    if cart.codes and is_active(DISCOUNT):
        found["discounts"] = discounts_object(cart.codes, priced.applied)
    if cart.buyer:
        found["buyer"] = cart.buyer
    if cart.context:
        found["context"] = cart.context
    return found

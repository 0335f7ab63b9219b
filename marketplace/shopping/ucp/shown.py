"""A checkout as UCP's object."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from django.conf import settings
from django.core.signing import Signer

from agentstore.kit.ids import public_id
from agentstore.kit.money import Money
from marketplace.catalog.ucp.objects import absolute
from marketplace.shopping.models import Order, OrderLine, UcpCheckout
from marketplace.shopping.ucp.answers import CHECKOUT, DISCOUNT, FULFILLMENT, ucp
from marketplace.shopping.ucp.delivery import complete_address, fulfillment_object, missing_parts
from marketplace.shopping.ucp.discounts import applied_of, discounts_object, price_owned
from marketplace.shopping.ucp.lines import (
    line_objects,
    line_totals,
    merchant_totals,
    title_warnings,
    total_objects,
)
from marketplace.shopping.ucp.negotiation import is_active
from marketplace.shopping.ucp.payment import handlers
from marketplace.shopping.ucp.people import claims_not_accepted

Json = dict[str, Any]
_STATUS: Final = {
    UcpCheckout.Status.PAYING: "complete_in_progress",
    UcpCheckout.Status.ESCALATED: "requires_escalation",
    UcpCheckout.Status.COMPLETED: "completed",
    UcpCheckout.Status.CANCELED: "canceled",
}
ORDER_SALT: Final = "marketplace.shopping.ucp.order"


def checkout_object(checkout: UcpCheckout, messages: list[Json] | None = None) -> Json:
    """The checkout now. A bought one shows what was bought, at what it cost; so does one that is being paid, since its
    purchase has taken stock and quotes already, and offers and codes of now are without them.
    """
    bought = checkout.status in (UcpCheckout.Status.PAYING, UcpCheckout.Status.COMPLETED)
    content = _bought(checkout) if bought and checkout.purchase_id else _offered(checkout, messages or [])
    found: Json = {
        "ucp": ucp(CHECKOUT, FULFILLMENT, DISCOUNT, handlers=handlers()),
        "id": checkout.id,
        "currency": settings.STORE_CURRENCY,
        "links": [{"type": "privacy_policy", "url": absolute("/privacy/"), "title": "Privacy"}],
        "expires_at": checkout.expires_at.isoformat(),
        **content,
    }
    if is_active(FULFILLMENT):
        found["fulfillment"] = fulfillment_object(
            method_id=checkout.method_id,
            line_ids=[line["id"] for line in found["line_items"]],
            destination=checkout.destination,
        )
    if checkout.buyer:
        found["buyer"] = checkout.buyer
    if checkout.context:
        found["context"] = checkout.context
    return found


def _offered(checkout: UcpCheckout, messages: list[Json]) -> Json:
    priced = price_owned(checkout)
    told = [*messages, *priced.messages, *priced.rejected, *title_warnings(priced)]
    told += [*claims_not_accepted(checkout.context), *checkout.messages]
    found: Json = {
        "line_items": line_objects(priced),
        "totals": total_objects(priced, shipping=True),
        "status": _STATUS.get(UcpCheckout.Status(checkout.status), "incomplete"),
    }
    if checkout.codes and is_active(DISCOUNT):
        found["discounts"] = discounts_object(checkout.codes, priced.applied)
    if checkout.status == UcpCheckout.Status.OPEN:
        missing = missing_parts(complete_address(checkout.destination, billing={}, buyer=checkout.buyer))
        told += [_missing(name) for name in missing]
        if not missing and priced.lines:
            found["status"] = "ready_for_complete"
    if checkout.status in (UcpCheckout.Status.OPEN, UcpCheckout.Status.ESCALATED):
        found["continue_url"] = absolute(f"/ucp/continue/{checkout.id}/")
    if told:
        found["messages"] = told
    return found


def _missing(name: str) -> Json:
    return {
        "type": "error",
        "code": "field_required",
        "severity": "recoverable",
        "path": f"$.fulfillment.methods[0].destinations[0].{name}",
        "content": f"The destination lacks its {name.replace('_', ' ')}.",
    }


def _bought(checkout: UcpCheckout) -> Json:
    orders = list(
        Order.objects.filter(checkout=checkout.purchase)
        .select_related("merchant")
        .prefetch_related("lines__quote")
        .order_by("pk")
    )
    lines = [(order, line) for order in orders for line in order.lines.all()]
    applied = applied_of(checkout.codes, [line for _, line in lines], settings.STORE_CURRENCY)
    before: Counter[str] = Counter()
    for order in orders:
        before[order.merchant.name] += order.total.minor + _saved(order)
    confirmations = [order_confirmation(order) for order in orders]
    discounts = discounts_object(checkout.codes, applied)
    # One checkout of several merchants' goods is an order for each; before it is paid there is none.
    placed = {"order": confirmations[0], "orders": confirmations}
    return {
        "status": _STATUS[UcpCheckout.Status(checkout.status)],
        "line_items": [_bought_line(order, line) for order, line in lines],
        "totals": merchant_totals(before, off=sum(map(_saved, orders)), shipping=True),
        **({"discounts": discounts} if checkout.codes and is_active(DISCOUNT) else {}),
        **(placed if checkout.status == UcpCheckout.Status.COMPLETED else {}),
    }


def _bought_line(order: Order, line: OrderLine) -> Json:
    return {**order_line(order, line), "quantity": line.quantity, "seller": {"name": order.merchant.name}}


def _saved(order: Order) -> int:
    """What negotiation took off an order, in minor units as its lines show it."""
    return sum(Money(line.saved_micros, order.currency).minor for line in order.lines.all())


def order_totals(order: Order) -> list[Json]:
    """Totals of one order."""
    off = _saved(order)
    return merchant_totals({order.merchant.name: order.total.minor + off}, off=off, shipping=True)


def order_line(order: Order, line: OrderLine) -> Json:
    """What checkouts and orders say alike of a bought line: the offer's price then, and what was taken off."""
    off = Money(line.saved_micros, order.currency).minor
    amount = Money(line.total_micros, order.currency).minor + off
    price = Money(line.list_price_micros or line.unit_price_micros, order.currency).minor
    return {
        "id": f"line_{line.pk}",
        "item": {"id": public_id("off", line.offer_id), "title": line.title, "price": price},
        "totals": line_totals(amount, off),
    }


def order_confirmation(order: Order) -> Json:
    """An order as a completed checkout names it."""
    return {
        "id": str(order.pk),
        "label": order.number,
        "permalink_url": permalink(order),
        "merchant": order.merchant.name,
    }


def permalink(order: Order) -> str:
    """A page about the order for whoever has its address; it tells no name and no address."""
    token = Signer(salt=ORDER_SALT).sign(str(order.pk))
    return absolute(f"/ucp/orders/{token}/view/")

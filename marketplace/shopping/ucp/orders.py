"""UCP's order: what one merchant owes, as it stands now. Unsigned callers are told no name and no street."""

from __future__ import annotations

import uuid
from collections import defaultdict

from django.db.models import Prefetch, QuerySet

from agentstore.kit.errors import NotFound
from agentstore.kit.money import Money
from marketplace.shopping.models import Order, OrderDispute, Refund, UcpCheckout
from marketplace.shopping.ucp.answers import ORDER, Answer, Json, ucp, with_found
from marketplace.shopping.ucp.callers import Caller
from marketplace.shopping.ucp.shown import order_line, order_totals, permalink

_ADJUSTMENT = {Refund.Status.DONE: "completed", Refund.Status.FAILED: "failed"}
# As the shopper asked for it: one that is won for the store came to nothing.
_DISPUTED = {OrderDispute.Status.LOST: "completed", OrderDispute.Status.WON: "failed"}


def get_order(caller: Caller, request: Json, order_id: str) -> Answer:
    """The whole order, if its checkout is the caller's own."""
    return with_found(
        ORDER,
        lambda: _find(caller, order_id),
        lambda order: Answer(order_object(order, private=caller.signed)),
    )


def _find(caller: Caller, order_id: str) -> Order:
    try:
        number = uuid.UUID(order_id)
    except ValueError as broken:
        raise NotFound(f"There is no order {order_id!r:.60}.") from broken
    found = _whole().exclude(status=Order.Status.PENDING).filter(pk=number).first()
    # A purchase without a platform's checkout is a person's own: no platform reads it.
    made = UcpCheckout.objects.filter(purchase_id=found.checkout_id).first() if found else None
    if found is None or made is None:
        raise NotFound(f"There is no order {order_id!r:.60}.")
    caller.own(UcpCheckout.objects.all(), made.pk)
    return found


def load_order(order_id: uuid.UUID) -> Order:
    """An order with all that order_object reads."""
    return _whole().get(pk=order_id)


def _whole() -> QuerySet[Order]:
    refunds = Refund.objects.exclude(status=Refund.Status.DECLINED).prefetch_related("lines")
    orders = Order.objects.select_related("merchant", "checkout__ucp")
    return orders.prefetch_related("lines", "disputes", Prefetch("refunds", refunds))


def order_object(order: Order, *, private: bool) -> Json:
    """The order as UCP's object. `private` also tells whom and where it goes to."""
    returned = _returned(order)
    return {
        "ucp": ucp(ORDER),
        "id": str(order.pk),
        "label": order.number,
        "checkout_id": order.checkout.ucp.pk,
        "permalink_url": permalink(order),
        "merchant": order.merchant.name,
        "currency": order.currency,
        "line_items": [
            {
                **order_line(order, line),
                "quantity": {
                    "original": line.quantity,
                    "total": line.quantity - returned[line.pk],
                    "fulfilled": 0,
                },
                "status": "removed" if returned[line.pk] >= line.quantity else "processing",
            }
            for line in order.lines.all()
        ],
        "totals": order_totals(order),
        "fulfillment": {"expectations": [_expectation(order, private=private)], "events": []},
        "adjustments": [
            *(_adjustment(refund) for refund in order.refunds.all()),
            *(_disputed(dispute, order) for dispute in order.disputes.all()),
        ],
    }


def _expectation(order: Order, *, private: bool) -> Json:
    ship_to = order.ship_to
    destination = {"address_country": ship_to.get("country", "")}
    if private:
        destination |= {
            "last_name": ship_to.get("name", ""),
            "street_address": ship_to.get("street", ""),
            "address_locality": ship_to.get("city", ""),
            "postal_code": ship_to.get("postal_code", ""),
        }
    return {
        "id": "shipment_1",
        "method_type": "shipping",
        "line_items": [{"id": f"line_{line.pk}", "quantity": line.quantity} for line in order.lines.all()],
        "destination": destination,
        "description": f"Sent by {order.merchant.name}",
    }


def _returned(order: Order) -> dict[int, int]:
    """By line id, how many items were paid back."""
    counts: dict[int, int] = defaultdict(int)
    for refund in order.refunds.all():
        if refund.status == Refund.Status.DONE:
            for part in refund.lines.all():
                counts[part.line_id] += part.quantity
    return counts


def _adjustment(refund: Refund) -> Json:
    """A refund: what goes back is negative."""
    return {
        "id": str(refund.pk),
        "type": "refund",
        "occurred_at": (refund.done_at or refund.requested_at).isoformat(),
        "status": _ADJUSTMENT.get(Refund.Status(refund.status), "pending"),
        "line_items": [
            {"id": f"line_{part.line_id}", "quantity": -part.quantity} for part in refund.lines.all()
        ],
        "totals": [{"type": "total", "amount": -Money(refund.amount_micros, refund.order.currency).minor}],
    }


def _disputed(dispute: OrderDispute, order: Order) -> Json:
    """What the shopper's bank takes back, of this order."""
    return {
        "id": f"dispute_{dispute.pk}",
        "type": "dispute",
        "occurred_at": dispute.opened_at.isoformat(),
        "status": _DISPUTED.get(OrderDispute.Status(dispute.status), "pending"),
        "totals": [{"type": "total", "amount": -Money(dispute.amount_micros, order.currency).minor}],
    }

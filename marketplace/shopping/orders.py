"""Orders: finding them for whoever may see them, and moving them from status to status."""

from __future__ import annotations

import secrets
import uuid
from typing import Final

from django.db.models import Prefetch, QuerySet

from agentstore.identity.models import Organization, User
from agentstore.kit.errors import NotFound
from marketplace.shopping.models import Order, OrderLine, OrderStatusChange, UcpOrderEvent
from marketplace.shopping.order_events import note_change

# Crockford's base 32: nothing that a person could misread aloud.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Statuses in which money came in and has not wholly gone back.
REFUNDABLE: Final = frozenset({Order.Status.PAID, Order.Status.PART_REFUNDED})


def new_order_number() -> str:
    """A number for people, 40 random bits: `AS-7K3Q-9F2M`."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return f"AS-{text[:4]}-{text[4:]}"


def move_order(order: Order, *, to: str, by: User | None, reason: str) -> None:
    """Set an order's status and leave the row that says who and why. The caller holds the order's lock."""
    OrderStatusChange.objects.create(
        order=order, from_status=order.status, to_status=to, by=by, reason=reason[:200]
    )
    order.status = to
    order.save(update_fields=["status", "paid_at"])
    if to == Order.Status.PAID:
        note_change(order, UcpOrderEvent.Kind.CREATED)


def orders_of(user: User) -> QuerySet[Order]:
    """A shopper's orders that were paid for, newest first;

    Those still waiting are on their checkout's page.
    """
    return _whole(Order.objects.filter(shopper__user=user)).exclude(status=Order.Status.PENDING)


def order_of(user: User, order_id: uuid.UUID) -> Order:
    """The shopper's own order. Raises NotFound for everybody else's, as for one that never was."""
    return _found(orders_of(user).filter(pk=order_id).first())


def orders_to(merchant: Organization) -> QuerySet[Order]:
    """What a merchant has to send: its paid orders, newest first."""
    unpaid = [Order.Status.PENDING, Order.Status.CANCELLED]
    return _whole(Order.objects.filter(merchant=merchant)).exclude(status__in=unpaid)


def order_to(merchant: Organization, order_id: uuid.UUID) -> Order:
    """The merchant's own order. Raises NotFound."""
    return _found(orders_to(merchant).filter(pk=order_id).first())


def _whole(orders: QuerySet[Order]) -> QuerySet[Order]:
    lines = OrderLine.objects.select_related(
        "attribution__conversation__agent", "attribution__recommendation", "offer__variant__product"
    )
    return orders.select_related("merchant", "shopper__user", "checkout").prefetch_related(
        Prefetch("lines", queryset=lines)
    )


def _found(order: Order | None) -> Order:
    if order is None:
        raise NotFound("There is no such order.", hint="See all your orders.")
    return order

"""Money going back: asked for by the shopper, granted by the merchant or an operator, done when the
processor says so.

Stock is not returned by a refund: whether goods come back, and can be sold again, is the merchant's to know.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog
from celery import current_app
from django.db import transaction
from django.db.models import Sum

from agentstore.identity.models import Membership, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Forbidden, Invalid, NotFound
from agentstore.kit.money import Money
from billing.processor.errors import ProcessorRefused
from billing.processor.payments import refund_payment
from marketplace.shopping.models import (
    Order,
    OrderLine,
    Refund,
    RefundLine,
    RefundStatusChange,
    UcpOrderEvent,
)
from marketplace.shopping.order_events import note_change
from marketplace.shopping.orders import REFUNDABLE

logger = structlog.get_logger(__name__)

REFERENCE: Final = "refund:"
_SEND: Final = "marketplace.shopping.tasks.send_refund"
_OPEN: Final = (Refund.Status.REQUESTED, Refund.Status.GRANTED, Refund.Status.DONE)
_RESEND_AFTER: Final = timedelta(minutes=2)


class NothingToRefund(Conflict):
    """So much of it is not left to refund."""

    code = "nothing_to_refund"


def refundable(order: Order) -> dict[int, int]:
    """By line id, how many items no refund has been asked for, granted or done yet."""
    taken = dict(
        RefundLine.objects.filter(refund__order=order, refund__status__in=_OPEN)
        .values_list("line_id")
        .annotate(Sum("quantity"))
    )
    return {line.pk: line.quantity - taken.get(line.pk, 0) for line in order.lines.all()}


@transaction.atomic
def request_refund(
    *, order_id: uuid.UUID, by: User, reason: str, quantities: Mapping[int, int] | None = None
) -> Refund:
    """Ask for some items (None:

    All that is left) to be refunded. Raises NotFound unless it is `by`'s own order.
    """
    order = _lock_order(order_id)
    if order.shopper.user_id != by.pk:
        raise NotFound("There is no such order.")
    return _new_refund(order, by=by, reason=reason, quantities=quantities, status=Refund.Status.REQUESTED)


@transaction.atomic
def issue_refund(
    *, order_id: uuid.UUID, by: User, reason: str, quantities: Mapping[int, int] | None = None
) -> Refund:
    """Refund without being asked. Raises NotFound unless `by` is of the merchant or an operator."""
    order = _lock_order(order_id)
    _require_grantor(order, by)
    refund = _new_refund(order, by=by, reason=reason, quantities=quantities, status=Refund.Status.GRANTED)
    _send_on_commit(refund)
    return refund


@transaction.atomic
def grant_refund(*, refund_id: uuid.UUID, by: User, reason: str = "") -> Refund:
    """Say yes to a request; twice is once. Raises NotFound, Conflict when it was declined or failed."""
    refund = _lock_refund(refund_id)
    _require_grantor(refund.order, by)
    if refund.status in (Refund.Status.GRANTED, Refund.Status.DONE):
        return refund
    if refund.status != Refund.Status.REQUESTED:
        raise Conflict(f"This request is over: {refund.get_status_display().lower()}.")
    move_refund(refund, to=Refund.Status.GRANTED, by=by, reason=reason)
    _send_on_commit(refund)
    return refund


@transaction.atomic
def decline_refund(*, refund_id: uuid.UUID, by: User, reason: str) -> Refund:
    """Say no to a request, with a reason that the shopper reads. Raises NotFound, Invalid, Conflict."""
    refund = _lock_refund(refund_id)
    _require_grantor(refund.order, by)
    if not reason.strip():
        raise Invalid("Say why: the shopper reads it.")
    if refund.status == Refund.Status.DECLINED:
        return refund
    if refund.status != Refund.Status.REQUESTED:
        raise Conflict(f"This request is over: {refund.get_status_display().lower()}.")
    move_refund(refund, to=Refund.Status.DECLINED, by=by, reason=reason)
    return refund


def refund_whole(*, order: Order, reason: str) -> Refund:
    """Send all of an order's money back on the platform's own account, as when it came too late.

    The caller holds the order's lock, and is in a transaction.
    """
    refund = _new_refund(
        order, by=None, reason=reason, quantities=None, status=Refund.Status.GRANTED, any_status=True
    )
    _send_on_commit(refund)
    return refund


def send_refund(*, refund_id: uuid.UUID) -> None:
    """Ask the processor to pay a granted refund; its event says when it is done. Safe to repeat.

    Outside of any transaction. Raises ProcessorUnavailable, to be tried again.
    """
    refund = Refund.objects.select_related("order__checkout").get(pk=refund_id)
    if refund.status != Refund.Status.GRANTED:
        return
    amount = Money(refund.amount_micros, refund.order.currency)
    try:
        sent = refund_payment(
            payment_id=refund.order.checkout.payment_ref, amount=amount, reference=refund.ref
        )
    except ProcessorRefused as refused:
        logger.error("refund refused by the processor", refund=str(refund_id), error=str(refused))
        fail_refund(refund_id=refund_id, reason=str(refused))
        return
    Refund.objects.filter(pk=refund_id, processor_ref="").update(processor_ref=sent.id)


def resend_refunds() -> int:
    """Enqueue granted refunds that never reached the processor, as when the broker was away; how many."""
    lost = Refund.objects.filter(
        status=Refund.Status.GRANTED,
        processor_ref="",
        status_changes__to_status=Refund.Status.GRANTED,
        status_changes__at__lt=now() - _RESEND_AFTER,
    ).distinct()
    ids = list(lost.values_list("pk", flat=True)[:200])
    for refund_id in ids:
        current_app.send_task(_SEND, args=[str(refund_id)])
    return len(ids)


@transaction.atomic
def fail_refund(*, refund_id: uuid.UUID, reason: str) -> None:
    """The processor could not pay it; the items can be refunded anew."""
    refund = _lock_refund(refund_id)
    if refund.status == Refund.Status.GRANTED:
        move_refund(refund, to=Refund.Status.FAILED, by=None, reason=reason)


def move_refund(refund: Refund, *, to: str, by: User | None, reason: str) -> None:
    """Set a refund's status and leave the row that says who and why. The caller holds its lock."""
    RefundStatusChange.objects.create(
        refund=refund, from_status=refund.status, to_status=to, by=by, reason=reason[:200]
    )
    refund.status = to
    refund.save(update_fields=["status", "done_at"])
    note_change(refund.order, UcpOrderEvent.Kind.REFUND)


def _new_refund(
    order: Order,
    *,
    by: User | None,
    reason: str,
    quantities: Mapping[int, int] | None,
    status: str,
    any_status: bool = False,
) -> Refund:
    if order.status not in REFUNDABLE and not any_status:
        raise NothingToRefund("There is nothing to refund in this order.")
    if not reason.strip():
        raise Invalid("Say why.", hint="One sentence is enough.")
    left = refundable(order)
    wanted = {
        line: quantity for line, quantity in (left if quantities is None else quantities).items() if quantity
    }
    if not wanted or any(quantity < 0 or quantity > left.get(line, 0) for line, quantity in wanted.items()):
        raise NothingToRefund("So many are not left to refund.", hint="Reload the page and choose again.")
    lines = {line.pk: line for line in OrderLine.objects.filter(order=order, pk__in=wanted)}
    refund = Refund.objects.create(
        order=order,
        status=status,
        amount_micros=sum(lines[pk].unit_price_micros * quantity for pk, quantity in wanted.items()),
        reason=reason.strip()[:200],
        by=by,
    )
    RefundLine.objects.bulk_create(
        RefundLine(
            refund=refund,
            line=lines[pk],
            quantity=quantity,
            amount_micros=lines[pk].unit_price_micros * quantity,
        )
        for pk, quantity in wanted.items()
    )
    RefundStatusChange.objects.create(refund=refund, to_status=status, by=by, reason=refund.reason)
    note_change(order, UcpOrderEvent.Kind.REFUND)
    return refund


def _lock_order(order_id: uuid.UUID) -> Order:
    order = (
        Order.objects.select_for_update(of=("self",)).select_related("shopper").filter(pk=order_id).first()
    )
    if order is None:
        raise NotFound("There is no such order.")
    return order


def _lock_refund(refund_id: uuid.UUID) -> Refund:
    refund = (
        Refund.objects.select_for_update(of=("self",)).select_related("order").filter(pk=refund_id).first()
    )
    if refund is None:
        raise NotFound("There is no such refund.")
    return refund


def _require_grantor(order: Order, by: User) -> None:
    """Refunds are the merchant's decision, and the operators'.

    A plain member of the merchant may not spend.
    """
    if by.is_staff:
        return
    membership = Membership.objects.filter(organization_id=order.merchant_id, user=by).first()
    if membership is None:
        raise NotFound("There is no such order.")
    if membership.role not in (Membership.Role.OWNER, Membership.Role.ADMIN):
        raise Forbidden("Your role does not allow refunds.", hint="Ask an owner of the organization.")


def _send_on_commit(refund: Refund) -> None:
    refund_id = str(refund.pk)
    transaction.on_commit(lambda: current_app.send_task(_SEND, args=[refund_id]), robust=True)

"""Payments that a shopper's bank takes back: booked when it happens, borne by the merchants when it is lost."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import Sum

from agentstore.kit.money import Money, half_even
from billing import chargebacks, metering
from billing.models import WebhookEvent
from billing.processor.disputes import ProcessorDispute, retrieve_dispute
from billing.sales import SaleLine
from marketplace.ranking.conversions import reverse_conversion
from marketplace.shopping.models import Checkout, OrderDispute, OrderLine, Refund, RefundLine, UcpOrderEvent
from marketplace.shopping.order_events import note_change


def dispute_now(event_id: int) -> ProcessorDispute | None:
    """How a dispute stands now, whatever its event said then; None for other events. Outside of a transaction."""
    row = WebhookEvent.objects.get(pk=event_id)
    if row.handled_at is not None or not row.type.startswith("charge.dispute."):
        return None
    return retrieve_dispute(dispute_id=str(row.payload["data"]["object"]["id"]))


@transaction.atomic
def settle_dispute(dispute: ProcessorDispute, *, checkout_id: uuid.UUID) -> None:
    """Book what the bank did so far with a paid checkout; twice is once, and the order of the events does not matter.

    Lost, each line bears its part of what was not refunded before; its tax and share go back, and it no longer
    counts for the ranking.
    """
    checkout = Checkout.objects.select_for_update().get(pk=checkout_id)
    won = dispute.status == "won"
    if dispute.withdrawn.micros or won:
        chargebacks.post_withdrawal(dispute_ref=dispute.id, amount=dispute.amount, fee=dispute.fee)
    if won:
        chargebacks.post_won(dispute_ref=dispute.id, amount=dispute.amount)
    if dispute.lost:
        _lose(dispute, checkout)
    if dispute.withdrawn.micros or won or dispute.lost:
        _note_parts(dispute, checkout)


def _note_parts(dispute: ProcessorDispute, checkout: Checkout) -> None:
    """Keep what a dispute is to each order, and have platforms told; its amount is shared out once."""
    status = OrderDispute.Status.WON if dispute.status == "won" else OrderDispute.Status.OPEN
    status = OrderDispute.Status.LOST if dispute.lost else status
    orders = list(checkout.orders.select_for_update().prefetch_related("lines").order_by("pk"))
    kept = [sum(_kept(line) for line in order.lines.all()) for order in orders]
    for order, part in zip(orders, share_out(dispute.amount.micros, kept), strict=True):
        known = OrderDispute.objects.filter(order=order, processor_ref=dispute.id)
        if not part and not known.exists():
            continue  # its money went back before
        noted, new = OrderDispute.objects.get_or_create(
            order=order, processor_ref=dispute.id, defaults={"status": status, "amount_micros": part}
        )
        if new or noted.status != status:
            noted.status = status
            noted.save(update_fields=["status"])
            note_change(order, UcpOrderEvent.Kind.DISPUTE)


def _lose(dispute: ProcessorDispute, checkout: Checkout) -> None:
    lines = list(
        OrderLine.objects.filter(order__checkout=checkout).select_related("order__merchant").order_by("pk")
    )
    parts = share_out(dispute.amount.micros, [_kept(line) for line in lines])
    borne = [
        (line, Money(part, dispute.amount.currency)) for line, part in zip(lines, parts, strict=True) if part
    ]
    chargebacks.post_lost(
        dispute_ref=dispute.id,
        lines=[SaleLine(line.ref, line.order.merchant.ref, part) for line, part in borne],
    )
    for line, part in borne:
        metering.reverse_agent_tax(line_ref=line.ref, refunded=part, refund_ref=f"dispute:{dispute.id}")
        reverse_conversion(line_ref=line.ref, reason=f"disputed ({dispute.id})")


def _kept(line: OrderLine) -> int:
    """What of a line was paid and not refunded, in micro-units."""
    back = RefundLine.objects.filter(line=line, refund__status=Refund.Status.DONE)
    return line.total_micros - (back.aggregate(x=Sum("amount_micros"))["x"] or 0)


def share_out(amount: int, weights: list[int]) -> list[int]:
    """An amount over lines by what each is worth, exactly: cumulative shares, rounded half-even. Pure.

    Never more than the lines are worth together.
    """
    whole = sum(weights)
    if not whole:
        return [0 for _ in weights]
    amount = min(amount, whole)
    parts, before, seen = [], 0, 0
    for weight in weights:
        seen += weight
        after = half_even(amount * seen, whole)
        parts.append(after - before)
        before = after
    return parts

"""What the processor's signed events bring about. Each event's work is one transaction with its mark
(billing.webhooks).

Events come late, twice and out of order; every step here looks at what is, not at what came before.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction

from agentstore.identity.models import Membership
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from agentstore.kit.ids import id_in
from agentstore.kit.money import Money
from billing import invoice_chargebacks, metering, repayments, sales, topups, webhooks
from billing.processor.disputes import ProcessorDispute
from billing.processor.payments import Payment, retrieve_payment
from billing.webhooks import ProcessorEvent
from marketplace.catalog.stock import buy_reserved
from marketplace.ranking.conversions import record_conversion, reverse_conversion
from marketplace.shopping.attribution import attribute_lines
from marketplace.shopping.carts import take_out_bought
from marketplace.shopping.chargebacks import dispute_now, settle_dispute
from marketplace.shopping.checkouts import close_checkout, move_checkout
from marketplace.shopping.models import Attribution, Checkout, Order, OrderLine, Refund, Shopper
from marketplace.shopping.orders import move_order
from marketplace.shopping.paying import REFERENCE as CHECKOUT
from marketplace.shopping.paying import note_decline
from marketplace.shopping.quotes import use_quotes
from marketplace.shopping.refunds import REFERENCE as REFUND
from marketplace.shopping.refunds import fail_refund, move_refund, refund_whole

logger = structlog.get_logger(__name__)


class AmountMismatch(Conflict):
    """The processor took another amount than the checkout's; a person has to look."""

    code = "amount_mismatch"


def settle_event(*, event_id: int) -> None:
    """Do what an event asks for, once. Raises when it cannot be done now; the inbox hands it out again."""
    dispute = dispute_now(event_id)
    payment = retrieve_payment(payment_id=dispute.payment_id) if dispute else webhooks.paid_now(event_id)
    invoice = None
    if dispute is not None and payment is not None and not payment.reference:
        invoice = invoice_chargebacks.invoice_paid_by(payment_id=payment.id)
    with webhooks.handle(event_id) as event:
        if event is None:
            return
        if event.type.startswith("payment_intent."):
            checkout_id = id_in(event.reference, CHECKOUT)
            if checkout_id is not None and Checkout.objects.filter(pk=checkout_id).exists():
                _settle_payment_event(event, checkout_id, payment)
        elif dispute is not None and invoice is not None:
            invoice_chargebacks.settle_dispute(dispute=dispute, paid=invoice)
        elif dispute is not None:
            _settle_dispute_event(event, dispute, payment)
        elif event.type.startswith("refund."):
            refund_id = id_in(event.reference, REFUND)
            if refund_id is not None and Refund.objects.filter(pk=refund_id).exists():
                _settle_refund_event(event, refund_id)
            else:
                logger.error(
                    "a refund that the store did not make", event_id=event.id, payment=event.payment_id
                )


def settle_paid(*, checkout_id: uuid.UUID) -> bool:
    """Settle a checkout by the processor's own answer about its payment; False while it is not paid.

    For callers that cannot wait for the event. Speaks to the processor: call it outside of a transaction.
    Raises ProcessorUnavailable, AmountMismatch.
    """
    payment_ref = Checkout.objects.values_list("payment_ref", flat=True).get(pk=checkout_id)
    payment = retrieve_payment(payment_id=payment_ref) if payment_ref else None
    if payment is None or not payment.paid:
        return False
    settle_checkout(
        checkout_id=checkout_id,
        payment_ref=payment.id,
        amount=payment.received,
        fee=payment.fee,
        paid_at=now(),
    )
    return True


def _settle_dispute_event(event: ProcessorEvent, dispute: ProcessorDispute, payment: Payment | None) -> None:
    """A bank can only take back what was paid: an event that overtook the payment's settles that first."""
    if payment is not None and payment.reference.startswith(topups.REFERENCE):
        topups.settle_dispute(dispute=dispute, payment=payment)
        return
    if payment is not None and payment.reference.startswith(repayments.REFERENCE):
        repayments.settle_dispute(dispute=dispute, payment=payment)
        return
    checkout_id = id_in(payment.reference, CHECKOUT) if payment is not None else None
    if payment is None or checkout_id is None or not Checkout.objects.filter(pk=checkout_id).exists():
        logger.error(
            "a dispute of a payment that is not ours", dispute=dispute.id, payment=dispute.payment_id
        )
        return
    settle_checkout(
        checkout_id=checkout_id,
        payment_ref=payment.id,
        amount=payment.received,
        fee=payment.fee,
        paid_at=event.created_at,
    )
    settle_dispute(dispute, checkout_id=checkout_id)


def _settle_payment_event(event: ProcessorEvent, checkout_id: uuid.UUID, payment: Payment | None) -> None:
    if event.type == "payment_intent.succeeded" and payment is not None:
        settle_checkout(
            checkout_id=checkout_id,
            payment_ref=payment.id,
            amount=payment.received,
            fee=payment.fee,
            paid_at=event.created_at,
        )
    elif event.type == "payment_intent.payment_failed":
        error = event.object.get("last_payment_error") or {}
        note_decline(
            checkout_id=checkout_id, code=str(error.get("decline_code") or error.get("code") or "declined")
        )
    elif event.type == "payment_intent.canceled":
        close_checkout(
            checkout_id=checkout_id,
            to=Checkout.Status.EXPIRED,
            by=None,
            reason="the payment was cancelled at the processor",
        )


@transaction.atomic
def settle_checkout(
    *, checkout_id: uuid.UUID, payment_ref: str, amount: Money, fee: Money | None, paid_at: datetime
) -> None:
    """The money is there: orders paid, lines attributed, sale and tax booked, conversions recorded. Twice
    is once.

    For a checkout that is over, the sale is booked and refunded whole. Raises AmountMismatch.
    """
    checkout = Checkout.objects.select_for_update().get(pk=checkout_id)
    if checkout.status in (Checkout.Status.PAID, Checkout.Status.RETURNED) or checkout.paid_at is not None:
        return
    if amount != checkout.total:
        raise AmountMismatch(f"{amount} was paid for a checkout of {checkout.total}.")
    late = checkout.status != Checkout.Status.OPEN
    checkout.payment_ref, checkout.paid_at, checkout.decline = payment_ref, paid_at, ""
    checkout.save(update_fields=["payment_ref", "paid_at", "decline"])
    orders = list(checkout.orders.select_for_update().order_by("pk"))
    for order in orders:
        _book_sale(order, payment_ref=payment_ref, fee=fee, paid_at=paid_at)
        if late:
            refund_whole(order=order, reason="Paid after the checkout was over; the money goes back.")
    if late:
        move_checkout(checkout, to=checkout.status, by=None, reason="paid too late; refunding")
        return
    move_checkout(checkout, to=Checkout.Status.PAID, by=None, reason=f"payment {payment_ref}")
    buy_reserved(holder=checkout.ref)
    use_quotes(checkout=checkout)
    lines = list(
        OrderLine.objects.filter(order__checkout=checkout).select_related("order__merchant", "offer", "quote")
    )
    for order in orders:
        order.paid_at = paid_at
        move_order(order, to=Order.Status.PAID, by=None, reason=f"payment {payment_ref}")
    for credit in attribute_lines(shopper_id=checkout.shopper_id, lines=lines, ordered_at=checkout.opened_at):
        _credit(credit, checkout, paid_at)
    bought: Counter[int] = Counter()
    for line in lines:
        bought[line.offer_id] += line.quantity
    take_out_bought(shopper=checkout.shopper, bought=bought)


def _book_sale(order: Order, *, payment_ref: str, fee: Money | None, paid_at: datetime) -> None:
    sales.post_sale(
        order_ref=order.ref,
        payment_ref=payment_ref,
        lines=[
            sales.SaleLine(line.ref, order.merchant.ref, Money(line.total_micros, order.currency))
            for line in order.lines.all()
        ],
        fee=fee,
        occurred_at=paid_at,
    )


def _credit(credit: Attribution, checkout: Checkout, paid_at: datetime) -> None:
    """The tax by the prices that the conversation was opened under, and the conversion for the ranking."""
    line, conversation = credit.line, credit.conversation
    # Who brings a code to a platform is a guest of that checkout alone; the conversation knows whose quote it was.
    buyer = conversation.shopper or checkout.shopper
    amount = Money(line.total_micros, line.order.currency)
    metering.meter_agent_tax(
        line_ref=line.ref,
        conversation_ref=str(conversation.pk),
        merchant_ref=line.order.merchant.ref,
        developer_ref=conversation.agent.developer.ref,
        agent_ref=conversation.agent.ref,
        category=line.category,
        price_version_id=uuid.UUID(conversation.price_version_ref),
        amount=amount,
        occurred_at=paid_at,
    )
    record_conversion(
        line_ref=line.ref,
        agent_id=conversation.agent_id,
        category=line.category,
        buyer_ref=str(buyer.pk),
        exposure_id=conversation.exposure_id,
        amount=amount,
        occurred_at=paid_at,
        matures_at=paid_at + timedelta(days=settings.RETURN_WINDOW_DAYS),
        excluded=_own_traffic(buyer, credit),
    )


def _own_traffic(buyer: Shopper, credit: Attribution) -> str:
    """Buying from one's own agent or from one's own shop says nothing about the agent."""
    if buyer.user_id is None:
        return ""
    own = Membership.objects.filter(
        user_id=buyer.user_id,
        organization_id__in=[credit.conversation.agent.developer_id, credit.line.order.merchant_id],
    )
    return "own organization" if own.exists() else ""


def _settle_refund_event(event: ProcessorEvent, refund_id: uuid.UUID) -> None:
    status = str(event.object.get("status", ""))
    if status == "succeeded":
        settle_refund(refund_id=refund_id, processor_ref=str(event.object["id"]))
    elif status in ("failed", "canceled"):
        fail_refund(refund_id=refund_id, reason=str(event.object.get("failure_reason") or status))


@transaction.atomic
def settle_refund(*, refund_id: uuid.UUID, processor_ref: str) -> None:
    """The money went back: book it, give tax and share back pro rata, stop counting what came back whole."""
    order_id = Refund.objects.values_list("order_id", flat=True).get(pk=refund_id)
    order = Order.objects.select_for_update().get(pk=order_id)
    refund = Refund.objects.select_for_update().get(pk=refund_id)
    if refund.status == Refund.Status.DONE:
        return
    refund.processor_ref, refund.done_at = processor_ref, now()
    refund.save(update_fields=["processor_ref"])
    move_refund(refund, to=Refund.Status.DONE, by=None, reason=f"processor: {processor_ref}")
    parts = list(refund.lines.select_related("line"))
    sales.post_refund(
        refund_ref=refund.ref,
        order_ref=order.ref,
        lines=[
            sales.SaleLine(part.line.ref, order.merchant.ref, Money(part.amount_micros, order.currency))
            for part in parts
        ],
        occurred_at=refund.done_at,
    )
    returned = _returned(order)
    for part in parts:
        metering.reverse_agent_tax(
            line_ref=part.line.ref,
            refunded=Money(part.amount_micros, order.currency),
            refund_ref=refund.ref,
        )
        if returned[part.line_id] >= part.line.quantity:
            reverse_conversion(line_ref=part.line.ref, reason=f"refunded ({refund.ref})")
    _move_after_refund(order, returned)


def _returned(order: Order) -> dict[int, int]:
    """By line id, how many items have been refunded."""
    counts = {line.pk: 0 for line in order.lines.all()}
    for refund in order.refunds.filter(status=Refund.Status.DONE).prefetch_related("lines"):
        for part in refund.lines.all():
            counts[part.line_id] += part.quantity
    return counts


def _move_after_refund(order: Order, returned: dict[int, int]) -> None:
    whole = all(returned[line.pk] >= line.quantity for line in order.lines.all())
    if order.status == Order.Status.CANCELLED:
        _return_late_checkout(order)
        return
    to = Order.Status.REFUNDED if whole else Order.Status.PART_REFUNDED
    move_order(order, to=to, by=None, reason="refunded" if whole else "partly refunded")


def _return_late_checkout(order: Order) -> None:
    """A checkout paid too late is over when the money of its last order went back."""
    checkout = Checkout.objects.select_for_update().get(pk=order.checkout_id)
    open_refunds = Refund.objects.filter(order__checkout=checkout).exclude(status=Refund.Status.DONE)
    if checkout.status != Checkout.Status.RETURNED and not open_refunds.exists():
        move_checkout(checkout, to=Checkout.Status.RETURNED, by=None, reason="the late payment was sent back")

"""Orders and refunds on the books: the processor's clearing against the merchants' wallets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q, Sum

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from billing.errors import RefundExceedsSale
from billing.journals import SaleLine, processor_fee_journal, refund_journal, sale_journal
from billing.ledger import post_many
from billing.models import Account, Entry, Journal, ProcessorLink

__all__ = ["SaleLine", "post_refund", "post_sale"]


@transaction.atomic
def post_sale(
    *,
    order_ref: str,
    payment_ref: str,
    lines: Sequence[SaleLine],
    fee: Money | None = None,
    occurred_at: datetime | None = None,
) -> Journal:
    """Book a paid order, once per order; the processor's fee with it, or by a later call that knows it.

    Raises Invalid without lines or with one that is not positive, IdempotencyMismatch when the order was
    booked with other lines.
    """
    _require_positive(lines)
    at = occurred_at or now()
    drafts = [sale_journal(order_ref=order_ref, lines=lines, occurred_at=at)]
    if fee is not None and fee.micros:
        drafts.append(processor_fee_journal(payment_ref=payment_ref, fee=fee, occurred_at=at))
    journal = Journal.objects.get(pk=post_many(drafts)[0])
    ProcessorLink.objects.bulk_create(
        [ProcessorLink(journal=journal, payment_ref=payment_ref)], ignore_conflicts=True
    )
    return journal


@transaction.atomic
def post_refund(
    *,
    refund_ref: str,
    order_ref: str,
    lines: Sequence[SaleLine],
    occurred_at: datetime | None = None,
) -> Journal:
    """Book a refund of an order, once per refund.

    Raises Invalid, IdempotencyMismatch, and RefundExceedsSale when the order's refunds together would be
    more than a merchant's part of the sale.
    """
    _require_positive(lines)
    sale = Journal.objects.select_for_update().filter(idempotency_key=f"sale:{order_ref}").first()
    if sale is None:
        raise RefundExceedsSale(f"Order {order_ref} was never booked as sold.")
    draft = refund_journal(refund_ref=refund_ref, sale=sale, lines=lines, occurred_at=occurred_at or now())
    (journal_id,) = post_many([draft])
    overdrawn = (
        Entry.objects.filter(
            Q(journal=sale) | Q(journal__reverses=sale), account__kind=Account.Kind.MERCHANT_WALLET
        )
        .values("account")
        .annotate(owed=Sum("amount"))
        .filter(owed__gt=0)
        .order_by()
    )
    if overdrawn.exists():
        raise RefundExceedsSale(f"Order {order_ref} would be refunded more than it was sold for.")
    return Journal.objects.get(pk=journal_id)


def _require_positive(lines: Sequence[SaleLine]) -> None:
    if not lines or any(line.amount.micros <= 0 for line in lines):
        raise Invalid("Every line needs an amount above zero.")

"""Record usage once, under its idempotency key, and hold its fee. Posting comes later (billing.posting).

docs/algorithms/metering.md follows one event from the card to the ledger.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing import budgets, fees, fraud
from billing.errors import IdempotencyMismatch, RefundExceedsSale
from billing.history import record_changes
from billing.journals import tax_journal, tax_return_journal
from billing.ledger import post_many, reverse
from billing.models import Hold, UsageEvent
from billing.pricing import fixed_terms
from billing.standing import is_suspended

Status = UsageEvent.Status


@dataclass(frozen=True, slots=True)
class PpcvOutcome:
    """What metering a conversation decided.

    `held`: the fee is held, the card is sponsored. `already`: this conversation has its fee for this
    merchant. `organic`: nothing is billed, the card carries no label. `paused`: the merchant wants its
    offers hidden now. Fee and share are zero for the last two.
    """

    status: Literal["held", "already", "organic", "paused"]
    fee: Money
    developer_share: Money
    event_id: uuid.UUID | None = None

    @property
    def sponsored(self) -> bool:
        """Whether the platform must draw its label: something is paid for this card."""
        return self.status in ("held", "already") and self.fee.micros > 0


def ppcv_key(conversation_ref: str, merchant_ref: str) -> str:
    """The idempotency key that makes it one fee per conversation and merchant."""
    return f"ppcv:{conversation_ref}:{merchant_ref}"


@transaction.atomic
def meter_ppcv(
    *,
    conversation_ref: str,
    merchant_ref: str,
    developer_ref: str,
    category: str,
    price_version_id: uuid.UUID,
    occurred_at: datetime,
    agent_ref: str = "",
    buyer_ref: str = "",
    reported: Iterable[fraud.Rule] = (),
) -> PpcvOutcome:
    """Hold the fee for a conversation in which a merchant's product was recommended.

    By the price version in force when the conversation was opened. `agent_ref` names what recommended it,
    `buyer_ref` who talked; `reported` are fraud rules that the caller saw broken. Meter one merchant per
    transaction: it locks that merchant's budget until the transaction ends. Raises PricesNotFixed for a mere draft.
    """
    prices = fixed_terms(price_version_id)
    key = ppcv_key(conversation_ref, merchant_ref)
    earlier = UsageEvent.objects.filter(idempotency_key=key).first()
    if earlier is not None:
        return _already(earlier)
    fee = fees.ppcv_fee(prices, category)
    zero = Money(0, prices.currency)
    if not fee.total or is_suspended(merchant_ref):
        return PpcvOutcome("organic", zero, zero)
    taken = budgets.take(
        merchant_ref=merchant_ref, currency=prices.currency, occurred_at=occurred_at, micros=fee.total
    )
    if isinstance(taken, budgets.CapReached):
        # A concurrent call for this conversation may have taken the last of the budget.
        earlier = UsageEvent.objects.filter(idempotency_key=key).first()
        if earlier is not None:
            return _already(earlier)
        return PpcvOutcome("paused" if taken.at_cap == "pause" else "organic", zero, zero)
    at = now()
    event = UsageEvent(
        idempotency_key=key,
        kind=UsageEvent.Kind.PPCV,
        conversation_ref=conversation_ref,
        merchant_ref=merchant_ref,
        developer_ref=developer_ref,
        agent_ref=agent_ref,
        buyer_ref=buyer_ref,
        category=category,
        price_version_id=price_version_id,
        currency=prices.currency,
        amount_micros=fee.total,
        developer_share_micros=fee.developer,
        funding=taken.mode,
        status=Status.QUARANTINED,
        occurred_at=occurred_at,
        recorded_at=at,
        due_at=at + timedelta(seconds=settings.PPCV_QUARANTINE_SECONDS),
    )
    if not _record_once(event):
        budgets.give_back(budget_id=taken.budget.pk, occurred_at=occurred_at, micros=fee.total)
        return _already(UsageEvent.objects.get(idempotency_key=key))
    Hold.objects.create(budget=taken.budget, event=event, amount_micros=fee.total, placed_at=at)
    record_changes(
        [event.pk], status=Status.HELD, by="metering", reason=f"within the cap of {taken.budget.period}"
    )
    record_changes(
        [event.pk],
        status=Status.QUARANTINED,
        by="metering",
        reason=f"until {event.due_at:%Y-%m-%d %H:%M} UTC",
    )
    fraud.inspect_event(event, reported=reported)
    return PpcvOutcome(
        "held", Money(fee.total, prices.currency), Money(fee.developer, prices.currency), event.pk
    )


def _record_once(event: UsageEvent) -> bool:
    """Insert unless the key exists; waits for a concurrent insert of the same key to end."""
    UsageEvent.objects.bulk_create([event], ignore_conflicts=True)
    return UsageEvent.objects.filter(pk=event.pk).exists()


def _already(event: UsageEvent) -> PpcvOutcome:
    rejected = event.status in (Status.REJECTED, Status.REVERSED)
    return PpcvOutcome(
        "already",
        Money(0 if rejected else event.amount_micros, event.currency),
        Money(0 if rejected else event.developer_share_micros, event.currency),
        event.pk,
    )


@transaction.atomic
def void_ppcv(*, event_id: uuid.UUID, reason: str, by: str) -> UsageEvent:
    """Take a PPCv event back, posted or not; its fee returns to the budget. Twice is once.

    Before posting it is rejected and never reaches the ledger; afterwards its journal is reversed.
    """
    # Not against references: who holds the budget and flags this event must not wait for who waits for the budget.
    event = UsageEvent.objects.select_for_update(no_key=True).get(pk=event_id, kind=UsageEvent.Kind.PPCV)
    if event.status in (Status.REJECTED, Status.REVERSED):
        return event
    at = now()
    if event.journal is not None:
        reverse(journal=event.journal, occurred_at=at, memo=reason[:200])
        event.status = Status.REVERSED
    else:
        event.status = Status.REJECTED
    event.save(update_fields=["status"])
    if Hold.objects.filter(event=event, released_at=None).update(released_at=at):
        budgets.give_back(
            budget_id=event.hold.budget_id, occurred_at=event.occurred_at, micros=event.hold.amount_micros
        )
    record_changes([event.pk], status=event.status, by=by, reason=reason)
    return event


@transaction.atomic
def meter_agent_tax(
    *,
    line_ref: str,
    conversation_ref: str,
    merchant_ref: str,
    developer_ref: str,
    category: str,
    price_version_id: uuid.UUID,
    amount: Money,
    occurred_at: datetime,
    agent_ref: str = "",
) -> UsageEvent:
    """Post the tax on an attributed, paid order line, once per line.

    Raises IdempotencyMismatch when the line was taxed on another amount before.
    """
    prices = fixed_terms(price_version_id)
    fee = fees.agent_tax(prices, category, amount.micros)
    event = UsageEvent(
        idempotency_key=f"agent_tax:{line_ref}",
        kind=UsageEvent.Kind.AGENT_TAX,
        conversation_ref=conversation_ref,
        merchant_ref=merchant_ref,
        developer_ref=developer_ref,
        agent_ref=agent_ref,
        line_ref=line_ref,
        category=category,
        price_version_id=price_version_id,
        currency=amount.currency,
        base_micros=amount.micros,
        amount_micros=fee.total,
        developer_share_micros=fee.developer,
        status=Status.POSTED,
        occurred_at=occurred_at,
        due_at=occurred_at,
    )
    if fee.total:
        (event.journal_id,) = post_many([tax_journal(event)])
    if not _record_once(event):
        return _same_or_mismatch(event)
    record_changes([event.pk], status=Status.POSTED, by="metering", reason="a paid order line")
    return event


@transaction.atomic
def reverse_agent_tax(*, line_ref: str, refunded: Money, refund_ref: str) -> UsageEvent | None:
    """Give back the tax on the refunded part of a line, once per refund; None for a line never taxed.

    Any sequence of partial refunds that ends in the whole returns exactly the whole tax. It comes out of
    the developer's pending share, which may go negative and is then carried forward. Raises
    RefundExceedsSale, IdempotencyMismatch (the refund was of another amount).
    """
    taxed = (
        UsageEvent.objects.select_for_update(of=("self",))
        .filter(idempotency_key=f"agent_tax:{line_ref}")
        .first()
    )
    if taxed is None:
        return None
    key = f"tax_reversal:{refund_ref}:{line_ref}"
    earlier = list(UsageEvent.objects.filter(reverses=taxed))
    for event in earlier:
        if event.idempotency_key == key:
            if event.base_micros != -refunded.micros:
                raise IdempotencyMismatch(f"Refund {refund_ref} was of another amount before.")
            return event
    before = -sum(event.base_micros for event in earlier)
    if refunded.micros < 0 or before + refunded.micros > taxed.base_micros:
        raise RefundExceedsSale(
            f"{refunded} can't be refunded: {Money(taxed.base_micros - before, taxed.currency)} is left."
        )
    back = fees.returned_part(
        fees.Fee(taxed.amount_micros, taxed.developer_share_micros),
        taxed.base_micros,
        before,
        refunded.micros,
    )
    at = now()
    event = UsageEvent(
        idempotency_key=key,
        kind=UsageEvent.Kind.TAX_REVERSAL,
        conversation_ref=taxed.conversation_ref,
        merchant_ref=taxed.merchant_ref,
        developer_ref=taxed.developer_ref,
        agent_ref=taxed.agent_ref,
        line_ref=line_ref,
        category=taxed.category,
        price_version_id=taxed.price_version_id,
        currency=taxed.currency,
        base_micros=-refunded.micros,
        amount_micros=-back.total,
        developer_share_micros=-back.developer,
        status=Status.POSTED,
        occurred_at=at,
        due_at=at,
        reverses=taxed,
    )
    if back.total or back.developer:
        (event.journal_id,) = post_many([tax_return_journal(event, taxed)])
    event.save(force_insert=True)
    record_changes([event.pk], status=Status.POSTED, by="metering", reason=f"refund {refund_ref}"[:200])
    if before + refunded.micros == taxed.base_micros:
        taxed.status = Status.REVERSED
        taxed.save(update_fields=["status"])
        record_changes([taxed.pk], status=Status.REVERSED, by="metering", reason="refunded in full")
    return event


def _same_or_mismatch(event: UsageEvent) -> UsageEvent:
    first = UsageEvent.objects.get(idempotency_key=event.idempotency_key)
    if (first.base_micros, first.amount_micros) != (event.base_micros, event.amount_micros):
        raise IdempotencyMismatch(f"{event.line_ref} was taxed on another amount before.")
    return first

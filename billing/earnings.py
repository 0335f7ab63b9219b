"""Developers' shares: pending until nobody can take them back, then available, a part kept in reserve.

docs/algorithms/payouts.md has a worked example, executed as a test.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from agentstore.kit.locks import wait_turn
from agentstore.kit.money import Money, apply_rate
from billing.accounts import AccountKey, developer_pending
from billing.ledger import balance, credit, debit, post
from billing.models import Account, EarningRelease, Invoice, MerchantFunding, UsageEvent
from billing.statement_rules import INVOICE_OF_EVENT

RESERVE_PPM = 100_000
RESERVE = timedelta(days=90)
PPCV_WAIT = timedelta(days=14)

# A write-off has taken its events' shares from pending already: nothing of them is left to wait for.
_IMMATURE_PPCV = f"""
SELECT coalesce(sum(u.developer_share_micros), 0)::bigint FROM billing_usageevent u
JOIN billing_journal j ON j.id = u.journal_id {INVOICE_OF_EVENT}
WHERE u.developer_ref = %(owner)s AND u.currency = %(currency)s AND u.kind = 'ppcv' AND u.status = 'posted'
  AND CASE u.funding WHEN 'prepaid' THEN u.occurred_at > %(paid_before)s
      ELSE i.status IS DISTINCT FROM 'uncollectible'
           AND (i.paid_at IS NULL OR i.paid_at > %(paid_before)s) END
"""  # noqa: S608 (only the constant above is put in)
_IMMATURE_TAX = """
SELECT coalesce(sum(u.developer_share_micros), 0)::bigint FROM billing_usageevent u
LEFT JOIN billing_usageevent o ON o.id = u.reverses_id
WHERE u.developer_ref = %(owner)s AND u.currency = %(currency)s AND u.kind IN ('agent_tax', 'tax_reversal')
  AND coalesce(o.occurred_at, u.occurred_at) > %(sold_before)s
"""
_INVOICES = f"""
SELECT u.id, p.month, i.status, i.paid_at, i.paid_minor + i.credit_used_minor FROM billing_usageevent u
JOIN billing_journal j ON j.id = u.journal_id {INVOICE_OF_EVENT} WHERE u.id = ANY(%(ids)s)
"""  # noqa: S608 (only the constant above is put in)


def developer_available(owner_ref: str, currency: str) -> AccountKey:
    """A developer's share that may be paid out."""
    return AccountKey(owner_ref, Account.Kind.DEVELOPER_AVAILABLE.value, currency)


def developer_reserve(owner_ref: str, currency: str) -> AccountKey:
    """The part of it that is kept against late returns."""
    return AccountKey(owner_ref, Account.Kind.DEVELOPER_RESERVE.value, currency)


def release_due() -> int:
    """Release, keep, take back: every developer whose pending or reserved share asks for it; how many.

    Must own its transactions. May be killed and run again at any time: what was done leaves nothing to do.
    """
    owners = (
        Account.objects.filter(kind=Account.Kind.DEVELOPER_PENDING)
        .order_by("owner_ref", "currency")
        .values_list("owner_ref", "currency")
    )
    return sum(settle_earnings(owner_ref=owner, currency=currency) for owner, currency in owners)


@transaction.atomic
def settle_earnings(*, owner_ref: str, currency: str) -> bool:
    """One developer's turn: take back what is owed, release what is mature, end reserves. Whether money moved."""
    lock_owner(owner_ref)
    moved = claw_back(owner_ref=owner_ref, currency=currency) > 0
    moved = release_mature(owner_ref=owner_ref, currency=currency) is not None or moved
    return end_reserves(owner_ref=owner_ref, currency=currency) > 0 or moved


def lock_owner(owner_ref: str) -> None:
    """One at a time moves an owner's earnings, until the transaction ends."""
    wait_turn(f"billing.earnings:{owner_ref}")


def immature(owner_ref: str, currency: str, at: datetime | None = None) -> Money:
    """The shares that may still be taken back: sales within the return window, conversations not paid for 14 days."""
    instant = at or now()
    values: dict[str, str | datetime] = {
        "owner": owner_ref,
        "currency": currency,
        "paid_before": instant - PPCV_WAIT,
        "sold_before": instant - timedelta(days=settings.RETURN_WINDOW_DAYS),
    }
    total = 0
    with connection.cursor() as cursor:
        for query in (_IMMATURE_PPCV, _IMMATURE_TAX):
            cursor.execute(query, values)
            total += int(cursor.fetchone()[0])
    return Money(total, currency)


def release_mature(*, owner_ref: str, currency: str) -> EarningRelease | None:
    """Move what pending holds beyond the immature shares to available, a tenth of it to the reserve.

    The pending balance is read first: a share booked in between is immature already, and waits.
    """
    pending = -balance(developer_pending(owner_ref, currency)).micros
    mature = min(pending, pending - immature(owner_ref, currency).micros)
    if mature <= 0:
        return None
    kept = apply_rate(mature, RESERVE_PPM)
    at, release_id = now(), new_id()
    journal = post(
        kind="earning_release",
        idempotency_key=f"earning_release:{release_id}",
        occurred_at=at,
        entries=[
            debit(developer_pending(owner_ref, currency), mature),
            credit(developer_available(owner_ref, currency), mature - kept),
            credit(developer_reserve(owner_ref, currency), kept),
        ],
    )
    return EarningRelease.objects.create(
        pk=release_id,
        owner_ref=owner_ref,
        currency=currency,
        available_micros=mature - kept,
        reserve_micros=kept,
        journal=journal,
        released_at=at,
        reserve_until=at + RESERVE,
    )


def claw_back(*, owner_ref: str, currency: str) -> int:
    """Cover a negative pending share from the reserve, then from what is available; micro-units that were moved.

    What neither covers stays negative and is carried forward: the next shares fill it.
    """
    missing = balance(developer_pending(owner_ref, currency)).micros
    if missing <= 0:
        return 0
    reserve = max(0, -balance(developer_reserve(owner_ref, currency)).micros)
    available = max(0, -balance(developer_available(owner_ref, currency)).micros)
    from_reserve = min(missing, reserve)
    from_available = min(missing - from_reserve, available)
    if not from_reserve + from_available:
        return 0
    post(
        kind="clawback",
        idempotency_key=f"clawback:{new_id()}",
        occurred_at=now(),
        entries=[
            debit(developer_reserve(owner_ref, currency), from_reserve),
            debit(developer_available(owner_ref, currency), from_available),
            credit(developer_pending(owner_ref, currency), from_reserve + from_available),
        ],
    )
    return from_reserve + from_available


def reserve_to_free(*, kept: int, held: int, kept_by_later: int) -> int:
    """What of a reserve goes free after its 90 days, in micro-units. Pure.

    The reserve holds less than all releases kept when some was taken back; the oldest bear that first.
    """
    return max(0, min(kept, held - kept_by_later))


def end_reserves(*, owner_ref: str, currency: str) -> int:
    """Free the reserves whose 90 days are over, oldest first; how many."""
    waiting = EarningRelease.objects.filter(
        owner_ref=owner_ref, currency=currency, reserve_released_at=None
    ).order_by("pk")
    ended = 0
    for release in waiting.filter(reserve_until__lte=now()):
        later = waiting.filter(pk__gt=release.pk).aggregate(x=Sum("reserve_micros"))["x"] or 0
        held = -balance(developer_reserve(owner_ref, currency)).micros
        free = reserve_to_free(kept=release.reserve_micros, held=held, kept_by_later=later)
        if free:
            post(
                kind="reserve_release",
                idempotency_key=f"reserve_release:{release.pk}",
                occurred_at=now(),
                entries=[
                    debit(developer_reserve(owner_ref, currency), free),
                    credit(developer_available(owner_ref, currency), free),
                ],
            )
        release.reserve_released_at, release.reserve_released_micros = now(), free
        release.save(update_fields=["reserve_released_at", "reserve_released_micros"])
        ended += 1
    return ended


@dataclass(frozen=True, slots=True)
class Standing:
    """How one event's share stands, in a sentence; `at` is when that is to change or did, None if not known."""

    state: str
    why: str
    at: datetime | None = None


def standings(events: list[UsageEvent]) -> dict[uuid.UUID, Standing]:
    """How each event's share stands: taken back, waiting (for what, until when), or released."""
    with connection.cursor() as cursor:
        cursor.execute(_INVOICES, {"ids": [event.pk for event in events]})
        invoices = {row[0]: row[1:] for row in cursor.fetchall()}
    unknown = (None, None, None, None)
    return {event.pk: _standing(event, *invoices.get(event.pk, unknown)) for event in events}


def _standing(
    event: UsageEvent,
    month: str | None,
    invoice_status: str | None,
    paid_at: datetime | None,
    paid_minor: int | None,
) -> Standing:
    if event.status in (UsageEvent.Status.REJECTED, UsageEvent.Status.REVERSED):
        return Standing("returned", "Taken back.")
    if event.status != UsageEvent.Status.POSTED:
        return Standing("pending", "Being looked at; not booked yet.", event.due_at)
    if event.kind == UsageEvent.Kind.TAX_REVERSAL:
        return Standing("returned", "Went back with a refund.", event.occurred_at)
    if event.kind == UsageEvent.Kind.AGENT_TAX:
        ends = event.occurred_at + timedelta(days=settings.RETURN_WINDOW_DAYS)
        if ends > now():
            return Standing("pending", "Until the return window of the sale is over.", ends)
        return Standing("available", "The return window is over.", ends)
    if invoice_status == Invoice.Status.UNCOLLECTIBLE and paid_minor:
        return Standing(
            "returned", "The merchant paid a part of its invoice; of the rest nothing was earned."
        )
    if invoice_status == Invoice.Status.UNCOLLECTIBLE:
        return Standing("returned", "The merchant did not pay; its invoice was written off.")
    prepaid = event.funding == MerchantFunding.Mode.PREPAID
    if prepaid or paid_at is not None:
        ends = (event.occurred_at if prepaid or paid_at is None else paid_at) + PPCV_WAIT
        if ends > now():
            return Standing("pending", "The merchant has paid; 14 days more.", ends)
        return Standing("available", "The merchant has paid.", ends)
    if month is None:
        return Standing("pending", "Is invoiced when its month closes.")
    if invoice_status is None:
        return Standing("pending", f"On the statement of {month}; not invoiced yet.")
    return Standing("pending", "Invoiced; the merchant has not paid yet.")

"""Recording what came of it.

A conversion counts once matured, unless reversed, excluded or over the buyer's cap.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.locks import wait_turn
from agentstore.kit.money import Money
from marketplace.ranking.models import Conversion, ConversionChange, Exposure

# One buyer can lift an agent only so far: this many lines in this time, the rest are excluded.
BUYER_CAP: Final = 3
CAP_WINDOW: Final = timedelta(days=30)
_BATCH: Final = 1_000
# As long as what a shopper may be looking for; what was bought without a look is not counted.
_LONGEST: Final = 60


@transaction.atomic
def record_conversion(
    *,
    line_ref: str,
    agent_id: UUID,
    category: str,
    buyer_ref: str,
    exposure_id: UUID | None,
    amount: Money,
    occurred_at: datetime,
    matures_at: datetime,
    excluded: str = "",
) -> Conversion:
    """An attributed order line; once per line, however often it is told.

    It counts in the category that its exposure was made in, the shopper's intent; `category`, that of the
    goods, is kept where there was none. `excluded` is the caller's reason not to count it (own
    organisation). Recorded but excluded too are lines without an exposure of this agent, and those beyond
    BUYER_CAP lines of one buyer with one agent in CAP_WINDOW.
    """
    _lock_buyer(agent_id, buyer_ref)
    existing = Conversion.objects.filter(line_ref=line_ref).first()
    if existing is not None:
        return existing
    exposure = Exposure.objects.filter(pk=exposure_id, agent_id=agent_id).first() if exposure_id else None
    reason = excluded or _reason_not_to_count(agent_id, buyer_ref, exposure, occurred_at)
    status = Conversion.Status.EXCLUDED if reason else Conversion.Status.PENDING
    conversion = Conversion.objects.create(
        line_ref=line_ref,
        agent_id=agent_id,
        category=exposure.category if exposure else category[:_LONGEST],
        buyer_ref=buyer_ref,
        exposure_id=exposure_id,
        amount_micros=amount.micros,
        currency=amount.currency,
        occurred_at=occurred_at,
        matures_at=matures_at,
        status=status,
        reason=reason,
    )
    ConversionChange.objects.create(conversion=conversion, to_status=status, reason=reason)
    return conversion


@transaction.atomic
def reverse_conversion(*, line_ref: str, reason: str) -> bool:
    """A refunded line no longer counts. Whether this call changed anything; unknown lines change nothing."""
    conversion = Conversion.objects.select_for_update().filter(line_ref=line_ref).first()
    if conversion is None or conversion.status == Conversion.Status.REVERSED:
        return False
    ConversionChange.objects.create(
        conversion=conversion,
        from_status=conversion.status,
        to_status=Conversion.Status.REVERSED,
        reason=reason,
    )
    conversion.status, conversion.reason = Conversion.Status.REVERSED, reason
    conversion.save(update_fields=["status", "reason"])
    return True


def mature_conversions(*, at: datetime | None = None) -> int:
    """Count those whose return window has passed; gives how many. Safe to run twice at once."""
    at = at or now()
    matured = 0
    while batch := _mature_batch(at):
        matured += batch
    return matured


@transaction.atomic
def _mature_batch(at: datetime) -> int:
    due = list(
        Conversion.objects.select_for_update(skip_locked=True)
        .filter(status=Conversion.Status.PENDING, matures_at__lte=at)
        .order_by("matures_at")
        .values_list("id", flat=True)[:_BATCH]
    )
    Conversion.objects.filter(id__in=due).update(status=Conversion.Status.MATURED)
    ConversionChange.objects.bulk_create(
        ConversionChange(
            conversion_id=id,
            from_status=Conversion.Status.PENDING,
            to_status=Conversion.Status.MATURED,
            reason="the return window has passed",
            at=at,
        )
        for id in due
    )
    return len(due)


def _reason_not_to_count(
    agent_id: UUID, buyer_ref: str, exposure: Exposure | None, occurred_at: datetime
) -> str:
    if exposure is None:
        return "not from a page of the store"
    if exposure.excluded:
        return exposure.excluded
    counted = Conversion.objects.filter(
        agent_id=agent_id,
        buyer_ref=buyer_ref,
        status__in=[Conversion.Status.PENDING, Conversion.Status.MATURED],
        occurred_at__gt=occurred_at - CAP_WINDOW,
        occurred_at__lt=occurred_at + CAP_WINDOW,
    ).count()
    return "over the buyer's cap" if counted >= BUYER_CAP else ""


def _lock_buyer(agent_id: UUID, buyer_ref: str) -> None:
    """Serialise one buyer with one agent until the transaction ends, so that the cap cannot be raced past."""
    wait_turn(f"{agent_id}:{buyer_ref}")

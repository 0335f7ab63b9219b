"""The processor's transactions, read once and kept: what a day is compared with, whatever day it is compared on."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import structlog
from django.db.models import F, Sum

from agentstore.kit.money import Money
from billing.models import Account, MovementMark, ProcessorMovement
from billing.periods import end_of
from billing.processor import balance
from billing.reconciliation.matching import key_of_movement
from billing.totals import trial_balance_on

logger = structlog.get_logger(__name__)

# A transaction may show in the list a little after the time that it bears.
_OVERLAP = timedelta(hours=6)


def read_movements(*, until: datetime, since: datetime | None = None) -> int:
    """Keep every balance transaction before an instant that is not kept yet; how many were new.

    From where the last whole reading ended, or from `since` where that is earlier; page by page, and the mark moves
    when all are there: whoever is killed in between costs nothing. Outside of a transaction. Raises
    ProcessorUnavailable, ProcessorRefused.
    """
    mark = MovementMark.objects.filter(pk=1).first()
    begin = None if mark is None else mark.read_until - _OVERLAP
    if begin is not None and since is not None:
        begin = min(begin, since)
    new = 0
    for page in balance.list_movements(since=begin, until=until):
        new += _keep(page)
    if mark is None or mark.read_until < until:
        MovementMark.objects.update_or_create(pk=1, defaults={"read_until": until})
    logger.info("processor read", new=new, since=str(begin), until=str(until))
    return new


def _keep(page: list[balance.BalanceMovement]) -> int:
    known = set(ProcessorMovement.objects.filter(pk__in=[it.id for it in page]).values_list("pk", flat=True))
    rows = [
        ProcessorMovement(
            id=it.id,
            type=it.type,
            source_ref=it.source_id,
            payment_ref=it.payment_id if it.object == "charge" else "",
            reference=it.reference[:200],
            match_key=key_of_movement(
                object=it.object,
                source_id=it.source_id,
                payment_id=it.payment_id,
                reference=it.reference,
                id=it.id,
            )[:300],
            currency=it.amount.currency,
            amount_minor=it.amount.minor,
            fee_minor=it.fee.minor,
            created_at=it.created_at,
        )
        for it in page
        if it.id not in known
    ]
    ProcessorMovement.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def sums_before(until: datetime) -> dict[str, int]:
    """The processor's balance at an instant: the sum of the transactions before it, in micro-units by currency."""
    rows = (
        ProcessorMovement.objects.filter(created_at__lt=until)
        .values("currency")
        .annotate(net=Sum(F("amount_minor") - F("fee_minor")))
        .order_by("currency")
    )
    return {row["currency"]: Money.from_minor(row["net"], row["currency"]).micros for row in rows}


def balances_at_end_of(day: date) -> dict[str, tuple[int, int]]:
    """By currency, what the processor had at a day's end and what `processor_clearing` said; micro-units."""
    processor = sums_before(end_of(day))
    books = {
        line.currency: line.balance.micros
        for line in trial_balance_on(day)
        if line.kind == Account.Kind.PROCESSOR_CLEARING
    }
    currencies = sorted({*processor, *books})
    return {currency: (processor.get(currency, 0), books.get(currency, 0)) for currency in currencies}

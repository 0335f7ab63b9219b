"""A day's run: every check, its incidents, how the day stands. Killed anywhere it is made again; twice is once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError as BrokerAway

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, StoreError
from agentstore.kit.locks import only_one
from billing.closing import SETTLE, first_day
from billing.models import Incident, ReconciledBalance, Reconciliation, ReconciliationChange
from billing.periods import day_of, end_of, start_of
from billing.reconciliation import checks, incidents, movements
from billing.reconciliation.balance_check import Look, check_balance, look_at_balance
from billing.reconciliation.findings import Findings

logger = structlog.get_logger(__name__)

Kind, Status = Incident.Kind, Reconciliation.Status
_TASK = "billing.tasks.reconcile_day"
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
# A day with open incidents is looked at again once a day for so long; later only when an operator asks.
_LOOK_AGAIN, _LOOK_FOR = timedelta(days=1), timedelta(days=35)
_SPACE = uuid.UUID("5f0c2f0e-3f0a-4a3f-9d53-5a0a7b1d6e11")


class DayNotOver(Conflict):
    """The day goes on, or its last transactions are not settled."""

    code = "day_not_over"


class UnderWay(Conflict):
    """Another worker reconciles this day at the moment."""

    code = "reconciliation_under_way"


def reconcile_due() -> int:
    """Reconcile every day that is over and was not, and what is to be looked at again; how many were finished.

    Oldest first. Must own its transactions: it speaks to the processor, once for all of these days.
    """
    due = _due_days(now())
    if not due:
        return 0
    told = _ask_processor()
    done = 0
    for day in due:
        try:
            done += not _run(day, told, by="reconciliation").last_error
        except UnderWay:
            continue
        except Exception as broken:
            # A fault on one day must not keep the others from being compared.
            logger.exception("day not reconciled", day=str(day), error=str(broken))
    return done


@transaction.atomic
def _note_broken(day: date, error: str) -> None:
    row = Reconciliation.objects.select_for_update().filter(day=day).first()
    if row is not None:
        row.last_error, row.retry_at = error[:2000], _earlier(row.retry_at, now() + _wait(row.attempts))
        row.save(update_fields=["last_error", "retry_at"])


def _wait(attempts: int) -> timedelta:
    return min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(attempts, 10)))


def _due_days(at: datetime) -> list[date]:
    again = set(Reconciliation.objects.filter(retry_at__lte=at).values_list("day", flat=True))
    first = first_day()
    if first is None:
        return sorted(again)
    # Not since the newest: whoever asks for a single day, or is killed before its row, leaves a gap.
    seen = set(Reconciliation.objects.values_list("day", flat=True))
    day = first
    while at >= end_of(day) + SETTLE:
        if day not in seen:
            again.add(day)
        day += timedelta(days=1)
    return sorted(again)


def reconcile_day(*, day: date, by: str = "reconciliation") -> Reconciliation:
    """Reconcile one day now. Outside of a transaction: it speaks to the processor, and says so where that is away.

    Raises DayNotOver, UnderWay.
    """
    if now() < end_of(day) + SETTLE:
        raise DayNotOver(f"{day} is not over.", hint="A day is reconciled ten minutes after midnight UTC.")
    return _run(day, _ask_processor(since=start_of(day)), by=by)


def ask_again(*, day: date, by: str) -> None:
    """Have a worker make a day again, soon; at the latest when the beat looks for what is due."""
    Reconciliation.objects.filter(day=day).update(retry_at=now())
    logger.info("reconciliation asked for", day=str(day), by=by)

    def enqueue() -> None:
        try:
            current_app.send_task(_TASK, args=[str(day), by], retry=False)
        except BrokerAway as away:
            logger.warning("reconciliation not enqueued", day=str(day), error=str(away))

    transaction.on_commit(enqueue)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the processor said now: why it could not be read, else its balance beside the sum of its transactions."""

    away: str = ""
    balance: Look | None = None


def _ask_processor(since: datetime | None = None) -> _Told:
    try:
        return _Told(balance=look_at_balance(since=since))
    except StoreError as refused:
        logger.warning("processor not read", why=refused.code)
        return _Told(away=f"{refused.code}: {refused.message}")


def lock_of(day: date) -> uuid.UUID:
    """What a run of a day holds: one at a time reconciles it."""
    return uuid.uuid5(_SPACE, str(day))


def _run(day: date, told: _Told, *, by: str) -> Reconciliation:
    with only_one(lock_of(day)) as mine:
        if not mine:
            raise UnderWay(f"{day} is being reconciled now.", hint="Look again in a minute.")
        try:
            return _compare(day, told, by=by)
        except Exception as broken:
            _note_broken(day, f"{type(broken).__name__}: {broken}")
            raise


def _compare(day: date, told: _Told, *, by: str) -> Reconciliation:
    row = _begin(day, by=by)
    found: dict[str, Findings] = {}
    for kind, check in checks.CHECKS.items():
        if not (told.away and kind == Kind.PROCESSOR):
            found[kind] = _looked_at(day, check)
    if told.balance is not None and _speaks_of(day):
        found[Kind.BALANCE] = check_balance(told.balance)
    for kind, findings in found.items():
        incidents.record_findings(kind=kind, day=day, findings=findings, by=by)
    return _end(row, found, away=told.away, by=by)


def _speaks_of(day: date) -> bool:
    """The balance is that of now: it is compared on the newest day that is over, and where it was found off."""
    newest = day_of(now() - SETTLE) - timedelta(days=1)
    return day == newest or Incident.objects.filter(day=day, kind=Kind.BALANCE).exists()


@transaction.atomic
def _begin(day: date, *, by: str) -> Reconciliation:
    row, new = Reconciliation.objects.select_for_update().get_or_create(day=day)
    if new:
        _note(row, by=by, reason="begun")
    row.started_at, row.attempts = now(), row.attempts + 1
    # A run that is killed is made again then; who asks meanwhile overwrites it, and is heard at the end.
    row.retry_at = row.started_at + _LONGEST_WAIT
    row.save(update_fields=["started_at", "attempts", "retry_at"])
    return row


def _looked_at(day: date, check: Callable[[date], Findings]) -> Findings:
    with _one_snapshot():
        return check(day)


@contextmanager
def _one_snapshot() -> Iterator[None]:
    """What is compared is read as of one instant, whatever is posted meanwhile."""
    alone = not connection.in_atomic_block
    with transaction.atomic():
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@transaction.atomic
def _end(row: Reconciliation, found: dict[str, Findings], *, away: str, by: str) -> Reconciliation:
    begun, row = row, Reconciliation.objects.select_for_update().get(pk=row.pk)
    asked = None if row.retry_at == begun.retry_at else row.retry_at
    row.last_error, row.counts = away[:2000], row.counts | {kind: it.counts() for kind, it in found.items()}
    before = row.status
    if away:
        row.retry_at = _earlier(asked, now() + _wait(row.attempts))
    else:
        open_ones = Incident.objects.filter(day=row.day, status=Incident.Status.OPEN).exists()
        row.status = Status.DIFFERENCES if open_ones else Status.MATCHED
        row.finished_at = now()
        row.retry_at = _earlier(asked, _look_again(row.day, found, open_ones))
        _note_balances(row, found)
    row.save()
    if row.status != before:
        _note(row, by=by, reason=away or _summary(found))
    logger.info("day reconciled", day=str(row), status=row.status, counts=row.counts, error=away)
    return row


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


def _look_again(day: date, found: dict[str, Findings], open_ones: bool) -> datetime | None:
    times = [it.until + timedelta(seconds=1) for it in found.values() if it.until is not None]
    if open_ones and day_of(now()) - day < _LOOK_FOR:
        times.append(now() + _LOOK_AGAIN)
    return min(times) if times else None


def _note_balances(row: Reconciliation, found: dict[str, Findings]) -> None:
    under_way = found[Kind.PROCESSOR].in_flight_micros
    for currency, (processor, books) in movements.balances_at_end_of(row.day).items():
        ReconciledBalance.objects.update_or_create(
            reconciliation=row,
            currency=currency,
            defaults={
                "processor_micros": processor,
                "books_micros": books,
                "in_flight_micros": under_way.get(currency, 0),
            },
        )


def _summary(found: dict[str, Findings]) -> str:
    different = sum(it.different for it in found.values())
    return f"{different} differences" if different else "everything agrees or is under way"


def _note(row: Reconciliation, *, by: str, reason: str) -> None:
    ReconciliationChange.objects.create(reconciliation=row, status=row.status, by=by, reason=reason[:200])

"""The processor's events: received once, handed to the task that wants them, handled once.

docs/architecture.md: the task's name comes from `settings.PROCESSOR_EVENT_TASKS`; it gets the row's id and
does its work inside `handle`, which commits the work and the mark together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerAway

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.models import WebhookEvent
from billing.processor.events import verify_event
from billing.processor.payments import Payment, retrieve_payment

logger = structlog.get_logger(__name__)

SOURCE = "stripe"
# Long enough for a task that was enqueued on receipt to run before it is enqueued again.
_GRACE = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
# What connected accounts may tell of: all else of theirs is none of the store's, whatever reference it bears.
_OF_ACCOUNTS = ("account.", "payout.")


@dataclass(frozen=True, slots=True)
class ProcessorEvent:
    """One event as it was told; `object` is a snapshot, so ask the processor where the present matters."""

    id: str
    type: str
    created_at: datetime
    object: dict[str, Any]

    @property
    def payment_id(self) -> str:
        """The payment that it is about: the object itself, or what a charge, refund or dispute names."""
        if self.object.get("object") == "payment_intent":
            return str(self.object["id"])
        return str(self.object.get("payment_intent") or "")

    @property
    def reference(self) -> str:
        """Our own reference, as given when the payment or refund was made; empty for others' objects."""
        return str((self.object.get("metadata") or {}).get("reference", ""))

    @property
    def amount(self) -> Money | None:
        """The object's amount, None where it has none."""
        if "amount" not in self.object or "currency" not in self.object:
            return None
        return Money.from_minor(int(self.object["amount"]), str(self.object["currency"]).upper())


def receive(*, body: bytes, signature: str) -> WebhookEvent:
    """Put a signed event in the inbox, once, and hand it on when that is committed.

    Raises InvalidSignature. An event that was received before is returned as it stands.
    """
    told = verify_event(body=body, signature=signature)
    with transaction.atomic():
        row, new = WebhookEvent.objects.get_or_create(
            source=SOURCE,
            external_id=told["id"],
            defaults={"type": told["type"], "payload": told, "retry_at": now() + _GRACE},
        )
        if new and task_for(row) is None:
            row.handled_at = row.received_at
            row.save(update_fields=["handled_at"])
        elif new:
            transaction.on_commit(lambda: _enqueue(row))
    return row


def task_for(row: WebhookEvent) -> str | None:
    """The task that wants an event: by our own reference on the object where it has one of ours, else by its type."""
    if row.payload.get("account") and not row.type.startswith(_OF_ACCOUNTS):
        return None
    reference = str(((row.payload["data"]["object"].get("metadata") or {}).get("reference")) or "")
    for routes, name in (
        (settings.PROCESSOR_REFERENCE_TASKS, reference),
        (settings.PROCESSOR_EVENT_TASKS, row.type),
    ):
        for prefix, task in routes.items():
            if name.startswith(prefix):
                return str(task)
    return None


def _enqueue(row: WebhookEvent) -> None:
    """The processor was told 200 or will be: a broker that is away delays the event, `dispatch` finds it."""
    task = task_for(row)
    if task is None:
        return
    try:
        current_app.send_task(task, args=[row.pk], retry=False)
    except BrokerAway as away:
        logger.warning("webhook not enqueued", event=row.pk, error=str(away))


def dispatch_unhandled(*, limit: int = 500) -> int:
    """Hand out again what was received and is not handled and not waiting; how many."""
    with transaction.atomic():
        rows = list(
            WebhookEvent.objects.select_for_update(skip_locked=True)
            .filter(handled_at=None, retry_at__lte=now())
            .order_by("retry_at")[:limit]
        )
        for row in rows:
            row.retry_at = now() + _wait(row.attempts)
        WebhookEvent.objects.bulk_update(rows, ["retry_at"])
    for row in rows:
        _enqueue(row)
    return len(rows)


def _wait(attempts: int) -> timedelta:
    return min(_LONGEST_WAIT, _GRACE * (1 << min(attempts, 10)))


def paid_now(event_id: int) -> Payment | None:
    """The payment that an event says has succeeded, as the processor has it now, its own fee included.

    None for other events, and for those that are handled. Outside of a transaction. Raises ProcessorUnavailable.
    """
    row = WebhookEvent.objects.get(pk=event_id)
    if row.handled_at is not None or row.type != "payment_intent.succeeded":
        return None
    return retrieve_payment(payment_id=str(row.payload["data"]["object"]["id"]))


@contextmanager
def handle(event_id: int) -> Iterator[ProcessorEvent | None]:
    """Lock an event and yield it, or None when it was handled before.

    Work done inside is committed together with the mark that it is done. When it raises, both are rolled
    back, the failure is noted, and `dispatch_unhandled` hands the event out again later.
    """
    try:
        with transaction.atomic():
            row = WebhookEvent.objects.select_for_update().get(pk=event_id)
            if row.handled_at is not None:
                yield None
                return
            yield _typed(row)
            row.handled_at = now()
            row.last_error = ""
            row.save(update_fields=["handled_at", "last_error"])
    except Exception as failure:
        _note_failure(event_id, failure)
        raise


def _note_failure(event_id: int, failure: Exception) -> None:
    with transaction.atomic():
        row = WebhookEvent.objects.select_for_update().filter(pk=event_id, handled_at=None).first()
        if row is None:
            return
        row.attempts += 1
        row.last_error = f"{type(failure).__name__}: {failure}"[:2000]
        row.retry_at = now() + _wait(row.attempts)
        row.save(update_fields=["attempts", "last_error", "retry_at"])


def _typed(row: WebhookEvent) -> ProcessorEvent:
    return ProcessorEvent(
        id=row.external_id,
        type=row.type,
        created_at=datetime.fromtimestamp(int(row.payload["created"]), UTC),
        object=row.payload["data"]["object"],
    )

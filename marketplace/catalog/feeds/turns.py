"""Whose turn it is: a merchant's imports are read one after the other, in the order in which they came.

Two at once would interleave, and the older feed's prices could be the last ones written. The order is also what a
roll back calls "before".
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models import Q

from marketplace.catalog.models import FeedImport

_TASK: Final = "marketplace.catalog.tasks.import_feed"


def is_in_turn(feed_import: FeedImport) -> bool:
    """Whether a waiting import may be read: none is read or rolled back, and none that came before it waits.

    Dry runs wait like others, and nothing waits for them. The caller holds the merchant's lock.
    """
    status = FeedImport.Status
    others = FeedImport.objects.filter(merchant_id=feed_import.merchant_id, dry_run=False)
    before = Q(status=status.WAITING, created_at__lt=feed_import.created_at)
    return (
        not others.filter(Q(status__in=(status.RUNNING, status.UNDOING)) | before)
        .exclude(pk=feed_import.pk)
        .exists()
    )


def enqueue_import(import_id: UUID) -> None:
    """Have a worker read it as soon as this transaction is committed."""
    transaction.on_commit(lambda: current_app.send_task(_TASK, args=[str(import_id)]))


def enqueue_next(merchant_id: UUID) -> None:
    """Have workers read what waits for what this transaction ends: up to the first that others wait for."""
    transaction.on_commit(lambda: _enqueue_next(merchant_id), robust=True)


def _enqueue_next(merchant_id: UUID) -> None:
    waiting = FeedImport.objects.filter(merchant_id=merchant_id, status=FeedImport.Status.WAITING)
    for import_id, dry_run in waiting.order_by("created_at").values_list("pk", "dry_run"):
        enqueue_import(import_id)
        if not dry_run:
            return

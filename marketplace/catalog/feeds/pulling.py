"""Fetching feeds from merchants' addresses, on schedule.

A source is claimed by moving its due time on; the fetch itself is outside of any transaction. A worker that dies
while fetching loses its claim a quarter of an hour later, and the feed is fetched anew.
"""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from typing import BinaryIO, Final
from uuid import UUID

from celery import current_app
from django.core.files.base import File
from django.db import transaction

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, NotFound, StoreError
from agentstore.kit.fetch import Bounds, Fetched, check_url, fetch
from marketplace.catalog.feeds.intake import MOST_BYTES, start_import
from marketplace.catalog.models import FeedImport, FeedPull, FeedSource

BOUNDS: Final = Bounds(max_bytes=MOST_BYTES, seconds=600)
MOST_SOURCES: Final = 10
KEPT_PULLS: Final = 100
_CLAIM: Final = timedelta(minutes=15)
_FIRST_RETRY: Final = timedelta(minutes=10)
_GIVE_UP_AFTER: Final = 20
_TASK: Final = "marketplace.catalog.tasks.pull_feed"
_BY_TYPE: Final = {
    "text/csv": FeedImport.Format.CSV,
    "text/tab-separated-values": FeedImport.Format.TSV,
    "application/x-ndjson": FeedImport.Format.JSONL,
    "application/jsonl": FeedImport.Format.JSONL,
    "application/jsonlines": FeedImport.Format.JSONL,
}


class SourceExists(Conflict):
    """This address is fetched already, or there are too many."""

    code = "feed_source_exists"


def add_source(
    *, merchant: Organization, url: str, every_hours: int, by: User, format: str = ""
) -> FeedSource:
    """Fetch a feed from now on, the first time at once. Raises FetchRefused, SourceExists."""
    address = str(check_url(url))[:1000]
    with transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(pk=merchant.pk)
        mine = FeedSource.objects.filter(merchant=merchant)
        if mine.filter(url=address).exists():
            raise SourceExists("This address is fetched already.")
        if mine.count() >= MOST_SOURCES:
            raise SourceExists(f"A merchant has at most {MOST_SOURCES} addresses.", hint="Remove one first.")
        source = FeedSource.objects.create(
            merchant=merchant, url=address, format=format, every_hours=every_hours, by=by
        )
        _enqueue(source)
    return source


@transaction.atomic
def pull_now(*, source_id: UUID, merchant: Organization) -> FeedSource:
    """Fetch a source at once, and let a paused one go on. Raises NotFound for another merchant's."""
    source = _locked(source_id, merchant)
    source.due_at, source.active, source.failures = now(), True, 0
    # Asked for by a person: even what is as before is read again.
    source.etag = source.last_modified = ""
    source.save()
    _enqueue(source)
    return source


@transaction.atomic
def pause_source(*, source_id: UUID, merchant: Organization) -> FeedSource:
    """Fetch it no more until `pull_now`. Raises NotFound for another merchant's."""
    source = _locked(source_id, merchant)
    source.active = False
    source.save(update_fields=["active"])
    return source


@transaction.atomic
def remove_source(*, source_id: UUID, merchant: Organization) -> None:
    """Forget an address; what it brought stays. Raises NotFound for another merchant's."""
    _locked(source_id, merchant).delete()


def due_sources() -> list[UUID]:
    """Sources whose time has come."""
    return list(FeedSource.objects.filter(active=True, due_at__lte=now()).values_list("pk", flat=True))


def pull_source(*, source_id: UUID, enqueue: bool = True) -> FeedPull | None:
    """Fetch a source and start its import; None when it is not due or its last import is under way.

    May run twice: one of two gets the claim. `enqueue=False` leaves the import to the caller (`run_import`).
    """
    claimed = _claim(source_id)
    if claimed is None:
        return None
    source, pull = claimed
    conditions = {"If-None-Match": source.etag, "If-Modified-Since": source.last_modified}
    with tempfile.TemporaryFile() as file:
        try:
            answer = fetch(
                source.url,
                into=file,
                bounds=BOUNDS,
                headers={name: value for name, value in conditions.items() if value},
            )
            return _take(pull, answer, file, enqueue=enqueue)
        except StoreError as refused:
            return _fail(pull, f"{refused.message} {refused.hint}".strip())


def _enqueue(source: FeedSource) -> None:
    transaction.on_commit(lambda: current_app.send_task(_TASK, args=[str(source.pk)]))


def _locked(source_id: UUID, merchant: Organization) -> FeedSource:
    source = FeedSource.objects.select_for_update().filter(pk=source_id, merchant=merchant).first()
    if source is None:
        raise NotFound("There is no such address.")
    return source


@transaction.atomic
def _claim(source_id: UUID) -> tuple[FeedSource, FeedPull] | None:
    at = now()
    source = FeedSource.objects.select_for_update().filter(pk=source_id, active=True).first()
    if source is None or source.due_at > at:
        return None
    running = FeedPull.objects.filter(source=source, outcome=FeedPull.Outcome.RUNNING)
    # It stays due: whoever fetches it sees at the end that it was asked for meanwhile.
    if running.filter(started_at__gt=at - _CLAIM).exists():
        return None
    source.due_at = at + _CLAIM
    source.save(update_fields=["due_at"])
    # Two feeds of one address at once could leave the older one's prices.
    if FeedImport.objects.filter(pulls__source=source, status__in=FeedImport.OPEN).exists():
        return None
    running.update(
        outcome=FeedPull.Outcome.FAILED, message="The store was interrupted; it tries again.", ended_at=at
    )
    kept = FeedPull.objects.filter(source=source).values_list("pk", flat=True)[:KEPT_PULLS]
    FeedPull.objects.filter(source=source).exclude(pk__in=list(kept)).delete()
    return source, FeedPull.objects.create(source=source, started_at=at)


@transaction.atomic
def _take(pull: FeedPull, answer: Fetched, file: BinaryIO, *, enqueue: bool) -> FeedPull | None:
    source = FeedSource.objects.select_for_update().filter(pk=pull.source_id).first()
    if source is None:
        return None
    if answer.status == 304:
        pull.outcome = FeedPull.Outcome.UNCHANGED
    else:
        file.seek(0)
        name = answer.url.partition("?")[0].rpartition("/")[2] or "feed"
        pull.feed_import = start_import(
            merchant=source.merchant,
            source=File(file, name=name[-200:]),
            by=None,
            format=source.format or _BY_TYPE.get(answer.content_type, ""),
            via=FeedImport.Via.PULL,
            enqueue=enqueue,
        )
        pull.outcome, pull.size = FeedPull.Outcome.IMPORTED, answer.size
        if not _asked_meanwhile(source, pull):
            source.etag, source.last_modified = answer.etag, answer.last_modified
    source.failures = 0
    _set_due(source, pull, pull.started_at + timedelta(hours=source.every_hours))
    source.save()
    pull.ended_at = now()
    pull.save()
    return pull


@transaction.atomic
def _fail(pull: FeedPull, message: str) -> FeedPull | None:
    source = FeedSource.objects.select_for_update().filter(pk=pull.source_id).first()
    if source is None:
        return None
    source.failures += 1
    if source.failures >= _GIVE_UP_AFTER:
        source.active = False
        message += " It has failed too often and is paused."
    # Sooner than its next regular time at first, never later than that.
    wait = min(timedelta(hours=source.every_hours), _FIRST_RETRY * 2 ** (source.failures - 1))
    _set_due(source, pull, now() + wait)
    source.save()
    pull.outcome, pull.message, pull.ended_at = FeedPull.Outcome.FAILED, message[:300], now()
    pull.save()
    return pull


def _asked_meanwhile(source: FeedSource, pull: FeedPull) -> bool:
    return source.due_at < pull.started_at + _CLAIM


def _set_due(source: FeedSource, pull: FeedPull, at: datetime) -> None:
    if _asked_meanwhile(source, pull):
        _enqueue(source)
    else:
        source.due_at = at

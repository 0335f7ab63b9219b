"""Reading a feed to its end: in batches, each one transaction with its place in the file.

A worker may die anywhere: what a batch wrote and how far the file was read are one commit, so that the next
worker goes on behind it and no line is counted twice. One run at a time has an import; its reader gives signs of life
where a file brings no batch for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.locks import only_one
from marketplace.catalog.feeds.batches import Outcome, write_batch
from marketplace.catalog.feeds.columns import tidy
from marketplace.catalog.feeds.items import FeedItem, read_item, readable
from marketplace.catalog.feeds.progress import MOST_ATTEMPTS, ImportNotFound, lock_merchant, move_import
from marketplace.catalog.feeds.reader import FeedLine, FeedReader, FeedUnreadable
from marketplace.catalog.feeds.refusals import RowRefused
from marketplace.catalog.feeds.turns import enqueue_next, is_in_turn
from marketplace.catalog.models import FeedImport, FeedItemChange, FeedRefusal

log = structlog.get_logger(__name__)

BATCH: Final = 500
# A batch is held in memory, several times over: long lines make it shorter.
BATCH_CHARACTERS: Final = 4_000_000
STALLED: Final = timedelta(seconds=90)
BEAT_SECONDS: Final = 20.0
_BROKE_OFF: Final = f"Reading it broke off {MOST_ATTEMPTS} times at one place."
# More refusals than anybody reads; beyond them only the number is kept.
MOST_REFUSALS: Final = 10_000


def run_import(*, import_id: UUID, batch: int = BATCH) -> FeedImport:
    """Read a feed from where it stands to its end; gives the import with its report.

    May run twice or again after a crash; beside another run of the same import it steps back. While it is not
    its turn it stays waiting; what ends before it has it read next. A dry run writes each batch, keeps
    what came of it and takes it back. Raises ImportNotFound.
    """
    with only_one(import_id) as mine:
        if mine:
            return _run(_begin(import_id), batch)
    log.info("feed_import_elsewhere", import_id=str(import_id))
    return FeedImport.objects.get(pk=import_id)


def _run(feed_import: FeedImport, batch: int) -> FeedImport:
    if feed_import.status != FeedImport.Status.RUNNING:
        return feed_import
    with feed_import.file.open("rb") as file:
        # Django's File is a file in all that the reader uses.
        reader = FeedReader(file.file, format=feed_import.format, beat=_heart(feed_import))
        try:
            for lines in _batched(reader, after=feed_import.lines_read, size=batch):
                if not _take_batch(feed_import, lines, position=reader.position):
                    log.info("feed_import_elsewhere", import_id=str(feed_import.pk))
                    return feed_import
        except FeedUnreadable as broken:
            return _end(feed_import, FeedImport.Status.FAILED, reason=str(broken))
    return _end(feed_import, FeedImport.Status.DONE, reason="read to its end")


def stalled_imports() -> list[UUID]:
    """Imports that wait or are read, and that nobody has worked on for a while."""
    return _stalled(FeedImport.Status.WAITING, FeedImport.Status.RUNNING)


def stalled_undoings() -> list[UUID]:
    """The same for those that are rolled back."""
    return _stalled(FeedImport.Status.UNDOING)


def _stalled(*statuses: str) -> list[UUID]:
    stalled = FeedImport.objects.filter(status__in=statuses, touched_at__lt=now() - STALLED)
    return list(stalled.values_list("pk", flat=True))


def _heart(feed_import: FeedImport) -> Callable[[], None]:
    """What notes now and then that the import is worked on."""
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() >= last + BEAT_SECONDS:
            last = time.monotonic()
            FeedImport.objects.filter(pk=feed_import.pk).update(touched_at=now())

    return beat


@transaction.atomic
def _begin(import_id: UUID) -> FeedImport:
    feed_import = FeedImport.objects.select_for_update().filter(pk=import_id).first()
    if feed_import is None:
        raise ImportNotFound("There is no such import.")
    if feed_import.status == FeedImport.Status.WAITING:
        lock_merchant(feed_import.merchant_id)
        if not is_in_turn(feed_import):
            return feed_import
        move_import(feed_import, to=FeedImport.Status.RUNNING, reason="a worker began to read")
    elif feed_import.attempts >= MOST_ATTEMPTS:
        return _end(feed_import, FeedImport.Status.FAILED, reason=_BROKE_OFF)
    feed_import.touched_at = now()
    feed_import.attempts += 1
    feed_import.save(update_fields=["status", "touched_at", "attempts"])
    return feed_import


@transaction.atomic
def _end(feed_import: FeedImport, status: str, *, reason: str) -> FeedImport:
    fresh = FeedImport.objects.select_for_update().get(pk=feed_import.pk)
    if fresh.status != FeedImport.Status.RUNNING:
        return fresh
    move_import(fresh, to=status, reason=reason)
    fresh.ended_at = fresh.touched_at = now()
    fresh.bytes_read = fresh.size
    fresh.error = reason if status == FeedImport.Status.FAILED else ""
    fresh.save(update_fields=["status", "ended_at", "touched_at", "bytes_read", "error"])
    if not fresh.dry_run:
        enqueue_next(fresh.merchant_id)
    return fresh


def _batched(reader: FeedReader, *, after: int, size: int) -> Iterator[list[FeedLine]]:
    """Batches of lines behind `after`; an item id comes once in a batch, so that a later line of it wins."""
    lines: list[FeedLine] = []
    ids: set[str] = set()
    characters = 0
    for line in reader:
        if line.line <= after:
            continue
        cells = line.cells if isinstance(line.cells, dict) else {}
        item_id = tidy("id", cells.get("id", ""))
        if len(lines) == size or characters >= BATCH_CHARACTERS or item_id in ids:
            yield lines
            lines, ids, characters = [], set(), 0
        lines.append(line)
        characters += sum(map(len, cells.values()))
        if item_id:
            ids.add(item_id)
    if lines:
        yield lines


@transaction.atomic
def _take_batch(feed_import: FeedImport, lines: Sequence[FeedLine], *, position: int) -> bool:
    """Write one batch and move on in the file; False when another worker has done so meanwhile."""
    fresh = FeedImport.objects.select_for_update().get(pk=feed_import.pk)
    if fresh.lines_read != feed_import.lines_read or fresh.status != FeedImport.Status.RUNNING:
        return False
    lock_merchant(fresh.merchant_id)
    items, refused = _understand(lines)
    outcome = _write(feed_import, items) if items else Outcome()
    _keep_changes(fresh, outcome)
    refused += [(line, item.item_id, refusal) for line, item, refusal in outcome.refused]
    room = max(0, MOST_REFUSALS - fresh.refused)
    FeedRefusal.objects.bulk_create(
        FeedRefusal(
            feed_import=fresh, line=line, item_id=item_id[:120], code=refusal.code, message=refusal.message
        )
        for line, item_id, refusal in sorted(refused, key=lambda found: found[0])[:room]
    )
    fresh.accepted += outcome.accepted
    fresh.changed += outcome.changed
    fresh.unchanged += outcome.unchanged
    fresh.refused += len(refused)
    fresh.lines_read, fresh.bytes_read, fresh.touched_at = lines[-1].line, position, now()
    fresh.attempts = 0
    fresh.save()
    feed_import.lines_read = fresh.lines_read
    return True


def _write(feed_import: FeedImport, items: Sequence[tuple[int, FeedItem]]) -> Outcome:
    with transaction.atomic():
        outcome = write_batch(merchant=feed_import.merchant, items=items)
        transaction.set_rollback(feed_import.dry_run)
    return outcome


def _keep_changes(feed_import: FeedImport, outcome: Outcome) -> None:
    FeedItemChange.objects.bulk_create(
        FeedItemChange(
            feed_import=feed_import,
            line=change.line,
            item_id=change.item.item_id,
            group_id=change.item.group_id,
            title=change.item.title[:300],
            kind=FeedItemChange.Kind.NEW if change.is_new else FeedItemChange.Kind.CHANGED,
            before=change.diff.before,
            after=change.diff.after,
        )
        for change in outcome.changes
    )


def _understand(
    lines: Sequence[FeedLine],
) -> tuple[list[tuple[int, FeedItem]], list[tuple[int, str, RowRefused]]]:
    items: list[tuple[int, FeedItem]] = []
    refused: list[tuple[int, str, RowRefused]] = []
    at = now()
    for line in lines:
        if isinstance(line.cells, RowRefused):
            refused.append((line.line, readable(line.item_id), line.cells))
            continue
        try:
            items.append((line.line, read_item(line.cells, currency=settings.STORE_CURRENCY, at=at)))
        except RowRefused as refusal:
            refused.append((line.line, readable(line.cells.get("id", "")), refusal))
    return items, refused

"""Taking a feed in: stored, recorded, and read later by a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.core.files.base import File
from django.db import transaction

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid
from marketplace.catalog.feeds.progress import ImportNotFound, lock_merchant
from marketplace.catalog.feeds.turns import enqueue_import
from marketplace.catalog.models import FeedImport, FeedImportStatusChange, FeedItemChange

MOST_BYTES: Final = 1_000_000_000
# How long a feed's file and what it changed are kept, and so how long an import can be rolled back.
KEPT_FOR: Final = timedelta(days=30)
_ENDINGS: Final = {
    ".csv": FeedImport.Format.CSV,
    ".tsv": FeedImport.Format.TSV,
    ".txt": FeedImport.Format.TSV,
    ".jsonl": FeedImport.Format.JSONL,
    ".ndjson": FeedImport.Format.JSONL,
}


class UnknownFormat(Invalid):
    """The file's name does not tell its format and none was given."""

    code = "unknown_format"


class FeedGone(Conflict):
    """The feed's file is no longer kept."""

    code = "feed_gone"


class FeedTooLarge(Invalid):
    """The file is larger than is taken."""

    code = "feed_too_large"


def format_of(filename: str) -> FeedImport.Format:
    """The format by a file's name, gzipped or not. Raises UnknownFormat."""
    plain = filename.lower().removesuffix(".gz")
    for ending, found in _ENDINGS.items():
        if plain.endswith(ending):
            return found
    raise UnknownFormat(
        "The file's name does not say what is in it.",
        hint="Name it .csv, .tsv or .jsonl, with .gz when gzipped.",
    )


def check_upload(*, filename: str, size: int, format: str = "") -> FeedImport.Format:
    """The format that a file will be read as. Raises UnknownFormat, FeedTooLarge."""
    if size > MOST_BYTES:
        raise FeedTooLarge(
            f"A feed has at most {MOST_BYTES // 1_000_000} MB.", hint="Compress it with gzip, or split it."
        )
    return FeedImport.Format(format) if format else format_of(filename)


@transaction.atomic
def start_import(
    *,
    merchant: Organization,
    source: File[bytes],
    by: User | None,
    format: str = "",
    dry_run: bool = False,
    via: str = FeedImport.Via.UPLOAD,
    enqueue: bool = True,
) -> FeedImport:
    """Store a feed and have a worker read it. An empty format is told by the file's name.

    A dry run reports what would change, item by item, and changes nothing. `enqueue=False` leaves the reading to
    the caller (`run_import`). Raises UnknownFormat, FeedTooLarge.
    """
    filename = (source.name or "feed").rsplit("/", 1)[-1][-200:]
    chosen = check_upload(filename=filename, size=source.size, format=format)
    feed_import = FeedImport(
        merchant=merchant, by=by, filename=filename, format=chosen, size=source.size, dry_run=dry_run, via=via
    )
    feed_import.file.save(f"{feed_import.pk}.feed", source, save=False)
    # Under the lock, until it can be seen: whoever comes later is also later by the clock.
    lock_merchant(merchant.pk)
    feed_import.created_at = feed_import.touched_at = now()
    feed_import.save()
    FeedImportStatusChange.objects.create(
        feed_import=feed_import,
        to_status=feed_import.status,
        by=by,
        reason=feed_import.get_via_display().lower(),
    )
    if enqueue:
        enqueue_import(feed_import.pk)
    return feed_import


def import_dry_run(*, import_id: UUID, merchant: Organization, by: User, enqueue: bool = True) -> FeedImport:
    """Import for good the feed that a dry run has read. Raises ImportNotFound, FeedGone."""
    rehearsed = FeedImport.objects.filter(
        pk=import_id, merchant=merchant, dry_run=True, status=FeedImport.Status.DONE
    ).first()
    if rehearsed is None:
        raise ImportNotFound("There is no such dry run.")
    if not rehearsed.file:
        raise FeedGone("The store no longer has this feed.", hint="Upload it again.")
    with rehearsed.file.open("rb") as stored:
        return start_import(
            merchant=merchant, source=File(stored.file, name=rehearsed.filename), by=by,
            format=rehearsed.format, enqueue=enqueue,
        )  # fmt: skip


def forget_old_imports() -> int:
    """Let go of the files and changes of imports that can no longer be rolled back; gives of how many."""
    old = FeedImport.objects.filter(ended_at__lt=now() - KEPT_FOR).exclude(file="")
    forgotten = 0
    for feed_import in old.iterator(chunk_size=50):
        FeedItemChange.objects.filter(feed_import=feed_import).delete()
        feed_import.file.delete(save=False)
        FeedImport.objects.filter(pk=feed_import.pk).update(file="")
        forgotten += 1
    return forgotten

"""Taking a feed in: stored, recorded, and read later by a worker."""

from __future__ import annotations

from typing import Final

from celery import current_app
from django.core.files.base import File
from django.db import transaction

from agentstore.identity.models import Organization, User
from agentstore.kit.errors import Invalid
from marketplace.catalog.models import FeedImport, FeedImportStatusChange

MOST_BYTES: Final = 1_000_000_000
_ENDINGS: Final = {
    ".csv": FeedImport.Format.CSV,
    ".tsv": FeedImport.Format.TSV,
    ".txt": FeedImport.Format.TSV,
    ".jsonl": FeedImport.Format.JSONL,
    ".ndjson": FeedImport.Format.JSONL,
}
_TASK: Final = "marketplace.catalog.tasks.import_feed"


class UnknownFormat(Invalid):
    """The file's name does not tell its format and none was given."""

    code = "unknown_format"


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
    *, merchant: Organization, source: File[bytes], by: User | None, format: str = "", enqueue: bool = True
) -> FeedImport:
    """Store a feed and have a worker read it. An empty format is told by the file's name.

    `enqueue=False` leaves the reading to the caller (`run_import`). Raises UnknownFormat, FeedTooLarge.
    """
    filename = (source.name or "feed").rsplit("/", 1)[-1][-200:]
    chosen = check_upload(filename=filename, size=source.size, format=format)
    feed_import = FeedImport(merchant=merchant, by=by, filename=filename, format=chosen, size=source.size)
    feed_import.file.save(f"{feed_import.pk}.feed", source, save=False)
    feed_import.save()
    FeedImportStatusChange.objects.create(
        feed_import=feed_import, to_status=feed_import.status, by=by, reason="uploaded"
    )
    if enqueue:
        import_id = str(feed_import.pk)
        transaction.on_commit(lambda: current_app.send_task(_TASK, args=[import_id]))
    return feed_import

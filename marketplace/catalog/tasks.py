"""Background work of the catalogue. Tasks named `index_*` run in the queue `index`, one at a time."""

from __future__ import annotations

import time
from typing import Final
from uuid import UUID

from celery import shared_task

from marketplace.catalog.feeds.intake import forget_old_imports
from marketplace.catalog.feeds.pulling import due_sources, pull_source
from marketplace.catalog.feeds.runner import run_import, stalled_imports, stalled_undoings
from marketplace.catalog.feeds.undo import roll_back_import
from marketplace.catalog.hostile.examining import examine_products
from marketplace.catalog.photo_links import fetch_photos
from marketplace.catalog.price_history import forget_old_prices
from marketplace.catalog.sale_turns import turn_sales
from marketplace.catalog.search.embedding import embed_waiting, forget_stale_vectors
from marketplace.catalog.search.indexing import IndexBusy, drain_outbox, ensure_index

# How long one run writes to the index before texts get their turn: a long feed never lets the outbox end.
_DRAIN_SECONDS: Final = 4.0
# How long one run embeds before price and stock changes get their turn again.
_EMBED_SECONDS: Final = 1.5
# How long one run fetches photographs before other work gets its turn.
_FETCH_SECONDS: Final = 10.0
# How long one run judges texts before other work gets its turn.
_EXAMINE_SECONDS: Final = 4.0


@shared_task(expires=5)
def index_outbox() -> None:
    """Write to the index what changed since the last run, then embed some of the texts without a vector."""
    try:
        ensure_index()
        until = time.monotonic() + _DRAIN_SECONDS
        while drain_outbox() and time.monotonic() < until:
            pass
    except IndexBusy:
        # A rebuild is under way; what changed waits in the outbox.
        return
    until = time.monotonic() + _EMBED_SECONDS
    while embed_waiting() and time.monotonic() < until:
        pass


@shared_task
def index_forget() -> None:
    """Delete the vectors of texts that no product has any more."""
    forget_stale_vectors()


@shared_task
def import_feed(import_id: str) -> None:
    """Read an uploaded feed from where it stands."""
    run_import(import_id=UUID(import_id))


@shared_task
def pull_feed(source_id: str) -> None:
    """Fetch a merchant's feed, if it is due."""
    pull_source(source_id=UUID(source_id))


@shared_task
def pull_due_feeds() -> None:
    """Fetch each feed whose time has come."""
    for source_id in due_sources():
        pull_feed.delay(str(source_id))


@shared_task
def turn_dated_sales() -> None:
    """Let filters and sorting know of sales that have begun or ended."""
    while turn_sales():
        pass


@shared_task(expires=20)
def fetch_waiting_photos() -> None:
    """Fetch photographs that feeds name, for a while."""
    until = time.monotonic() + _FETCH_SECONDS
    while fetch_photos() and time.monotonic() < until:
        pass


@shared_task(expires=5)
def examine_texts() -> None:
    """Judge texts that are new, have changed or were judged by an older detector, for a while."""
    until = time.monotonic() + _EXAMINE_SECONDS
    while examine_products() and time.monotonic() < until:
        pass


@shared_task
def undo_feed(import_id: str) -> None:
    """Roll an import back from where that stands."""
    roll_back_import(import_id=UUID(import_id))


@shared_task
def resume_imports() -> None:
    """Go on with imports and roll backs whose worker died."""
    for import_id in stalled_imports():
        import_feed.delay(str(import_id))
    for import_id in stalled_undoings():
        undo_feed.delay(str(import_id))


@shared_task
def forget_imports() -> None:
    """Let go of feeds and changes that nobody can roll back any more."""
    forget_old_imports()


@shared_task
def forget_prices() -> None:
    """Let go of earlier prices that no reduction is compared with."""
    forget_old_prices()

"""From status to status: imports read or rolled back, one merchant's never at the same instant."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from agentstore.identity.models import User
from agentstore.kit.errors import NotFound
from agentstore.kit.locks import wait_turn
from marketplace.catalog.models import FeedImport, FeedImportStatusChange

# In a row without a batch. Others wait for it, so it may not be tried for ever.
MOST_ATTEMPTS: Final = 10


class ImportNotFound(NotFound):
    """There is no such import."""

    code = "import_not_found"


def move_import(feed_import: FeedImport, *, to: str, reason: str, by: User | None = None) -> None:
    """Set an import's status, unsaved, and leave the row that says who and why. The caller holds its lock."""
    FeedImportStatusChange.objects.create(
        feed_import=feed_import, from_status=feed_import.status, to_status=to, by=by, reason=reason
    )
    feed_import.status = to


def lock_merchant(merchant_id: UUID) -> None:
    """Imports of one merchant take turns, batch by batch; the lock ends with the transaction."""
    wait_turn(str(merchant_id))

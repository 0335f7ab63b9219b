"""Status rows of usage events, written in bulk."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import connection

from agentstore.kit.clock import now

_RECORD = """
INSERT INTO billing_usageeventchange (event_id, status, at, by, reason)
SELECT id, %s, %s, %s, %s FROM unnest(%s::uuid[]) AS e(id)
"""


def record_changes(event_ids: Iterable[uuid.UUID] | str, *, status: str, by: str, reason: str) -> None:
    """One status row for each of these events: what it is now, when, by whom, why.

    Their ids, or PostgreSQL's text of an array of them.
    """
    ids = event_ids if isinstance(event_ids, str) else list(event_ids)
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [str(status), now(), by, reason[:200], ids])

"""The marks of closes and statements lie below every transaction that still runs, in whatever database of the server:
another worker's test may hold them back.
"""

from __future__ import annotations

import time

from django.db import connection

_LOOKS, _PAUSE = 600, 0.05


def until_all_is_seen() -> None:
    """Wait until whatever was committed before this call lies below the mark; 30 seconds at most."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        now = cursor.fetchone()[0]
        for _ in range(_LOOKS):
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            if cursor.fetchone()[0] > now:
                return
            time.sleep(_PAUSE)
    raise AssertionError("a transaction elsewhere does not end")

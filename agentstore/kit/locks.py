"""One at a time across processes, by PostgreSQL's advisory locks: gone with the connection of whoever dies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def only_one(thing: uuid.UUID) -> Iterator[bool]:
    """Whether this is the only work on a thing at the moment. Never waits, and needs no transaction."""
    key = thing.int % 2**63
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])

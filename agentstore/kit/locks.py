"""One at a time across processes, by PostgreSQL's advisory locks: gone with the connection of whoever dies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def only_one(thing: uuid.UUID, *, wait: bool = False) -> Iterator[bool]:
    """Whether this is the only work on a thing at the moment. Needs no transaction; waits only when told to."""
    key = thing.int % 2**63
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_lock(%s)", [key])
        else:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        mine = wait or bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


def wait_turn(name: str) -> None:
    """Waits until no other transaction has the turn of this name, and keeps it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])

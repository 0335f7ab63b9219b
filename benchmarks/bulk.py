"""Millions of rows in minutes: what a table keeps for each row is put aside while they come, and made again for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection

# Unique and foreign keys; a primary key is small, filled in order, and what foreign keys refer to.
_KEYS = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('u', 'f') ORDER BY contype DESC
"""
_INDEXES = """
SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index WHERE indrelid = ANY(%s::regclass[])
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
"""


@contextmanager
def loading(tables: Sequence[str]) -> Iterator[None]:
    """Without these tables' indexes, keys and triggers until the end, when each is made again: keys over all rows."""
    with connection.cursor() as cursor:
        put_aside: list[tuple[str, str]] = []
        for query in (_KEYS, _INDEXES):
            cursor.execute(query, [list(tables)])
            put_aside += cursor.fetchall()
        for drop, _ in put_aside:
            cursor.execute(drop)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute("SET work_mem = '256MB'; SET maintenance_work_mem = '1GB'")
        yield
        for _, make in put_aside:
            cursor.execute(make)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("RESET work_mem; RESET maintenance_work_mem")

"""The stand-in's state in one SQLite file: objects, answers kept for idempotency keys, the webhook outbox.

Each API call is one transaction, so a kill leaves either all of its effects (its events included) or none.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Object = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, json TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, seq);
CREATE TABLE IF NOT EXISTS answer (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (
    event_id TEXT PRIMARY KEY, attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL,
    delivered_at REAL, last_error TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (next_at) WHERE delivered_at IS NULL;
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), offset_seconds REAL NOT NULL);
INSERT OR IGNORE INTO clock VALUES (1, 0);
"""


class Store:
    """Objects by id and kind. One writer at a time; safe to use from several threads."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; calls of other threads wait."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def now(self) -> int:
        """Unix seconds by the stand-in's own clock."""
        with self._lock:
            (offset,) = self._db.execute("SELECT offset_seconds FROM clock").fetchone()
        return int(time.time() + offset)

    def advance(self, seconds: float) -> int:
        """Move the clock; the new time."""
        with self._lock:
            self._db.execute("UPDATE clock SET offset_seconds = offset_seconds + ?", (seconds,))
        return self.now()

    def new_id(self, prefix: str) -> str:
        """`pi_…`: a prefix and 24 random characters, as long as Stripe's."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def put(self, thing: Object) -> Object:
        """Create or replace an object by its id."""
        self._db.execute(
            "INSERT INTO object (id, kind, json) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET json = excluded.json",
            (thing["id"], thing["object"], json.dumps(thing)),
        )
        return thing

    def get(self, id_: str, kind: str | None = None) -> Object | None:
        """The object of this id (and kind), or None."""
        with self._lock:
            row = self._db.execute("SELECT kind, json FROM object WHERE id = ?", (id_,)).fetchone()
        if row is None or (kind is not None and row[0] != kind):
            return None
        found: Object = json.loads(row[1])
        return found

    def newest(
        self,
        kind: str,
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
        account: str = "",
        created: dict[str, int] | None = None,
        equal: dict[str, str] | None = None,
    ) -> tuple[list[Object], bool]:
        """Objects of a kind and an account, newest first, after or before one of them; and whether there are more.

        `created` bounds the time by an operator of SQL each.
        """
        where, values = ["kind = ?", "coalesce(json_extract(json, '$._account'), '') = ?"], [kind, account]
        if after is not None:
            where.append("seq < (SELECT seq FROM object WHERE id = ?)")
            values.append(after)
        if before is not None:
            where.append("seq > (SELECT seq FROM object WHERE id = ?)")
            values.append(before)
        for operator, seconds in (created or {}).items():
            where.append(f"CAST(json_extract(json, '$.created') AS INTEGER) {operator} CAST(? AS INTEGER)")
            values.append(str(seconds))
        for name, value in (equal or {}).items():
            where.append(f"json_extract(json, '$.{name}') = ?")
            values.append(value)
        order = "ASC" if before else "DESC"
        query = f"SELECT json FROM object WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"  # noqa: S608 (names come from our own table of filters)
        with self._lock:
            rows = self._db.execute(query, (*values, str(limit + 1))).fetchall()
        found = [json.loads(row[0]) for row in rows[:limit]]
        return found[::-1] if before else found, len(rows) > limit

    def every(self, kind: str, account: str = "", **equal: str) -> list[Object]:
        """All objects of a kind and an account, oldest first."""
        things, _ = self.newest(kind, limit=1_000_000, account=account, equal=equal)
        return things[::-1]

    def forget(self) -> None:
        """Everything but the clock."""
        for table in ("object", "answer", "outbox"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 (our own names)

    def answer(self, key: str) -> tuple[str, int, str] | None:
        """What was answered under an idempotency key: the request's digest, the status, the body."""
        row = self._db.execute("SELECT request, status, body FROM answer WHERE key = ?", (key,)).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def keep_answer(self, key: str, request: str, status: int, body: str) -> None:
        """Remember an answer for its idempotency key."""
        self._db.execute("INSERT INTO answer VALUES (?, ?, ?, ?)", (key, request, status, body))

    def enqueue(self, event_id: str) -> None:
        """Put an event in the outbox, or back into it."""
        self._db.execute(
            "INSERT INTO outbox (event_id, next_at) VALUES (?, ?)"
            " ON CONFLICT (event_id) DO UPDATE"
            " SET delivered_at = NULL, attempts = 0, next_at = excluded.next_at",
            (event_id, time.time()),
        )

    def due(self, limit: int = 20) -> list[tuple[str, int]]:
        """Undelivered events whose time has come, oldest first, with the attempts made."""
        with self._lock:
            return self._db.execute(
                "SELECT o.event_id, o.attempts FROM outbox o JOIN object e ON e.id = o.event_id"
                " WHERE o.delivered_at IS NULL AND o.next_at <= ? ORDER BY e.seq LIMIT ?",
                (time.time(), limit),
            ).fetchall()

    def delivered(self, event_id: str) -> None:
        """The receiver has it."""
        with self._lock:
            self._db.execute(
                "UPDATE outbox SET delivered_at = ?, last_error = '' WHERE event_id = ?",
                (time.time(), event_id),
            )

    def failed(self, event_id: str, error: str, wait_seconds: float) -> None:
        """It did not arrive; try again after a while."""
        with self._lock:
            self._db.execute(
                "UPDATE outbox SET attempts = attempts + 1, last_error = ?, next_at = ? WHERE event_id = ?",
                (error[:500], time.time() + wait_seconds, event_id),
            )

    def undelivered(self) -> int:
        """How many events still wait."""
        with self._lock:
            (count,) = self._db.execute("SELECT count(*) FROM outbox WHERE delivered_at IS NULL").fetchone()
        return int(count)

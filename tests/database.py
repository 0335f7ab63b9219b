"""The database of a test run: emptied after each test that commits, and reached by processes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.db.models.signals import post_migrate


def database_url() -> str:
    """Its address, password included, as DATABASE_URL takes it."""
    settings = {name: quote(str(value), safe="") for name, value in connection.settings_dict.items() if value}
    password = f":{settings['PASSWORD']}" if "PASSWORD" in settings else ""
    return f"postgres://{settings['USER']}{password}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"


def may_ignore_triggers() -> bool:
    """Whether the run's own role may leave foreign keys and the ledger's refusals aside."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])


def somebody_waits_for_a_lock() -> bool:
    """Whether another connection stands still because of a lock of this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


# What migrating fills and no test changes: making it anew takes longer than emptying all that a test filled.
_OF_THE_CODE: Final = frozenset({"django_content_type", "auth_permission"})


def empty_quickly() -> None:
    """Empty the database after a test that commits by `flush_filled`, and make nothing anew."""
    DatabaseOperations.sql_flush = flush_filled  # type: ignore[method-assign,assignment]
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)


def flush_filled(self: DatabaseOperations, style: Any, tables: Sequence[str], **_: Any) -> list[str]:
    """In the place of Django's `sql_flush`: a test fills a few of the tables, and to truncate all of them costs more
    than most tests do.
    """
    names = [self.quote_name(table) for table in tables if table not in _OF_THE_CODE]
    looks = [f"SELECT {i} WHERE EXISTS (SELECT FROM {name})" for i, name in enumerate(names)]  # noqa: S608
    with self.connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        filled = [names[i] for (i,) in cursor.fetchall()]
    # Only for this transaction: neither foreign keys nor the ledger's triggers fire.
    return ["SET LOCAL session_replication_role = replica", *map("DELETE FROM {}".format, filled)]

"""Liveness and readiness for whatever supervises the processes."""

from __future__ import annotations

from typing import Final

import psycopg
from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError

# Whoever asks gives up soon; a page waits longer for its connection (settings.DATABASES).
_SECONDS: Final = 3


def alive(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok", content_type="text/plain")


def ready(request: HttpRequest) -> JsonResponse:
    """The process and the services it needs answer; 503 names what does not."""
    missing = []
    try:
        _ask_database()
    except (DatabaseError, psycopg.Error):
        missing.append("database")
    try:
        cache.get("readyz")
    except RedisError:
        missing.append("valkey")
    return JsonResponse({"ready": not missing, "missing": missing}, status=503 if missing else 200)


def _ask_database() -> None:
    pool = getattr(connection, "pool", None)
    if pool is None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return
    pool.open()
    with pool.connection(timeout=_SECONDS) as found:
        found.execute("SELECT 1")

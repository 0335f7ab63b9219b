"""Newest first, by cursor: pages of things that grow for ever."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from agentstore.kit.pagination import MalformedCursor, Page, decode_cursor, encode_cursor

PER_PAGE = 30

M = TypeVar("M", bound=Model)


def newest(rows: QuerySet[M], *, cursor: str | None, by: str = "", size: int = PER_PAGE) -> Page[M]:
    """A page of rows, newest first: by a time field, or without one by their UUIDv7 keys, which sort by time.

    Raises MalformedCursor.
    """
    if cursor:
        instant, row_id = _position(cursor)
        older = Q(pk__lt=row_id)
        if by:
            same: dict[str, Any] = {by: instant, "pk__lt": row_id}
            rows = rows.filter(**{f"{by}__lte": instant})
            older = Q(**{f"{by}__lt": instant}) | Q(**same)
        rows = rows.filter(older)
    order = [f"-{by}", "-pk"] if by else ["-pk"]
    found = list(rows.order_by(*order)[: size + 1])
    if len(found) <= size:
        return Page(found)
    last = found[size - 1]
    return Page(found[:size], encode_cursor([getattr(last, by).isoformat() if by else "", str(last.pk)]))


def _position(cursor: str) -> tuple[datetime | None, uuid.UUID]:
    instant, row_id = decode_cursor(cursor, parts=2)
    try:
        return (datetime.fromisoformat(instant) if instant else None), uuid.UUID(row_id)
    except (TypeError, ValueError, AttributeError) as broken:
        raise MalformedCursor("this cursor is of another listing") from broken

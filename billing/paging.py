"""Newest first, by cursor: pages of things that grow for ever."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from agentstore.kit.pagination import MalformedCursor, Page, decode_cursor, encode_cursor

PER_PAGE = 30

M = TypeVar("M", bound=Model)


def newest(rows: QuerySet[M], *, by: str, cursor: str | None, size: int = PER_PAGE) -> Page[M]:
    """A page of rows with UUID keys, newest first by a time field. Raises MalformedCursor."""
    if cursor:
        position = decode_cursor(cursor, parts=2)
        try:
            instant, row_id = datetime.fromisoformat(position[0]), uuid.UUID(position[1])
        except (TypeError, ValueError) as broken:
            raise MalformedCursor("this cursor is of another listing") from broken
        same: dict[str, Any] = {by: instant, "pk__lt": row_id}
        rows = rows.filter(**{f"{by}__lte": instant}).filter(Q(**{f"{by}__lt": instant}) | Q(**same))
    found = list(rows.order_by(f"-{by}", "-pk")[: size + 1])
    if len(found) <= size:
        return Page(found)
    last = found[size - 1]
    return Page(found[:size], encode_cursor([getattr(last, by).isoformat(), str(last.pk)]))

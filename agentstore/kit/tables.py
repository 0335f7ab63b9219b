"""Tables as CSV (RFC 4180), streamed: any number of rows in constant memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from django.core.handlers.asgi import ASGIRequest
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from agentstore.kit.threads import in_thread, release_request_thread

M = TypeVar("M", bound=Model)
Row = Sequence[object]
# The rows after a place, None for the first ones, and the next place, None at the end.
Read = Callable[[Any], tuple[Sequence[Row], Any]]
_BATCH: Final = 500
# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection).
_ACTIVE: Final = ("=", "+", "-", "@", "\t", "\r")


def in_batches(rows: QuerySet[M], render: Callable[[list[M]], Sequence[Row]], *, size: int = _BATCH) -> Read:
    """Read a query in the order of its keys, `size` rows at a time; no cursor is held between two batches."""

    def read(after: Any) -> tuple[Sequence[Row], Any]:
        left = rows if after is None else rows.filter(pk__gt=after)
        found = list(left.order_by("pk")[:size])
        return render(found), found[-1].pk if len(found) == size else None

    return read


def stream_csv(
    request: HttpRequest, *, filename: str, header: Sequence[str], read: Read, exact: bool = False
) -> StreamingHttpResponse:
    """A download. Text that a spreadsheet would take for a formula gets an apostrophe, unless `exact` is asked for.

    Between two batches it holds neither a thread nor a database connection (of an ASGI server).
    """

    def text(rows: Sequence[Row]) -> bytes:
        buffer = io.StringIO()
        csv.writer(buffer).writerows(rows if exact else [[_inert(cell) for cell in row] for row in rows])
        return buffer.getvalue().encode()

    def lines() -> Iterator[bytes]:
        yield text([header])
        after = None
        while True:
            rows, after = read(after)
            yield text(rows)
            if after is None:
                return

    async def released() -> AsyncIterator[bytes]:
        await release_request_thread()
        yield text([header])
        after = None
        while True:
            rows, after = await in_thread(read, after)
            yield text(rows)
            if after is None:
                return

    content = released() if isinstance(request, ASGIRequest) else lines()
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-store"
    return response


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_ACTIVE) else cell

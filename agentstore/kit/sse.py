"""Server-sent events (WHATWG HTML, section 9.2) over Django's async streaming."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from django.http import StreamingHttpResponse

from agentstore.kit.threads import release_request_thread


def format_event(*, event: str, data: Any, id: str | None = None) -> bytes:
    """One event as the wire wants it; `data` is sent as one line of JSON."""
    lines = [f"id: {id}"] if id else []
    lines += [f"event: {event}", f"data: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}"]
    return ("\n".join(lines) + "\n\n").encode()


def comment(text: str = "") -> bytes:
    """A comment line, which keeps proxies from closing an idle stream."""
    return f": {text}\n\n".encode()


def event_stream(events: AsyncIterator[bytes]) -> StreamingHttpResponse:
    """A response that streams events, while which it holds neither a thread nor a database connection."""

    async def released() -> AsyncIterator[bytes]:
        await release_request_thread()
        async for event in events:
            yield event

    response = StreamingHttpResponse(released(), content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response

"""How much one sandbox may ask at once, and how large: kept before anything of a request reaches the store."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPDisconnectEvent,
    Scope,
)
from django.conf import settings

from agentstore.kit.errors import StoreError


class BodyTooLarge(StoreError):
    """The request's body is larger than GATEWAY_MAX_BODY_BYTES."""

    code = "body_too_large"
    status = 413


class Pace:
    """At most `per_second` in the long run, `burst` at once; who comes too early waits.

    A token bucket, kept as the time at which the next one would be due (GCRA, ITU-T I.371).
    """

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._interval = 1 / per_second
        self._slack = burst * self._interval
        self._due = 0.0

    async def turn(self) -> None:
        """Returns when it is the caller's turn."""
        at = time.monotonic()
        self._due = max(self._due, at - self._slack) + self._interval
        if self._due > at:
            await asyncio.sleep(self._due - at)


class Bounded:
    """An application as one sandbox sees it: a few requests at once, paced, with bodies of a bounded size.

    Django writes a body to the disk before a view sees it, so an endless one has to be stopped here.
    """

    def __init__(self, application: ASGI3Application) -> None:
        self._application = application
        self._at_once = asyncio.Semaphore(settings.GATEWAY_REQUESTS_AT_ONCE)
        rate = settings.GATEWAY_REQUESTS_PER_SECOND
        self._pace = Pace(per_second=rate, burst=rate)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        limit = int(settings.GATEWAY_MAX_BODY_BYTES)
        taken, started = 0, False

        async def bounded_receive() -> ASGIReceiveEvent:
            nonlocal taken
            event = await receive()
            if event["type"] == "http.request":
                taken += len(event["body"])
                if taken > limit:
                    return HTTPDisconnectEvent(type="http.disconnect")
            return event

        async def noted_send(event: ASGISendEvent) -> None:
            nonlocal started
            started = True
            await send(event)

        await self._pace.turn()
        if _declared(scope) > limit:
            await _refuse(send, limit)
            return
        async with self._at_once:
            await self._application(scope, bounded_receive, noted_send)
        if taken > limit and not started:
            await _refuse(send, limit)


def _declared(scope: Any) -> int:
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


async def _refuse(send: ASGISendCallable, limit: int) -> None:
    error = BodyTooLarge("The request is too large.", hint=f"Send at most {limit} bytes.")
    body = json.dumps(error.as_problem()).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})

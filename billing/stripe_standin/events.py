"""Events, and their signed delivery from the outbox: at least once, in order where nothing fails."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time

import httpx

from billing.stripe_standin.store import Store
from billing.stripe_standin.wire import Answer, Call, listing, missing, visible

_LONGEST_WAIT = 60.0
_POLL_SECONDS = 0.2


def signature(body: str, secret: str, at: int | None = None) -> str:
    """Stripe's header: `t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">` (docs.stripe.com/webhooks)."""
    stamp = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def retrieve(call: Call) -> Answer:
    """GET /v1/events/{id}"""
    return 200, call.find("event", call.ids[0])


def list_events(call: Call) -> Answer:
    """GET /v1/events"""
    return listing(call, "event", "/v1/events", "type")


def resend(call: Call) -> Answer:
    """POST /_standin/events/{id}/resend: deliver an event again, as Stripe's dashboard can."""
    event = call.store.get(call.ids[0], "event")
    if event is None:
        raise missing("event", call.ids[0])
    call.store.enqueue(event["id"])
    return 200, event


async def deliver_forever(store: Store, url: str, secret: str) -> None:
    """Post what the outbox holds until cancelled. A delivery that was not acknowledged is repeated."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        while True:
            for event_id, attempts in await asyncio.to_thread(store.due):
                await _deliver(store, http, url, secret, event_id, attempts)
            await asyncio.sleep(_POLL_SECONDS)


async def _deliver(
    store: Store, http: httpx.AsyncClient, url: str, secret: str, event_id: str, attempts: int
) -> None:
    event = store.get(event_id, "event")
    if event is None:
        return
    body = json.dumps(visible(event), indent=2)
    headers = {"Content-Type": "application/json", "Stripe-Signature": signature(body, secret)}
    try:
        answer = await http.post(url, content=body.encode(), headers=headers)
        error = "" if answer.is_success else f"HTTP {answer.status_code}"
    except httpx.HTTPError as away:
        error = f"{type(away).__name__}: {away}"
    if error:
        store.failed(event_id, error, min(_LONGEST_WAIT, 0.5 * 2 ** min(attempts, 10)))
    else:
        store.delivered(event_id)

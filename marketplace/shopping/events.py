"""What happens in a conversation, written to its stream in Valkey (docs/guides/events.md is the reference).

An event is told after the row that it speaks of is committed: the stream may be lost, the rows say what was.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
import structlog
from django.conf import settings

from agentstore.kit.threads import unbroken

log = structlog.get_logger(__name__)

VERSION = 1
# Enough for the longest turn, cheap enough for very many conversations.
_KEEP_EVENTS = 4000
_KEEP_SECONDS = 48 * 3600
_ID = re.compile(r"[0-9]{1,16}-[0-9]{1,10}")
BEGINNING = "0-0"


class Name(StrEnum):
    """The names of events, as they stand in the `event:` line."""

    MESSAGE_DELTA = "message.delta"
    MESSAGE_DONE = "message.done"
    RECOMMENDATION = "recommendation"
    NEGOTIATION = "negotiation"
    CART_UPDATED = "cart.updated"
    STATUS = "status"
    TURN_DONE = "turn.done"
    TURN_FAILED = "turn.failed"


ENDS_A_TURN = frozenset({Name.TURN_DONE, Name.TURN_FAILED})


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it was read: its place in the stream, its name, its data."""

    id: str
    name: str
    data: dict[str, Any]


def stream_key(conversation_id: uuid.UUID) -> str:
    """Where the events of a conversation are."""
    return f"chat:{conversation_id.hex}"


def wake_channel(conversation_id: uuid.UUID) -> str:
    """Where it is said that there is something new in a stream."""
    return f"chat-wake:{conversation_id.hex}"


def is_event_id(text: str) -> bool:
    """Whether a text has the form of an id in a stream (`1700000000000-0`)."""
    return _ID.fullmatch(text) is not None


def tell(conversation_id: uuid.UUID, name: Name, **data: Any) -> None:
    """Append an event from synchronous code. Without Valkey nothing is shown live; nothing else is lost."""
    try:
        with _client().pipeline(transaction=False) as pipeline:
            _append(pipeline, conversation_id, name, data)
            pipeline.execute()
    except redis.RedisError:
        log.warning("event_not_told", conversation=str(conversation_id), event_name=str(name), exc_info=True)


async def atell(conversation_id: uuid.UUID, name: Name, **data: Any) -> None:
    """`tell` for coroutines."""

    async def send() -> None:
        async with async_client().pipeline(transaction=False) as pipeline:
            _append(pipeline, conversation_id, name, data)
            await pipeline.execute()

    try:
        await unbroken(send())
    except redis.RedisError:
        log.warning("event_not_told", conversation=str(conversation_id), event_name=str(name), exc_info=True)


def _append(pipeline: Any, conversation_id: uuid.UUID, name: Name, data: dict[str, Any]) -> None:
    key = stream_key(conversation_id)
    body = json.dumps({"v": VERSION, **data}, separators=(",", ":"), ensure_ascii=False)
    pipeline.xadd(key, {"event": str(name), "data": body}, maxlen=_KEEP_EVENTS, approximate=True)
    pipeline.expire(key, _KEEP_SECONDS)
    pipeline.publish(wake_channel(conversation_id), "")


async def read_after(conversation_id: uuid.UUID, after: str, *, count: int = 500) -> list[Event]:
    """The events after a place in the stream, the oldest first."""
    return await _range(conversation_id, f"({after}", count)


async def read_at(conversation_id: uuid.UUID, place: str, *, count: int) -> list[Event]:
    """The events from a place on, itself included."""
    return await _range(conversation_id, place, count)


async def _range(conversation_id: uuid.UUID, start: str, count: int) -> list[Event]:
    async def read() -> Any:
        return await async_client().xrange(stream_key(conversation_id), min=start, count=count)

    return [_event(row) for row in await unbroken(read())]


def said(conversation_id: uuid.UUID, turn_id: uuid.UUID) -> str:
    """What the page has been told of an answer: the pieces of one turn, joined."""
    try:
        rows: Any = _client().xrange(stream_key(conversation_id))
    except redis.RedisError:
        return ""
    pieces = (event for event in map(_event, rows) if event.name == Name.MESSAGE_DELTA)
    return "".join(piece.data["text"] for piece in pieces if piece.data.get("turn") == str(turn_id))


def last_event_id(conversation_id: uuid.UUID) -> str:
    """Where a page that has just been rendered begins to read; `0-0` for a stream without events."""
    try:
        rows: Any = _client().xrevrange(stream_key(conversation_id), count=1)
    except redis.RedisError:
        return BEGINNING
    return _event(rows[0]).id if rows else BEGINNING


def forget(conversation_id: uuid.UUID) -> None:
    """Delete a conversation's stream."""
    _client().delete(stream_key(conversation_id))


def _event(row: Sequence[Any]) -> Event:
    place, fields = row
    return Event(place.decode(), fields[b"event"].decode(), json.loads(fields[b"data"]))


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=5)


async def close_client() -> None:
    """Close the running event loop's client: for loops that end before their process does."""
    client = _async_clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


_async_clients: WeakKeyDictionary[Any, redis.asyncio.Redis] = WeakKeyDictionary()
_CONNECTIONS, _PATIENCE_SECONDS = 32, 10


def async_client() -> redis.asyncio.Redis:
    """The running event loop's client: connections belong to the loop that opened them."""
    loop = asyncio.get_running_loop()
    client = _async_clients.get(loop)
    if client is None:
        # A crowd that tells at once waits for a connection: one more than the pool has would lose what is told.
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            settings.VALKEY_URL, max_connections=_CONNECTIONS, timeout=_PATIENCE_SECONDS
        )
        client = _async_clients[loop] = redis.asyncio.Redis.from_pool(pool)
    return client

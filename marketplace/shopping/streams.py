"""Reading conversations' streams: many readers in one process, one connection to Valkey that wakes them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import redis
import structlog

from agentstore.kit import sse
from agentstore.kit.threads import unbroken
from marketplace.shopping import events
from marketplace.shopping.events import ENDS_A_TURN, Event

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 15.0
# A browser reconnects by itself; no stream, and no forgotten tab, lives for ever.
_LIFE_SECONDS = 1800.0
_RETRY_MILLISECONDS = 1000
_AGAIN_SECONDS = 1.0


class WakeUps:
    """Tells readers in this event loop that there is something new. A lost wake-up costs one heartbeat."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._pubsub: Any = None
        self._listener: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def of(self, conversation_id: uuid.UUID) -> AsyncIterator[asyncio.Event]:
        """An asyncio.Event that is set whenever the conversation has something new."""
        channel = events.wake_channel(conversation_id)
        bell = asyncio.Event()
        async with self._lock:
            first = not self._waiting[channel]
            self._waiting[channel].add(bell)
            await self._listen()
            if first:
                with suppress(redis.RedisError):
                    await unbroken(self._pubsub.subscribe(channel))
        try:
            yield bell
        finally:
            self._waiting[channel].discard(bell)
            if not self._waiting[channel]:
                del self._waiting[channel]
                with suppress(redis.RedisError):
                    await unbroken(self._pubsub.unsubscribe(channel))

    async def close(self) -> None:
        """Stop listening; for event loops that end before their process does."""
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener

    async def _listen(self) -> None:
        if self._listener is not None and not self._listener.done():
            return
        await self._subscribe()
        self._listener = asyncio.create_task(self._ring(), name="chat wake-ups")

    async def _subscribe(self) -> None:
        self._pubsub = events.async_client().pubsub()
        with suppress(redis.RedisError):
            # "chat-wake" stays, so that the connection is never without a subscription.
            await unbroken(self._pubsub.subscribe("chat-wake", *self._waiting))

    async def _ring(self) -> None:
        while True:
            try:
                async for message in self._pubsub.listen():
                    channel = message["channel"]
                    name = channel.decode() if isinstance(channel, bytes) else str(channel)
                    for bell in self._waiting.get(name, ()):
                        bell.set()
            except redis.RedisError:
                log.warning("wake_ups_lost", exc_info=True)
            finally:
                with suppress(redis.RedisError):
                    await self._pubsub.aclose()
            await asyncio.sleep(_AGAIN_SECONDS)
            await self._subscribe()


_wake_ups: WeakKeyDictionary[Any, WakeUps] = WeakKeyDictionary()


def wake_ups() -> WakeUps:
    """The running event loop's."""
    loop = asyncio.get_running_loop()
    found = _wake_ups.get(loop)
    if found is None:
        found = _wake_ups[loop] = WakeUps()
    return found


async def close_wake_ups() -> None:
    """Stop the running event loop's."""
    found = _wake_ups.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()


async def follow(
    conversation_id: uuid.UUID,
    *,
    after: str,
    heartbeat: float = HEARTBEAT_SECONDS,
    life: float = _LIFE_SECONDS,
) -> AsyncIterator[Event | None]:
    """The conversation's events after a place, as they come; None when there was nothing for a heartbeat."""
    until = time.monotonic() + life
    async with wake_ups().of(conversation_id) as bell:
        while time.monotonic() < until:
            bell.clear()
            try:
                found = await events.read_after(conversation_id, after)
            except redis.RedisError:
                # Reading goes on where it stopped once Valkey is back.
                found = []
            for event in found:
                after = event.id
                yield event
            if found:
                continue
            try:
                await asyncio.wait_for(bell.wait(), heartbeat)
            except TimeoutError:
                yield None


async def as_server_sent(conversation_id: uuid.UUID, *, after: str) -> AsyncIterator[bytes]:
    """`follow` as the wire wants it: events with ids, heartbeats as comments."""
    yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
    async for event in follow(conversation_id, after=after):
        if event is None:
            yield sse.comment("still here")
        else:
            yield sse.format_event(event=event.name, data=event.data, id=event.id)


async def is_finished(conversation_id: uuid.UUID, after: str) -> bool:
    """Whether nothing came after this place and the event there ended a turn."""
    found = await events.read_at(conversation_id, after, count=2)
    if len(found) != 1:
        return not found and after != events.BEGINNING
    return found[0].id == after and found[0].name in ENDS_A_TURN

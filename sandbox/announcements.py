"""Tells those who wait that a sandbox is ready (or failed), that a place came free, or what was asked about
one, through Valkey.

An announcement only shortens a wait: who waits looks at the rows again anyway, so that a lost one costs no
more than the time of a look.
"""

from __future__ import annotations

import asyncio
import functools
import time
import uuid

import redis
import redis.asyncio
from django.conf import settings

from agentstore.kit.threads import unbroken
from sandbox.places import stack_name

_KEEP_SECONDS = 30
# More than ever wait for the same sandbox: the calls of one conversation.
_COPIES = 4


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL)


def _key(sandbox_id: uuid.UUID | None) -> str:
    return f"sandbox:{stack_name()}:{'place' if sandbox_id is None else sandbox_id.hex}"


def announce(sandbox_id: uuid.UUID) -> None:
    """The sandbox's start has come to an end, good or bad."""
    _push(_key(sandbox_id))


def announce_place() -> None:
    """A place came free."""
    _push(_key(None))


def _push(key: str) -> None:
    try:
        pipeline = _client().pipeline(transaction=False)
        pipeline.lpush(key, *["1"] * _COPIES)
        pipeline.ltrim(key, 0, 15)
        pipeline.expire(key, _KEEP_SECONDS)
        pipeline.execute()
    except redis.RedisError:
        return


def answer(ask: str, text: str) -> None:
    """Give what was asked for under this name to who waits for it."""
    try:
        pipeline = _client().pipeline(transaction=False)
        pipeline.lpush(_answer_key(ask), text)
        pipeline.expire(_answer_key(ask), _KEEP_SECONDS)
        pipeline.execute()
    except redis.RedisError:
        return


async def await_answer(ask: str, *, seconds: float) -> str | None:
    """What `answer` gave under this name, None when nothing came within `seconds`."""

    async def listen() -> str | None:
        async with redis.asyncio.Redis.from_url(settings.VALKEY_URL, decode_responses=True) as client:
            found = await client.blpop([_answer_key(ask)], timeout=seconds)
            return None if found is None else str(found[1])

    try:
        return await unbroken(listen())
    except redis.RedisError:
        return None


def _answer_key(ask: str) -> str:
    return f"sandbox:{stack_name()}:answer:{ask}"


def wait(sandbox_id: uuid.UUID | None, *, seconds: float) -> None:
    """Return when the sandbox (None: a place) is announced, at the latest after `seconds`."""
    started = time.monotonic()
    try:
        _client().blpop([_key(sandbox_id)], timeout=seconds)
    except redis.RedisError:
        time.sleep(max(0.0, min(seconds, 0.1) - (time.monotonic() - started)))


async def await_(sandbox_id: uuid.UUID | None, *, seconds: float) -> None:
    """`wait` for async callers."""

    async def listen() -> None:
        async with redis.asyncio.Redis.from_url(settings.VALKEY_URL) as client:
            await client.blpop([_key(sandbox_id)], timeout=seconds)

    try:
        await unbroken(listen())
    except redis.RedisError:
        await asyncio.sleep(min(seconds, 0.1))

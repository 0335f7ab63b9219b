"""Synchronous code, the ORM above all, called from coroutines without keeping a thread or a connection."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections

P = ParamSpec("P")
T = TypeVar("T")

# Tasks that nobody awaits: the event loop itself holds only weak references to them.
_background: set[asyncio.Task[Any]] = set()


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a worker thread; the database connections it opened are given back when it ends."""

    def run() -> T:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await sync_to_async(run, thread_sensitive=False)()


def start_background(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Run a coroutine on after the request that started it; it sees nothing of that request's context.

    Work that lasts calls synchronous code by `in_thread`. A thread-sensitive call takes a thread with a database
    connection, which are given back at the work's end only: a crowd of such works empties the pool.
    """

    async def run() -> Any:
        async with ThreadSensitiveContext():
            try:
                return await work
            finally:
                await release_request_thread()

    task = asyncio.get_running_loop().create_task(run(), name=name, context=contextvars.Context())
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Await something that must not be cancelled half-way: it goes on, though whoever awaits it is cancelled.

    A command to Valkey is such a thing: its client takes a cancellation for a lost connection and swallows it.
    """
    task = asyncio.ensure_future(work)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return await asyncio.shield(task)


async def release_request_thread() -> None:
    """Give back the thread and the connections that are kept for the present request, or for work in the background.

    Django's ASGI handler runs synchronous middleware in a thread of the request's own, which lives until the response
    is closed: for a stream, that would be one idle thread per reader. A later thread-sensitive call gets a new one.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or context not in SyncToAsync.context_to_thread_executor:
        return
    await sync_to_async(connections.close_all)()
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)


def release_connection() -> None:
    """Give this thread's database connection back before a wait for the outside; the next query takes another.

    Inside a transaction there is nothing to give.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if not connection.in_atomic_block:
        connection.close()

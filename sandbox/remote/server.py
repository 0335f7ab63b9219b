"""The door server of a sandbox host: joins a caller that has the key to one claimed sandbox of this host.

It runs nothing and decides nothing: it looks the sandbox up, opens its socket as carefully as anybody on this host
would (`doors.open_socket`), and passes bytes on until one side ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from typing import Any

import structlog
from django.conf import settings

from agentstore.kit.threads import in_thread
from sandbox import doors
from sandbox.doors import local_door
from sandbox.failures import AgentFailure
from sandbox.hosts import this_host
from sandbox.models import Sandbox
from sandbox.remote import preface
from sandbox.remote.door import split_address
from sandbox.remote.preface import BrokenPreface, Request

log = structlog.get_logger(__name__)
_PREFACE_SECONDS = 5.0
# No turn and no answer takes longer; a caller that does not end by itself is ended.
_LONGEST_SECONDS = 900.0
_PER_SANDBOX = 8
_PIECE = 16 * 1024


class DoorServer:
    """Serves until `close`; at most SANDBOX_DOOR_CONNECTIONS callers at once, eight of them per sandbox."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open = 0
        self._by_sandbox: dict[uuid.UUID, int] = {}
        self._tasks: set[asyncio.Task[Any] | None] = set()

    async def start(self, address: str) -> int:
        """Listen at `host:port`; the port, which the system chooses for 0. Raises OSError."""
        host, port = split_address(address)
        self._server = await asyncio.start_server(
            self._serve, host or None, port, limit=2 * _PIECE, ssl=server_context(), backlog=256
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        tasks = [task for task in self._tasks if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
        self._open += 1
        try:
            if self._open > settings.SANDBOX_DOOR_CONNECTIONS:
                return
            async with asyncio.timeout(_PREFACE_SECONDS):
                request, nonce = await _introduced(reader, writer)
            await self._answer(request, nonce, reader, writer)
        except BrokenPreface as broken:
            log.warning("sandbox.door_refused", peer=_peer(writer), why=str(broken))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the caller went away, or never came to the point
        finally:
            self._open -= 1
            self._tasks -= {task}
            writer.transport.abort()

    async def _answer(
        self, request: Request, nonce: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        sandbox_id = request.sandbox_id
        refusal = await in_thread(_refusal, request)
        if not refusal and self._by_sandbox.get(sandbox_id, 0) >= _PER_SANDBOX:
            refusal = "busy"
        if refusal:
            await _finish(writer, preface.refusal(refusal))
            return
        self._by_sandbox[sandbox_id] = self._by_sandbox.get(sandbox_id, 0) + 1
        try:
            yes = preface.consent(request, server_nonce=nonce)
            if request.verb == "log":
                await _finish(writer, yes + (await in_thread(doors.read_log, sandbox_id)).encode())
                return
            try:
                agent_reader, agent_writer = await local_door(sandbox_id).connect()
            except AgentFailure as failed:
                await _finish(writer, preface.refusal(failed.code))
                return
            if request.verb == "look":
                agent_writer.transport.abort()
                await _finish(writer, yes)
                return
            writer.write(yes)
            await _join(reader, writer, agent_reader, agent_writer)
        finally:
            self._by_sandbox[sandbox_id] -= 1
            if not self._by_sandbox[sandbox_id]:
                del self._by_sandbox[sandbox_id]


async def _introduced(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[Request, str]:
    nonce = preface.new_nonce()
    writer.write(preface.greeting(nonce))
    await writer.drain()
    line = await reader.readuntil(b"\n")
    try:
        return preface.read_request(line, server_nonce=nonce), nonce
    except BrokenPreface:
        await _finish(writer, preface.refusal("refused"))
        raise


def _refusal(request: Request) -> str:
    """Why not; empty when this host has the sandbox and its status allows it. One query."""
    found = Sandbox.objects.filter(pk=request.sandbox_id, host=this_host()).values_list("status").first()
    if found is None:
        return "unknown_sandbox"
    if request.verb != "log" and found[0] != Sandbox.Status.CLAIMED:
        return "not_claimed"
    return ""


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    agent_reader: asyncio.StreamReader,
    agent_writer: asyncio.StreamWriter,
) -> None:
    """Pass bytes on in both directions until the agent has ended or the caller has gone."""
    there = asyncio.create_task(_pass_on(reader, agent_writer))
    back = asyncio.create_task(_pass_on(agent_reader, writer))
    try:
        # A caller that ends its side has gone: none of ours stops sending and still listens.
        await asyncio.wait({there, back}, timeout=_LONGEST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if back.done():
            await _finish(writer, b"")
    finally:
        for task in (there, back):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
        agent_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()


async def _finish(writer: asyncio.StreamWriter, last: bytes) -> None:
    """Say the last bytes and wait until they are on their way, for what follows is an abort."""
    writer.write(last)
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PREFACE_SECONDS):
            await writer.drain()
            writer.close()
            await writer.wait_closed()


def server_context() -> ssl.SSLContext | None:
    """How to speak TLS to callers; None without SANDBOX_DOOR_TLS_CERT. Raises OSError for a wrong file."""
    if not settings.SANDBOX_DOOR_TLS_CERT:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.SANDBOX_DOOR_TLS_CERT, settings.SANDBOX_DOOR_TLS_KEY or None)
    return context


def _peer(writer: asyncio.StreamWriter) -> str:
    return str(writer.get_extra_info("peername"))

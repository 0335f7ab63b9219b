"""Agents without a container: plain Unix socket servers, well-behaved or hostile."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from agentstore.kit.clock import now
from sandbox.models import Sandbox
from sandbox.places import door_dir, socket_path
from sandbox.spec import RunSpec
from sandbox.tokens import mint_token

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(path: Path, talk: Talk) -> AsyncIterator[Path]:
    """A server that reads a request's head and then talks as told."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(handle, path)
    try:
        yield path
    finally:
        server.close()


def answer(body: bytes, *, content_type: str = "application/json", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def saying(data: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return talk


def repeating(first: bytes, again: bytes, *, pause: float = 0) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """Something that accepts connections at a path, as a living sandbox's relay does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(64)
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            try:
                server.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def warm_row(spec: RunSpec, *, tenant: str = "version-1", **fields) -> tuple[Sandbox, str]:
    """A warm sandbox's row as a start leaves it, and its token. Where it listens is up to the caller."""
    token = mint_token()
    row = Sandbox.objects.create(
        image_id=spec.image_id, tenant=tenant, spec=spec.as_json(), spec_key=spec.fingerprint,
        **{"status": Sandbox.Status.WARM, "token_hash": token.digest, "ready_at": now(), **fields},
    )  # fmt: skip
    door_dir(row.pk).mkdir(parents=True, exist_ok=True)
    return row, token.text


__all__ = ["answer", "listening", "repeating", "saying", "serving", "socket_path", "warm_row"]

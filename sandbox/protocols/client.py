"""An HTTP/1.1 client for answers that were written to hurt.

One total deadline whatever drips in; caps on header bytes, body bytes, interim (1xx) answers and the number
of pieces; no redirects, no content codings, no connection reuse. Parsing is h11's; only the limits are ours.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11

from sandbox.doors import Door
from sandbox.failures import AgentFailure, Fault

HEADER_BYTES = 16 * 1024
# Where a caller names no limit of its own.
BODY_BYTES = 1024 * 1024
INTERIM_ANSWERS = 4
# A body of single bytes would cost us far more to parse than the agent to send.
PIECES = 20_000
_READ_BYTES = 16 * 1024


def agent_failed(code: str, message: str) -> AgentFailure:
    """A failure that is the agent's."""
    return AgentFailure(message, fault=Fault.AGENT, code=code)


@dataclass
class Answer:
    """The head of an answer and its body, to be read once."""

    status: int
    content_type: str
    limit: int
    _connection: h11.Connection = field(repr=False)
    _reader: asyncio.StreamReader = field(repr=False)

    async def pieces(self, limit: int | None = None) -> AsyncIterator[bytes]:
        """The body as it comes. Raises AgentFailure `answer_too_large` beyond `limit` bytes, or those of the
        exchange.
        """
        limit = self.limit if limit is None else limit
        size = count = 0
        while True:
            event = await _next_event(self._connection, self._reader)
            if isinstance(event, h11.Data):
                size += len(event.data)
                count += 1
                if size > limit or count > PIECES:
                    raise agent_failed("answer_too_large", "The agent's answer is larger than is allowed.")
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise agent_failed("connection_lost", "The agent broke its answer off.")

    async def read(self, limit: int | None = None) -> bytes:
        """All of the body."""
        return b"".join([piece async for piece in self.pieces(limit)])


@asynccontextmanager
async def exchange(
    door: Door,
    *,
    deadline: float,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    answer_bytes: int = BODY_BYTES,
) -> AsyncIterator[Answer]:
    """One request and its answer, everything within `deadline` seconds; `body` is sent as JSON. The answer's
    body has at most `answer_bytes`.

    Raises AgentFailure: `turn_timeout`, `connection_lost`, `bad_answer`, `headers_too_large`, `redirect`,
    `encoded_answer`, `not_listening`, `sandbox_gone`, `unsafe_socket`;
    `host_lost` where the sandbox's host went away, which is ours.
    """
    try:
        async with asyncio.timeout(deadline):
            reader, writer = await door.connect()
            try:
                yield await _send(reader, writer, method, target, body, headers or {}, answer_bytes)
            finally:
                # Not closed politely: the other side could keep us waiting with what we still have to write.
                writer.transport.abort()
    except TimeoutError as late:
        failure = agent_failed("turn_timeout", f"The agent did not finish within {deadline:g} seconds.")
        raise await door.explain(failure) from late
    except (OSError, EOFError) as lost:
        failure = agent_failed("connection_lost", "The agent closed the connection.")
        raise await door.explain(failure) from lost
    except AgentFailure as failed:
        raise (
            await door.explain(failed) if failed.code == "connection_lost" else failed
        ) from failed.__cause__
    except h11.RemoteProtocolError as broken:
        if broken.error_status_hint == 431:
            raise agent_failed("headers_too_large", "The agent's answer has too large headers.") from broken
        raise agent_failed("bad_answer", "The agent's answer is not valid HTTP.") from broken


async def _send(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    target: str,
    body: Any,
    headers: dict[str, str],
    answer_bytes: int,
) -> Answer:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_BYTES)
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    head = {
        "Host": "agent", "Connection": "close", "Accept-Encoding": "identity",
        "Content-Length": str(len(content)), **headers,
    }  # fmt: skip
    if body is not None:
        head["Content-Type"] = "application/json"
    writer.write(
        connection.send(h11.Request(method=method, target=target, headers=list(head.items()))) or b""
    )
    if content:
        writer.write(connection.send(h11.Data(data=content)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    for _ in range(INTERIM_ANSWERS + 1):
        event = await _next_event(connection, reader)
        if isinstance(event, h11.InformationalResponse):
            continue
        if isinstance(event, h11.Response):
            return _checked(event, connection, reader, answer_bytes)
        raise agent_failed("connection_lost", "The agent closed the connection without an answer.")
    raise agent_failed("bad_answer", "The agent sends interim answers without end.")


def _checked(
    response: h11.Response, connection: h11.Connection, reader: asyncio.StreamReader, answer_bytes: int
) -> Answer:
    headers = {name.decode("ascii", "replace"): value for name, value in response.headers}
    if 300 <= response.status_code < 400:
        raise agent_failed("redirect", "The agent answered with a redirect, which is not followed.")
    if headers.get("content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        raise agent_failed("encoded_answer", "The agent compressed its answer, which was not asked for.")
    content_type = headers.get("content-type", b"").decode("latin-1").split(";")[0].strip().lower()
    return Answer(response.status_code, content_type, answer_bytes, connection, reader)


async def _next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        data = await reader.read(_READ_BYTES)
        if not data and connection.their_state is not h11.SEND_BODY:
            raise agent_failed("connection_lost", "The agent closed the connection without an answer.")
        connection.receive_data(data)
        if not data:
            return _at_the_end(connection)


def _at_the_end(connection: h11.Connection) -> Any:
    """What the end of the connection means: of the answer too, or that it was cut off, by whomever."""
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as cut:
        raise agent_failed("connection_lost", "The agent broke its answer off.") from cut

"""Reads server-sent events (WHATWG HTML, section 9.2) from pieces of bytes, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sandbox.protocols.client import agent_failed

# The longest line that is kept waiting for its end.
LINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name (`message` when it has none) and its data lines, joined."""

    event: str
    data: str


async def read_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """The events in a stream. Raises AgentFailure `bad_answer` for a line without end or text that is no
    UTF-8.
    """
    name, data = "", list[str]()
    async for line in _lines(pieces):
        if not line:
            if data:
                yield ServerEvent(name or "message", "\n".join(data))
            name, data = "", []
            continue
        if line.startswith(":"):
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data.append(value)
    if data:
        yield ServerEvent(name or "message", "\n".join(data))


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > LINE_BYTES:
            raise agent_failed("bad_answer", "A line of the agent's event stream has no end.")
        for line in whole:
            yield _text(line)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as broken:
        raise agent_failed("bad_answer", "The agent's event stream is not UTF-8.") from broken

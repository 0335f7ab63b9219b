"""uvicorn's HTTP/1.1 protocol for callers that mean harm.

The parser is h11, in Python and with a bound on what it buffers: a stranger's bytes reach no parser in C here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h11
from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from sandbox.gateway_server.lines import Line

HEADER_BYTES = 16 * 1024


class LineProtocol(H11Protocol):
    """One connection of a line; `scope["client"]` is the sandbox's id in hex, or None where there is none.

    A request has to be there as a whole within GATEWAY_REQUEST_SECONDS, an idle connection has as long for its
    next one, and an answer that is not taken for as long is given up.
    """

    def __init__(self, line: Line) -> None:
        super().__init__(line.config, line.state, {})
        self._line = line
        self.app = line.application
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of a Unix socket's peer nothing is known but the socket that it came through."""
        super().connection_made(transport)  # type: ignore[arg-type]  # a socket's transport is a Transport
        self.client = None if self._line.sandbox_id is None else (self._line.sandbox_id.hex, 0)
        self._line.connections.add(self)
        self._expect_request()
        if self._line.is_closed:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Its place on the line is free again."""
        self._cancel_timers()
        super().connection_lost(exc)
        self._line.connections.discard(self)
        self._line.free.release()

    def data_received(self, data: bytes) -> None:
        """Ends the wait once a request is complete."""
        super().data_received(data)
        self._end_wait()

    def on_response_complete(self) -> None:
        """The next request is awaited."""
        self._expect_request()
        super().on_response_complete()
        # The next one may have been sent along with the last.
        self._end_wait()

    def pause_writing(self) -> None:
        """The caller does not take what it asked for."""
        super().pause_writing()
        self._stalled = self._abort_later()

    def resume_writing(self) -> None:
        """It goes on taking."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def send_400_response(self, msg: str) -> None:
        """Without the pretence of an orderly end: an answer may be under way, and must not fail loudly."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.transport.close()

    def _expect_request(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._abort_later()

    def _end_wait(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY) and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _abort_later(self) -> asyncio.TimerHandle:
        return self.loop.call_later(settings.GATEWAY_REQUEST_SECONDS, self.transport.abort)

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()

"""The container contract as a small server: GET /ping, POST /invocations answered as a stream of text.

An answer is a function that takes a Turn and gives text, whole or piece by piece. An exception in it ends the
stream with an error event, so that the store can tell the shopper at once.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from agentstore_sdk.store import Store

log = logging.getLogger("agentstore")
_BODY_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Turn:
    """One message of the shopper with what came before. `messages` ends with the present one."""

    prompt: str
    messages: list[dict[str, str]]
    conversation: str
    turn: str
    locale: str
    currency: str
    attachments: list[dict[str, Any]]
    consents: list[str]
    store: Store

    @property
    def earlier(self) -> list[str]:
        """What the shopper said before, the oldest first."""
        said = [message.get("content", "") for message in self.messages if message.get("role") == "user"]
        return said[:-1] if said and said[-1] == self.prompt else said


Answer = Callable[[Turn], str | Iterable[str]]


def serve(answer: Answer, *, port: int | None = None, store: Store | None = None) -> None:
    """Serve until the process is ended. `port` is PORT of the environment, else 8080."""
    make_server(answer, port=port, store=store).serve_forever()


def make_server(
    answer: Answer, *, port: int | None = None, store: Store | None = None
) -> ThreadingHTTPServer:
    """The server without running it. Port 0 takes a free one."""
    number = int(os.environ.get("PORT", "8080")) if port is None else port
    handler = type("Handler", (_Handler,), {"answer": staticmethod(answer), "store": store})
    server = ThreadingHTTPServer(("0.0.0.0", number), handler)  # noqa: S104  (the sandbox has loopback only)
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: ClassVar[Answer]
    store: ClassVar[Store | None]
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        if self.path.split("?")[0] == "/ping":
            self._send(200, {"status": "Healthy"})
        else:
            self._send(404, {"error": "not found"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.path.split("?")[0] != "/invocations" or length > _BODY_BYTES:
            self._send(404, {"error": "not found"})
            return
        try:
            turn = self._turn(json.loads(self.rfile.read(length)))
        except (ValueError, TypeError) as broken:
            self._send(400, {"error": f"the request is no turn: {broken}"})
            return
        self._stream(turn)

    def _turn(self, raw: dict[str, Any]) -> Turn:
        return Turn(
            prompt=str(raw.get("prompt", "")),
            messages=list(raw.get("messages") or []),
            conversation=str(raw.get("conversation", "")),
            turn=str(raw.get("turn", "")),
            locale=str(raw.get("locale") or "en-US"),
            currency=str(raw.get("currency") or "USD"),
            attachments=list(raw.get("attachments") or []),
            consents=list(raw.get("consents") or []),
            store=self._store(),
        )

    def _store(self) -> Store:
        with self._lock:
            if type(self).store is None:
                type(self).store = Store()
            found = type(self).store
        assert found is not None  # noqa: S101  (set above)
        return found

    def _stream(self, turn: Turn) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            said = type(self).answer(turn)
            for piece in [said] if isinstance(said, str) else said:
                if piece:
                    self._event({"text": piece})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            log.info("the store hung up")
        except Exception as error:
            log.exception("the answer failed")
            self._event({"error": f"{type(error).__name__}: {error}"})
        self.close_connection = True

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode())
        self.wfile.flush()

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Health checks would fill the log."""
        if "/ping" not in str(args[0] if args else ""):
            log.info(format, *args)

"""Web servers of the tests' own, for what the store fetches from outside.

127.0.0.1 stands for the internet (it is allowed), 127.0.0.2 for what must never be reached.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Server(ThreadingHTTPServer):
    """Answers each path by a function and remembers who asked."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), Handler)
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.stop = threading.Event()

    def url(self, path: str, host: str = "") -> str:
        return f"http://{host or str(self.server_address[0])}:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        self.server.answers[self.path](self)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.posted.append((self.path, dict(self.headers), content))
        self.server.answers[self.path](self)

    def log_message(self, *args: object) -> None:
        pass


def body(content: bytes, status: int = 200, **headers: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def lead_to(url: str) -> Callable[[Handler], None]:
    return body(b"", 302, Location=url)


@pytest.fixture
def servers(settings):
    """The internet and the inside."""
    settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    pair = [Server("127.0.0.1"), Server("127.0.0.2")]
    threads = [
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}) for server in pair
    ]
    for thread in threads:
        thread.start()
    pair[1].answers["/secret"] = body(b"inside")
    yield pair
    for server, thread in zip(pair, threads, strict=True):
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()

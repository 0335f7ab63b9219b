"""The web process's application on a port, served by uvicorn in a thread of the test."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
import uvloop
from django.conf import settings
from django.test import Client

from agentstore.identity.models import User
from marketplace.shopping import events, streams
from tests.conversations.world import until


class Web:
    """A running web server, and browsers that are signed in at it."""

    def __init__(self) -> None:
        from agentstore.asgi import application

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await application(scope, receive, send)

        config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        async def serve() -> None:
            await self._server.serve()
            await streams.close_wake_ups()
            await events.close_client()

        # The loop that the real process has.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self.loop = runner.get_loop()
            runner.run(serve())

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def browser(self, user: User | None = None) -> httpx.Client:
        """A client with the cookies of a person who signed in."""
        client = Client()
        if user is not None:
            client.force_login(user)
        client.get("/privacy/")
        cookies = {name: morsel.value for name, morsel in client.cookies.items()}
        token = cookies.get(settings.CSRF_COOKIE_NAME, "x" * 32)
        cookies[settings.CSRF_COOKIE_NAME] = token
        headers = {"X-CSRFToken": token, "Accept": "application/json"}
        return httpx.Client(base_url=self.address, cookies=cookies, headers=headers, timeout=15)


@dataclass(frozen=True)
class Told:
    """One server-sent event."""

    id: str
    name: str
    data: Any


@contextmanager
def listening(browser: httpx.Client, conversation_id: object, **query: Any) -> Iterator[Iterator[Told]]:
    """The events of a conversation as a browser hears them."""
    headers = query.pop("headers", {})
    url = f"/chat/{conversation_id}/events"
    with browser.stream("GET", url, params=query, headers=headers) as answer:
        assert answer.status_code == 200, answer.status_code
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[Told]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if not line and "event" in fields:
            yield Told(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
        elif line and not line.startswith(":"):
            fields[name] = value

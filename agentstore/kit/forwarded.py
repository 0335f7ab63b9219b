"""Proxies whose word about a caller is not believed (uvicorn's `FORWARDED_ALLOW_IPS`): said once, not passed over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


def tell_of_untrusted_proxies(app: App) -> App:
    """The application, and one warning a process when `X-Forwarded-For` comes from a peer that is not trusted.

    Then all who come through that proxy are one caller, and share its limits. Where the header was believed, uvicorn
    has put an address of it in the peer's place.
    """
    told = False

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal told
        if not told and scope["type"] == "http":
            said = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
            peer = (scope.get("client") or ("",))[0]
            if said and peer not in said.decode("latin1"):
                told = True
                log.warning("proxy_not_trusted", peer=peer, check="agentstore.W002")
        await app(scope, receive, send)

    return wrapped

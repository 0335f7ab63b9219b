"""A platform's profile, as its own server tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from marketplace.catalog.ucp.versions import APRIL
from marketplace.shopping.ucp.negotiation import CAPABILITIES, ORDER, extends
from tests.web import Handler, body

PATH = "/profile.json"


def document(
    capabilities: Collection[str] = CAPABILITIES, *, version: str = APRIL, webhook: str = "", **more: Any
) -> dict[str, Any]:
    """A whole profile with these capabilities."""
    spec = f"https://ucp.dev/{version}/specification/overview"
    declared: dict[str, Any] = {}
    for name in capabilities:
        entry: dict[str, Any] = {"version": version, "spec": spec, "schema": "https://ucp.dev/schema.json"}
        entry |= extends(name)
        if name == ORDER and webhook:
            entry["config"] = {"webhook_url": webhook}
        declared[name] = [entry]
    ucp = {"version": version, "services": {}, "capabilities": declared, "payment_handlers": {}}
    return {"ucp": ucp, **more}


def telling(told: Any, **headers: str) -> Callable[[Handler], None]:
    """A server's answer: this document, to be kept for five minutes."""
    return body(json.dumps(told).encode(), 200, Cache_Control="public, max-age=300", **headers)

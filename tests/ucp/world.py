"""The store behind TLS, with goods of two merchants, and a platform that buys there."""

from __future__ import annotations

import json
import ssl
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from django.core.cache import cache
from django.test import Client

from agentstore.identity.services import create_organization
from agentstore.kit.clock import now
from marketplace.catalog.models import Offer, Product, Variant
from marketplace.catalog.outbox import announce_products
from marketplace.catalog.ucp.versions import APRIL
from marketplace.shopping.models import UcpProfile
from marketplace.shopping.ucp.negotiation import CAPABILITIES
from tests.cast import person
from tests.certificates import self_signed
from tests.conversations.world import until
from tests.orders.world import sell

PROFILE = "https://agent.example/ucp"
SOMEBODY_ELSE = "https://charlie.example/ucp"
ADDRESS = {
    "id": "home", "first_name": "Sam", "last_name": "Doe", "street_address": "1 Main St",
    "address_locality": "Springfield", "postal_code": "12345", "address_country": "US",
}  # fmt: skip
SHIPPING = {
    "methods": [{"type": "shipping", "destinations": [ADDRESS], "selected_destination_id": "home"}]
}  # fmt: skip


def variant(offer: Offer) -> str:
    """What programs call the thing that is offered."""
    return offer.variant.public_id


def card(method: str = "pm_card_visa") -> dict[str, Any]:
    """A payment by one of the processor's test cards."""
    credential = {"type": "token", "token": method}
    instrument = {"id": "one", "handler_id": "processor_token", "type": "card", "credential": credential}
    return {"payment": {"instruments": [instrument]}}


def introduce(profile: str, **fields: Any) -> UcpProfile:
    """A platform whose profile was fetched a moment ago, and that can do all that the store can."""
    capabilities = {name: [APRIL] for name in CAPABILITIES}
    told = {"version": APRIL, "capabilities": capabilities, "fresh_until": now() + timedelta(days=9999)}
    return UcpProfile.objects.update_or_create(profile=profile, defaults=told | fields)[0]


class Platform:
    """A program that speaks UCP to the store, over REST and over MCP."""

    def __init__(self, profile: str = PROFILE) -> None:
        self.profile = profile
        self.client = Client()

    def rest(self, method: str, path: str, body: Any = None, *, status: int = 200, key: str = "") -> Any:
        """Call `/ucp/<path>`; the answer's body."""
        answer = self.client.generic(
            method, f"/ucp/{path}", json.dumps(body) if body is not None else b"", content_type="application/json",
            headers={"UCP-Agent": f'profile="{self.profile}"', "Idempotency-Key": key or str(uuid.uuid4())},
        )  # fmt: skip
        assert answer.status_code == status, answer.content
        return answer.json()

    def tool(self, name: str, **arguments: Any) -> Any:
        """Call an MCP tool; its result."""
        meta = {"ucp-agent": {"profile": self.profile}}
        params = {"name": name, "arguments": {"meta": meta, **arguments}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = self.client.post("/ucp/mcp", data=body, content_type="application/json")
        return answer.json()["result"]

    def checkout(self, *items: str, quantity: int = 1, **fields: Any) -> Any:
        """A checkout with these items that only has to be paid."""
        lines = [{"item": {"id": item}, "quantity": quantity} for item in items]
        body = {"line_items": lines, "fulfillment": SHIPPING, **fields}
        return self.rest("POST", "checkout-sessions", body, status=201)


@pytest.fixture
def platform(db) -> Platform:
    cache.clear()
    introduce(PROFILE)
    introduce(SOMEBODY_ELSE)
    return Platform()


class Goods:
    """What is for sale: two merchants' things, and one that is sold out."""

    def __init__(self) -> None:
        introduce(PROFILE)
        introduce(SOMEBODY_ELSE)
        mia, noah = person("Mia"), person("Noah")
        self.audio = create_organization(kind="merchant", name="Audio Haus", owner=mia)
        self.tea = create_organization(kind="merchant", name="Tea House", owner=noah)
        self.headphones = sell(self.audio, "Headphones", "99.00", stock=500)
        self.kettle = sell(self.tea, "Kettle", "35.50", stock=500, category="Kitchen")
        self.sold_out = sell(self.tea, "Teapot", "20.00", stock=0, category="Kitchen")
        self.wine = sell(self.tea, "Wine", "15.00", min_age=21, category="Grocery")
        for offer in (self.headphones, self.kettle, self.sold_out, self.wine):
            offer.refresh_from_db()


@pytest.fixture
def goods(db) -> Goods:
    return Goods()


@pytest.fixture
def more_goods(goods: Goods) -> Variant:
    """A dozen mugs, to have pages of; and one variant of a shirt that comes in two sizes."""
    for number in range(12):
        sell(goods.tea, f"Mug {number}", "9.00", category="Kitchen")
    shirt = Product.objects.create(owner=goods.audio, group_id="shirt", title="Shirt")
    for size in ("S", "M"):
        variant = Variant.objects.create(
            product=shirt, owner=goods.audio, item_id=f"shirt-{size}", title=size, options={"Size": size}
        )
        Offer.objects.create(
            variant=variant, merchant=goods.audio, price_micros=20_000_000, currency="USD", on_hand=5
        )
    announce_products({product.pk for product in Product.objects.all()})
    return variant


class Web:
    """The store's application behind TLS 1.3, on a port, served in a thread."""

    def __init__(self, directory: Path) -> None:
        from agentstore.asgi import application

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await application(scope, receive, send)

        certificate, key = self_signed(directory)
        config = uvicorn.Config(
            app, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1,
            ssl_certfile=str(certificate), ssl_keyfile=str(key),
        )  # fmt: skip
        config.load()
        assert config.ssl
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"https://localhost:{port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture
def web(transactional_db, settings, tmp_path):
    """The store behind TLS, under the address that its profile tells."""
    cache.clear()
    server = Web(tmp_path)
    settings.SITE_URL = server.address
    yield server
    server.stop()

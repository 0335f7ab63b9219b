"""A platform that is told of its orders, and verifies what it is told with nothing of the store's."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from django.core.cache import cache

from agentstore.kit.clock import now
from marketplace.catalog.models import Offer
from marketplace.shopping import refunds
from marketplace.shopping.models import Order, UcpOrderEvent
from tests.orders.world import Processor
from tests.ucp.profiles import PATH, document, telling
from tests.ucp.world import Platform, card, variant
from tests.web import Server, body

HOOK = "/hooks/orders?channel=7"


class Receiver(Platform):
    """At a server of its own, which has its profile and takes its events."""

    def __init__(self, server: Server, name: str = "") -> None:
        super().__init__(server.url(name + PATH))
        self.server, self.hook = server, name + HOOK
        server.answers[name + PATH] = telling(document(webhook=server.url(self.hook)))
        self.take()

    def take(self, status: int = 200) -> None:
        """Answer events with this status."""
        self.server.answers[self.hook] = body(b"{}", status)

    def told(self) -> list[dict[str, Any]]:
        """The orders that it was told of, in the order of their coming."""
        return [json.loads(content) for _, content in self.posts()]

    def posts(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers, by small letters, and bodies."""
        return [
            ({name.lower(): value for name, value in headers.items()}, content)
            for path, headers, content in self.server.posted
            if path == self.hook
        ]

    def verify(self, headers: dict[str, str], content: bytes, jwk: dict[str, str]) -> list[str]:
        """Check digest and signature by RFC 9421 and 9530; which components are covered. Raises InvalidSignature."""
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert headers["content-digest"] == f"sha-256=:{digest}:"
        label, _, parameters = headers["signature-input"].partition("=")
        covered = re.findall(r'"([^"]+)"', parameters[: parameters.index(")")])
        assert f'keyid="{jwk["kid"]}"' in parameters
        target = urlsplit(self.server.url(self.hook))
        derived = {
            "@method": "POST", "@authority": target.netloc, "@path": target.path, "@query": f"?{target.query}",
        }  # fmt: skip
        lines = [f'"{name}": {derived.get(name) or headers[name]}' for name in covered]
        base = "\n".join([*lines, f'"@signature-params": {parameters}']).encode()
        raw = base64.b64decode(headers["signature"].partition("=")[2].strip(":"))
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        x, y = (
            int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "=" * (-len(jwk[name]) % 4)), "big")
            for name in ("x", "y")
        )
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        assert label == "sig1"
        key.verify(encode_dss_signature(r, s), base, ec.ECDSA(SHA256()))
        return covered


@pytest.fixture
def receiver(goods, servers, processor) -> Receiver:
    cache.clear()
    return Receiver(servers[0])


def buy(platform: Platform, *offers: Offer, method: str = "pm_card_visa") -> Any:
    """Buy each; the answer to the completion."""
    checkout = platform.checkout(*map(variant, offers))
    return platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card(method))


def refund(order: Order, processor: Processor) -> None:
    """Send the whole order's money back, as far as the processor's event."""
    made = refunds.refund_whole(order=order, reason="It leaks.")
    refunds.send_refund(refund_id=made.pk)
    processor.deliver()


def make_due() -> None:
    UcpOrderEvent.objects.filter(status="pending").update(due_at=now())

"""A gateway on the loopback address, over HTTP as agents reach it: a small catalogue and the store's
refusals.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.bundles import AGENTS, ROOT

sys.path[:0] = [str(ROOT / "sdk"), str(AGENTS / "concierge")]

from agentstore_sdk import Store  # noqa: E402  (needs the path above)

TOKEN = "run-token"


def product(number: int, title: str, price: int, **more: Any) -> dict[str, Any]:
    """A UCP product with one variant, or those of `variants`: (title, price, options)."""
    variants = more.get("variants") or [("", price, {})]
    found = {
        "id": f"prod_{number}",
        "title": title,
        "description": {"plain": more.get("description", title)},
        "categories": [{"value": more.get("category", "Things")}],
        "price_range": {},
        "variants": [
            {
                "id": f"var_{number}{index}",
                "title": name or title,
                "price": {"amount": amount, "currency": "USD"},
                "availability": {"available": more.get("available", True)},
                "seller": {"name": more.get("seller", "Audio Haus")},
                "metadata": {"offer_id": f"off_{number}{index}"},
                "options": [{"name": key, "label": label} for key, label in options.items()],
            }
            for index, (name, amount, options) in enumerate(variants)
        ],
    }
    if "rating" in more:
        found["rating"] = {"value": more["rating"], "scale_max": 5, "count": more.get("ratings", 50)}
    return found


class Gateway:
    """Answers the tools by simple rules and remembers every call."""

    def __init__(self) -> None:
        self.products: list[dict[str, Any]] = []
        self.refuse: dict[str, str] = {}
        # By offer, what its merchant asks in each round; an offer that is not here is not negotiated.
        self.asks: dict[str, list[int]] = {}
        self.proposals: list[tuple[str, int]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.away = self.busy = False
        # A search by meaning also finds what shares no word with the query.
        self.by_meaning = False
        self.url = ""

    @property
    def recommended(self) -> list[str]:
        return [arguments["variant_id"] for tool, arguments in self.calls if tool == "recommend"]

    @property
    def reasons(self) -> list[str]:
        return [arguments["reason"] for tool, arguments in self.calls if tool == "recommend"]

    def answer(self, tool: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls.append((tool, arguments))
        if self.away:
            return 502, {}
        if self.busy:
            return 503, {"code": "unavailable", "title": "The catalogue is away."}
        if tool == "search_catalog":
            return 200, {"products": self._search(arguments), "pagination": {"has_next_page": False}}
        if tool == "recommend":
            return self._recommend(arguments["variant_id"])
        if tool == "negotiate":
            return self._negotiate(arguments["offer_id"], arguments["proposed_amount"])
        return 404, {"code": "unknown_tool", "title": "There is no such tool."}

    def _search(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        words = arguments["query"].lower().split()
        price = arguments.get("filters", {}).get("price", {})
        found = []
        for item in self.products:
            text = f"{item['title']} {item['description']['plain']}".lower()
            hits = sum(word.rstrip("s") in text for word in words)
            least = min(variant["price"]["amount"] for variant in item["variants"])
            if (hits or self.by_meaning) and price.get("min", 0) <= least <= price.get("max", 10**9):
                found.append((hits, item))
        found.sort(key=lambda pair: -pair[0])
        return [item for _, item in found[: arguments["pagination"]["limit"]]]

    def _negotiate(self, offer_id: str, proposed: int) -> tuple[int, dict[str, Any]]:
        self.proposals.append((offer_id, proposed))
        asks = self.asks.get(offer_id)
        if asks is None:
            return 422, {"code": "no_rule", "title": "The merchant does not negotiate this."}
        number = len({amount for offer, amount in self.proposals if offer == offer_id})
        if number > len(asks) and proposed != asks[-1]:
            return 422, {"code": "round_limit", "title": "No more proposals are heard."}
        asked = asks[min(number, len(asks)) - 1]
        answer, price = ("accept", proposed) if proposed >= asked else ("counter", asked)
        left = max(0, len(asks) - number)
        return 200, {"answer": answer, "price": {"amount": price, "currency": "USD"}, "rounds_left": left}

    def _recommend(self, variant_id: str) -> tuple[int, dict[str, Any]]:
        if code := self.refuse.get(variant_id):
            return 422, {"code": code, "title": f"Refused: {code}.", "hint": "Try another."}
        for item in self.products:
            for variant in item["variants"]:
                if variant["id"] == variant_id:
                    return 200, {"status": "shown", "price": variant["price"]}
        return 422, {"code": "unknown_variant", "title": "There is no such variant."}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    rules = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                status, found = 401, {"code": "unauthenticated", "title": "Send the run token."}
            else:
                status, found = rules.answer(self.path.removeprefix("/v1/tools/"), body)
            content = json.dumps(found).encode() if status != 502 else b"<html>Bad gateway</html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    rules.url = f"http://127.0.0.1:{server.server_port}"
    yield rules
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(gateway) -> Store:
    return Store(gateway.url, TOKEN)

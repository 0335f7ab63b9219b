"""The store's tools, as a sandboxed agent reaches them at its gateway.

Every tool is `POST {AGENTSTORE_URL}/v1/tools/<tool>` with JSON arguments and the run token; refusals are RFC
9457 problem details. Amounts are in the currency's minor unit (cents).
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_SECONDS = 15.0
_ANSWER_BYTES = 8 * 2**20


class Refused(Exception):
    """The store understood and said no. `code` is stable, `title` says why, `hint` what to do instead."""

    def __init__(self, *, status: int, code: str, title: str, hint: str = "") -> None:
        super().__init__(f"{title} {hint}".strip())
        self.status = status
        self.code = code
        self.title = title
        self.hint = hint


class Unreachable(Exception):
    """The gateway did not answer, or not in JSON."""


@dataclass(frozen=True)
class Variant:
    """One sellable item. `price` is in minor units and may have changed when it is recommended; `offer_id` names its
    best offer.
    """

    id: str
    title: str
    price: int
    currency: str
    available: bool
    options: dict[str, str]
    seller: str
    offer_id: str
    raw: dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> Variant:
        """From UCP's variant."""
        price = raw.get("price") or {}
        options = raw.get("options") or []
        return cls(
            id=str(raw["id"]),
            title=str(raw.get("title", "")),
            price=int(price.get("amount", 0)),
            currency=str(price.get("currency", "")),
            available=(raw.get("availability") or {}).get("available") is not False,
            options={str(option.get("name", "")): str(option.get("label", "")) for option in options},
            seller=str((raw.get("seller") or {}).get("name", "")),
            offer_id=str((raw.get("metadata") or {}).get("offer_id", "")),
            raw=raw,
        )


@dataclass(frozen=True)
class Product:
    """A product with the variants that matched, the featured one first. `rating` is on a scale of 5."""

    id: str
    title: str
    description: str
    categories: tuple[str, ...]
    rating: float | None
    rating_count: int
    variants: tuple[Variant, ...]
    raw: dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> Product:
        """From UCP's product."""
        rating = raw.get("rating") or {}
        value, scale = rating.get("value"), rating.get("scale_max") or 5
        return cls(
            id=str(raw["id"]),
            title=str(raw.get("title", "")),
            description=str((raw.get("description") or {}).get("plain", "")),
            categories=tuple(str(category.get("value", "")) for category in raw.get("categories") or []),
            rating=None if value is None else float(value) * 5 / float(scale),
            rating_count=int(rating.get("count") or 0),
            variants=tuple(Variant.parse(variant) for variant in raw.get("variants") or []),
            raw=raw,
        )


@dataclass(frozen=True)
class Found:
    """One page of a search, and the cursor of the next."""

    products: list[Product]
    next_cursor: str | None = None


class Store:
    """The tools of one conversation. Safe to use from several threads."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, seconds: float = _SECONDS
    ) -> None:
        self._url = (url or os.environ["AGENTSTORE_URL"]).rstrip("/")
        self._token = token or os.environ["AGENTSTORE_TOKEN"]
        self._seconds = seconds
        # No proxy from the environment: the gateway is at the loopback address.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call any tool by name. Raises Refused, Unreachable."""
        request = urllib.request.Request(  # noqa: S310  (the address is the store's own setting)
            f"{self._url}/v1/tools/{tool}",
            data=json.dumps(arguments).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=self._seconds) as answer:
                return _parsed(answer.read(_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error.code, error.read(_ANSWER_BYTES)) from None
        except (OSError, ValueError) as away:
            raise Unreachable(f"{tool}: {away}") from away

    def search_catalog(
        self,
        query: str,
        *,
        min_price: int | None = None,
        max_price: int | None = None,
        categories: Sequence[str] = (),
        currency: str = "USD",
        limit: int = 10,
        cursor: str | None = None,
    ) -> Found:
        """Search by words and meaning. Prices are inclusive, in minor units. Raises Refused, Unreachable."""
        price = {key: value for key, value in (("min", min_price), ("max", max_price)) if value is not None}
        filters: dict[str, Any] = {}
        if price:
            filters["price"] = price
        if categories:
            filters["categories"] = list(categories)
        # Facets, which nothing here shows, would take the store as long again as its words.
        arguments: dict[str, Any] = {"query": query, "pagination": {"limit": limit}, "fields": ["products"]}
        if cursor:
            arguments["pagination"]["cursor"] = cursor
        if filters:
            arguments["filters"] = filters
            arguments["context"] = {"currency": currency}
        answer = self.call("search_catalog", **arguments)
        pagination = answer.get("pagination") or {}
        return Found([Product.parse(raw) for raw in answer.get("products", [])], pagination.get("cursor"))

    def lookup_catalog(self, ids: Sequence[str]) -> list[Product]:
        """The products of these product or variant ids; unknown ones are left out."""
        answer = self.call("lookup_catalog", ids=list(ids))
        return [Product.parse(raw) for raw in answer.get("products", [])]

    def get_product(self, product_id: str) -> Product:
        """One product with all its variants. Raises Refused (`product_not_found`)."""
        answer = self.call("get_product", id=product_id)
        return Product.parse(answer.get("product", answer))

    def recommend(self, variant_id: str, *, reason: str, offer_id: str | None = None) -> dict[str, Any]:
        """Show the shopper a card. The store reads price and stock itself. Raises Refused with the reason."""
        arguments = {"variant_id": variant_id, "reason": reason}
        if offer_id:
            arguments["offer_id"] = offer_id
        return self.call("recommend", **arguments)

    def negotiate(
        self,
        offer_id: str,
        proposed_amount: int,
        *,
        quantity: int = 1,
        argument: str = "",
        idempotency_key: str = "",
    ) -> dict[str, Any]:
        """One round with the offer's merchant, in minor units of one piece: `answer` is `accept` or `counter`, `price`
        what one costs by it, `rounds_left` how many more are heard. An accepted price is the shopper's until the
        quote's `expires_at`. Raises Refused (`no_rule`, `round_limit` and others).
        """
        arguments: dict[str, Any] = {"proposed_amount": proposed_amount, "quantity": quantity}
        if argument:
            arguments["argument"] = argument
        if idempotency_key:
            arguments["idempotency_key"] = idempotency_key
        return self.call("negotiate", offer_id=offer_id, **arguments)

    def shopper_profile(self) -> dict[str, Any]:
        """What the shopper consented to share. Raises Refused (`no_consent`)."""
        return self.call("shopper_profile")


def _parsed(body: bytes) -> dict[str, Any]:
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found


def _refused(status: int, body: bytes) -> Refused | Unreachable:
    try:
        problem = _parsed(body)
    except ValueError:
        return Unreachable(f"the gateway answered {status}")
    return Refused(
        status=status,
        code=str(problem.get("code", "error")),
        title=str(problem.get("title", "The store refused.")),
        hint=str(problem.get("hint", "")),
    )

"""What every answer of a UCP operation has around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from agentstore.kit.errors import InvalidParams, NotFound, StoreError
from marketplace.catalog.ucp.versions import version
from marketplace.shopping.ucp.negotiation import (
    CART,
    CHECKOUT,
    DISCOUNT,
    FULFILLMENT,
    ORDER,
    extends,
    is_active,
)

Json = dict[str, Any]
T = TypeVar("T")

__all__ = ["CART", "CHECKOUT", "DISCOUNT", "FULFILLMENT", "ORDER", "Answer", "Json"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and its HTTP status. Business outcomes, also unwelcome ones, are answers with status 200."""

    body: Json
    status: int = 200


def ucp(*capabilities: str, status: str = "success", handlers: Json | None = None) -> Json:
    """The `ucp` member of an answer, with those of the capabilities that it is about which were negotiated."""
    return {
        "version": version(),
        "status": status,
        "capabilities": {
            name: [{"version": version(), **extends(name)}] for name in capabilities if is_active(name)
        },
        **({} if handlers is None else {"payment_handlers": handlers}),
    }


def failure(capability: str, *messages: Json) -> Answer:
    """A business outcome without a resource: nothing was made, or nothing was found."""
    handlers: Json | None = {} if capability == CHECKOUT else None
    return Answer({"ucp": ucp(capability, status="error", handlers=handlers), "messages": list(messages)})


def with_found(capability: str, find: Callable[[], T], then: Callable[[T], Answer]) -> Answer:
    """What `then` makes of what was found; of what is not there, or not the caller's, UCP's outcome."""
    try:
        found = find()
    except NotFound as unknown:
        return failure(capability, error_message("not_found", unknown.message))
    return then(found)


def nothing_to_buy(capability: str, messages: Iterable[Json]) -> Answer:
    """The outcome of lines of which none can be bought: each message says why, and now keeps from going on."""
    return failure(capability, *({**told, "type": "error", "severity": "unrecoverable"} for told in messages))


def error_message(code: str, text: str, *, severity: str = "unrecoverable") -> Json:
    """An error as UCP tells it."""
    return {"type": "error", "code": code, "content": text[:500], "severity": severity}


def refusal(refused: StoreError) -> Json:
    """A protocol error: problem details (RFC 9457), and `content`, which is what UCP calls `detail`.

    Where a request is too large, UCP has its code in a message instead.
    """
    text = f"{refused.message} {refused.hint}".strip()
    found = {**refused.as_problem(), "detail": text, "content": text}
    del found["type"]  # says no more than the code
    if isinstance(refused, InvalidParams):
        del found["code"]
        found["messages"] = [error_message(refused.code, text, severity="recoverable")]
    return found

"""Every UCP operation by its name: one table for REST, MCP and the profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from marketplace.catalog.ucp import service
from marketplace.catalog.ucp.filtering import InvalidRequest
from marketplace.catalog.ucp.objects import LOOKUP, SEARCH, absolute
from marketplace.catalog.ucp.versions import speaking, version
from marketplace.shopping.ucp import carts, completing, orders, sessions
from marketplace.shopping.ucp.answers import CART, CHECKOUT, ORDER, Answer, Json, error_message, failure
from marketplace.shopping.ucp.callers import Caller, require_spoken
from marketplace.shopping.ucp.discovery import find_profile
from marketplace.shopping.ucp.negotiation import CAPABILITIES, intersect, is_active, negotiated
from marketplace.shopping.ucp.replies import answer_once


@dataclass(frozen=True, slots=True)
class Operation:
    """A name, the capability it belongs to, what it does with a request and, where it has one, a target's id.

    `wrapper` is the member that MCP's arguments wrap the request in. `writes` asks for idempotency.
    """

    name: str
    capability: str
    act: Callable[[Caller, Json, str], Answer]
    wrapper: str
    targeted: bool = False
    writes: bool = False

    def run(self, caller: Caller, request: Json, target: str = "") -> Answer:
        """Do it for a caller, in the version that it asks for, else in the one at hand, by what its profile declares.

        The catalogue is everybody's, also of those who name no profile. Raises InvalidProfileUrl, SignatureMissing,
        VersionUnsupported, what discovery.find_profile and what the operation raises.
        """
        with speaking(caller.version or version()):
            return self._run(caller, request, target)

    def _run(self, caller: Caller, request: Json, target: str) -> Answer:
        if self.wrapper == "catalog":
            return self.act(caller, request, target)
        caller.require_platform()
        with negotiated(_negotiate(caller)):
            if not is_active(self.capability):
                return _incompatible(self.capability)
            return self._answer(caller, request, target)

    def _answer(self, caller: Caller, request: Json, target: str) -> Answer:
        if not self.writes:
            return self.act(caller, request, target)
        return answer_once(
            caller, self.name, [target, request, version()], lambda: self.act(caller, request, target)
        )


def _negotiate(caller: Caller) -> frozenset[str]:
    """What counts between this platform and the store: everything, where the operator's word stands for its profile."""
    profile = find_profile(caller.platform, address=caller.address)
    if profile is None:
        return frozenset(CAPABILITIES)
    require_spoken(profile.version)
    return intersect(profile.capabilities)


def _incompatible(capability: str) -> Answer:
    text = f"The platform's profile does not declare {capability} in a version that is spoken here."
    answer = failure(capability, error_message("capabilities_incompatible", text))
    return Answer({**answer.body, "continue_url": absolute("/")})


def _catalog(read: Callable[[Json], Json]) -> Callable[[Caller, Json, str], Answer]:
    return lambda caller, request, target: Answer(read(request))


def _new(act: Callable[[Caller, Json], Answer]) -> Callable[[Caller, Json, str], Answer]:
    return lambda caller, request, target: act(caller, request)


def _search(request: Json) -> Json:
    """A search says what is wanted; the cursor of a page may stand beside the query, as some platforms send it."""
    if not {"query", "filters"} & request.keys():
        raise InvalidRequest("A search has a query or filters.", hint='{"query": ""} lists everything.')
    page = request.get("pagination")
    if "cursor" in request and page is None:
        request = {**request, "pagination": {"cursor": request["cursor"]}}
    return service.search(request)


def _write(name: str, capability: str, act: Any, wrapper: str, *, targeted: bool = True) -> Operation:
    return Operation(name, capability, act if targeted else _new(act), wrapper, targeted, writes=True)


OPERATIONS: Final[dict[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation("search_catalog", SEARCH, _catalog(_search), "catalog"),
        Operation("lookup_catalog", LOOKUP, _catalog(service.lookup), "catalog"),
        Operation("get_product", LOOKUP, _catalog(service.product_detail), "catalog"),
        _write("create_cart", CART, carts.create_cart, "cart", targeted=False),
        Operation("get_cart", CART, carts.get_cart, "cart", targeted=True),
        _write("update_cart", CART, carts.update_cart, "cart"),
        _write("cancel_cart", CART, carts.cancel_cart, "cart"),
        _write("create_checkout", CHECKOUT, sessions.create_checkout, "checkout", targeted=False),
        Operation("get_checkout", CHECKOUT, sessions.get_checkout, "checkout", targeted=True),
        _write("update_checkout", CHECKOUT, sessions.update_checkout, "checkout"),
        _write("complete_checkout", CHECKOUT, completing.complete_checkout, "checkout"),
        _write("cancel_checkout", CHECKOUT, sessions.cancel_checkout, "checkout"),
        Operation("get_order", ORDER, orders.get_order, "order", targeted=True),
    )
}

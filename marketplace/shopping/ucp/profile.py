"""The store's UCP profiles: services, capabilities, payment handlers, and the keys that answers are signed with.

The profile of the older version leads to that of the newer one, which stands beside it at an address of its own.
"""

from __future__ import annotations

from typing import Any, Final

from ucp_sdk.models.schemas.profile import BusinessSchema

from agentstore.kit.signatures import public_jwk
from marketplace.catalog.ucp.objects import LOOKUP, SEARCH, absolute, checked
from marketplace.catalog.ucp.versions import APRIL, AUGUST, version
from marketplace.shopping.ucp.answers import CART, CHECKOUT, DISCOUNT, FULFILLMENT, ORDER
from marketplace.shopping.ucp.negotiation import extends
from marketplace.shopping.ucp.payment import handlers

# Where the specification of each capability lies, and its schema.
_CAPABILITIES: Final = {
    SEARCH: ("catalog/search", "catalog_search"),
    LOOKUP: ("catalog/lookup", "catalog_lookup"),
    CART: ("cart", "cart"),
    CHECKOUT: ("checkout", "checkout"),
    FULFILLMENT: ("fulfillment", "fulfillment"),
    DISCOUNT: ("discount", "discount"),
    ORDER: ("order", "order"),
}


def profile_document() -> dict[str, Any]:
    """What `/.well-known/ucp` says, in the version at hand. A profile beside the main one leads nowhere else."""
    root = service_root()
    schemas = f"https://ucp.dev/{version()}/services/shopping"
    body: dict[str, Any] = {
        "version": version(),
        "services": {
            "dev.ucp.shopping": [
                _service("rest", f"{schemas}/rest.openapi.json", root),
                _service("mcp", f"{schemas}/mcp.openrpc.json", f"{root}/mcp"),
            ]
        },
        "capabilities": {name: [_capability(name)] for name in _CAPABILITIES},
        "payment_handlers": handlers(),
    }
    if version() == APRIL:
        body["supported_versions"] = {AUGUST: absolute(f"/ucp/{AUGUST}/.well-known/ucp")}
    keys = "signing_keys" if version() == APRIL else "keys"
    return {**checked(BusinessSchema, {"ucp": body}), keys: [public_jwk()]}


def service_root() -> str:
    """The path below which the version at hand is served over REST."""
    return "/ucp" if version() == APRIL else f"/ucp/{version()}"


def _service(transport: str, schema: str, path: str) -> dict[str, str]:
    return {
        "version": version(),
        "spec": f"https://ucp.dev/{version()}/specification/overview",
        "transport": transport,
        "schema": schema,
        "endpoint": absolute(path),
    }


def _capability(name: str) -> dict[str, Any]:
    page, schema = _CAPABILITIES[name]
    spec = f"https://ucp.dev/{version()}"
    return {
        "version": version(),
        "spec": f"{spec}/specification/{page}",
        "schema": f"{spec}/schemas/shopping/{schema}.json",
        **extends(name),
    }

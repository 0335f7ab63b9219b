"""The UCP operations as an OpenAPI document: paths of the REST door, arguments as the MCP tools declare them."""

from __future__ import annotations

from typing import Any, Final

from marketplace.catalog.ucp.objects import absolute
from marketplace.catalog.ucp.versions import version
from marketplace.shopping.ucp.operations import OPERATIONS
from marketplace.shopping.ucp.profile import service_root
from marketplace.shopping.ucp.tools import TOOLBOX

Json = dict[str, Any]
# Path and method of each operation; urls.py serves the same.
ROUTES: Final = {
    "search_catalog": ("post", "/catalog/search"),
    "lookup_catalog": ("post", "/catalog/lookup"),
    "get_product": ("post", "/catalog/product"),
    "create_cart": ("post", "/carts"),
    "get_cart": ("get", "/carts/{target}"),
    "update_cart": ("put", "/carts/{target}"),
    "cancel_cart": ("post", "/carts/{target}/cancel"),
    "create_checkout": ("post", "/checkout-sessions"),
    "get_checkout": ("get", "/checkout-sessions/{target}"),
    "update_checkout": ("put", "/checkout-sessions/{target}"),
    "complete_checkout": ("post", "/checkout-sessions/{target}/complete"),
    "cancel_checkout": ("post", "/checkout-sessions/{target}/cancel"),
    "get_order": ("get", "/orders/{target}"),
}


def openapi_document() -> Json:
    """OpenAPI 3.1, in the version of UCP at hand."""
    paths: dict[str, Json] = {}
    for name, (method, path) in ROUTES.items():
        paths.setdefault(path, {})[method] = _operation(name)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Agent Store, UCP over REST", "version": version()},
        "servers": [{"url": absolute(service_root())}],
        "paths": paths,
    }


def _operation(name: str) -> Json:
    operation, tool = OPERATIONS[name], TOOLBOX.by_name[name]
    parameters: list[Json] = [_header("UCP-Agent", operation.wrapper != "catalog", 'profile="https://…"')]
    if operation.writes:
        parameters.append(_header("Idempotency-Key", False, "makes a retry safe"))
    if operation.targeted:
        parameters.append({"name": "target", "in": "path", "required": True, "schema": {"type": "string"}})
    found: Json = {
        "operationId": name,
        "summary": tool.description,
        "parameters": parameters,
        "responses": {
            "200": {"description": "a UCP object; ucp.status tells an unwelcome outcome"},
            "default": {"description": "a refusal: code, content, hint"},
        },
    }
    schema = _body(name)
    if ROUTES[name][0] != "get":
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _body(name: str) -> Json:
    """What a tool takes in UCP's envelope is the body of a request."""
    wrapper, schema = OPERATIONS[name].wrapper, TOOLBOX.by_name[name].input_schema
    if wrapper == "catalog":
        members = {
            key: value for key, value in schema["properties"].items() if key not in ("catalog", "meta")
        }
        return {"type": "object", "properties": members}
    inner: Json = schema["properties"].get(wrapper, {"type": "object"})
    return inner


def _header(name: str, required: bool, description: str) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }

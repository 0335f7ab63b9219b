"""UCP over REST and MCP, and the profile that declares both. Public: all of it is for sale."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from ucp_sdk.models.schemas.profile import BusinessSchema

from agentstore.kit.clock import now
from agentstore.kit.errors import StoreError, TooMany
from agentstore.kit.mcp import mcp_view
from marketplace.catalog.ucp import service
from marketplace.catalog.ucp.objects import LOOKUP, SEARCH, VERSION, absolute, checked
from marketplace.catalog.ucp.tools import TOOLBOX

CALLS_PER_MINUTE: Final = 600
_SPEC: Final = f"https://ucp.dev/{VERSION}"


class TooManyCalls(TooMany):
    """One caller asked too often within a minute."""

    code = "too_many_calls"


def limit_caller(request: HttpRequest) -> None:
    """Count a call of this address. Raises TooManyCalls past the limit of the running minute."""
    key = f"ucp:{request.META.get('REMOTE_ADDR', '')}:{now():%H%M}"
    cache.add(key, 0, timeout=90)
    if cache.incr(key) > CALLS_PER_MINUTE:
        raise TooManyCalls(
            f"At most {CALLS_PER_MINUTE} calls a minute.", hint="Wait for the next minute, or ask in batches."
        )


def _endpoint(operation: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[HttpRequest], HttpResponse]:
    @csrf_exempt
    @require_POST
    def view(request: HttpRequest) -> HttpResponse:
        try:
            limit_caller(request)
            try:
                body = json.loads(request.body or b"{}")
            except (ValueError, RecursionError) as broken:
                raise service.InvalidRequest("The body is not JSON.") from broken
            if not isinstance(body, dict):
                raise service.InvalidRequest("The body is one JSON object.")
            return JsonResponse(operation(body))
        except StoreError as refused:
            return JsonResponse(
                refused.as_problem(), status=refused.status, content_type="application/problem+json"
            )

    return view


search = _endpoint(service.search)
lookup = _endpoint(service.lookup)
product = _endpoint(service.product_detail)
mcp = mcp_view(TOOLBOX, context=limit_caller)


@require_GET
def profile(request: HttpRequest) -> JsonResponse:
    """`/.well-known/ucp`: which services and capabilities there are and where."""
    service_spec = {"version": VERSION, "spec": f"{_SPEC}/specification/overview"}
    schemas = f"{_SPEC}/services/shopping"
    body = {
        "ucp": {
            "version": VERSION,
            "services": {
                "dev.ucp.shopping": [
                    {
                        **service_spec,
                        "transport": "rest",
                        "schema": f"{schemas}/rest.openapi.json",
                        "endpoint": absolute("/ucp"),
                    },
                    {
                        **service_spec,
                        "transport": "mcp",
                        "schema": f"{schemas}/mcp.openrpc.json",
                        "endpoint": absolute("/ucp/mcp"),
                    },
                ]
            },
            "capabilities": {
                SEARCH: [_capability("search")],
                LOOKUP: [_capability("lookup")],
            },
            "payment_handlers": {},
        }
    }
    response = JsonResponse(checked(BusinessSchema, body))
    response["Cache-Control"] = "public, max-age=300"
    return response


def _capability(name: str) -> dict[str, str]:
    return {
        "version": VERSION,
        "spec": f"{_SPEC}/specification/catalog/{name}",
        "schema": f"{_SPEC}/schemas/shopping/catalog_{name}.json",
    }

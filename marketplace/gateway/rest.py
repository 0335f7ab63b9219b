"""The tools as REST: POST /v1/tools/<tool> with the arguments as a JSON object."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from agentstore.kit.errors import Invalid
from agentstore.kit.mcp import mcp_view
from marketplace.gateway.auth import caller_of
from marketplace.gateway.tools import toolbox_for
from marketplace.gateway.tracing import traced_call


class MalformedBody(Invalid):
    """The body is not what the address wants."""

    code = "malformed_body"


@csrf_exempt
@require_POST
def call(request: HttpRequest, tool: str) -> HttpResponseBase:
    """One call of one tool; its result as JSON, its refusal as problem details."""
    caller = caller_of(request)
    answer = traced_call(toolbox_for(caller), caller, tool, json_object(request.body), transport="rest")
    return JsonResponse(answer)


@require_GET
def listing(request: HttpRequest) -> HttpResponseBase:
    """The tools that this agent may call, with the JSON Schemas of their arguments."""
    tools = toolbox_for(caller_of(request)).tools
    return JsonResponse(
        {
            "tools": [
                {"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in tools
            ]
        }
    )


@csrf_exempt
def mcp(request: HttpRequest) -> HttpResponseBase:
    """The same tools over MCP. Anything but POST is answered 405: the server sends nothing unasked."""
    if request.method != "POST":
        return JsonResponse({"title": "POST only"}, status=405, headers={"Allow": "POST"})
    caller = caller_of(request)
    serve = mcp_view(
        toolbox_for(caller), context=lambda _: caller, call=partial(traced_call, transport="mcp")
    )
    return serve(request)


@require_GET
def alive(request: HttpRequest) -> HttpResponseBase:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def json_object(body: bytes) -> dict[str, Any]:
    """A request's body. Raises MalformedBody."""
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as broken:
        raise MalformedBody(
            "The body is not JSON.", hint="Send an object with the tool's arguments."
        ) from broken
    if not isinstance(found, dict):
        raise MalformedBody(
            "The body is not a JSON object.", hint="Send an object with the tool's arguments."
        )
    return found

"""The Model Context Protocol as a toolbox (`agentstore.kit.mcp`) speaks it.

Both the handshake revisions (2024-11-05 to 2025-11-25; no session id is ever issued) and the sessionless revision
2026-07-28. The processes that serve it import this at their start, so that no caller waits for the SDK to load.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import mcp_types as types
import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS, InboundLadderRejection, classify_inbound_request
from mcp_types import methods
from mcp_types.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from agentstore.kit.errors import InvalidParams, StoreError
from agentstore.kit.mcp import Call, Tool, Toolbox

log = structlog.get_logger(__name__)
C = TypeVar("C")
_VERSION_HEADER: Final = "mcp-protocol-version"
_SERVER_INFO: Final = types.SERVER_INFO_META_KEY


class _Rejected(Exception):
    """A request that gets a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, **({} if data is None else {"data": data})}


def describe_tool(tool: Tool[Any]) -> types.Tool:
    """As `tools/list` shows it."""
    return types.Tool(
        name=tool.name,
        title=tool.title or None,
        description=tool.description,
        input_schema=tool.input_schema,
        annotations=types.ToolAnnotations(read_only_hint=tool.read_only, open_world_hint=False),
    )


def answer(toolbox: Toolbox[C], caller: C, call: Call, request: HttpRequest) -> HttpResponse:
    """What the request, a single JSON-RPC message, is answered; refusals are answers too."""
    try:
        message = json.loads(request.body)
    except (ValueError, RecursionError):
        return _error(None, {"code": PARSE_ERROR, "message": "Parse error"})
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _error(None, {"code": INVALID_REQUEST, "message": "One JSON-RPC request or notification"})
    if "id" not in message:
        # Notifications change nothing here: there is no session they could belong to.
        return HttpResponse(status=202)
    request_id = message["id"]
    if isinstance(request_id, bool) or not isinstance(request_id, int | str):
        return _error(None, {"code": INVALID_REQUEST, "message": "A request's id is text or a whole number"})
    try:
        version = _protocol_version(message, request)
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise _Rejected(INVALID_PARAMS, "params is an object")
        result = _dispatch(toolbox, caller, call, message["method"], params, version)
        body = _serialise(toolbox, message["method"], result, version)
    except _Rejected as rejected:
        return _error(request_id, rejected.error)
    except Exception:
        log.exception("mcp_call_failed", toolbox=toolbox.name, method=message["method"])
        return _error(request_id, {"code": INTERNAL_ERROR, "message": "Internal error"})
    return JsonResponse({"jsonrpc": "2.0", "id": request_id, "result": body})


def _protocol_version(message: dict[str, Any], request: HttpRequest) -> str:
    """The revision a request speaks; the sessionless one brings its own envelope, which must be whole."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    named = headers.get(_VERSION_HEADER)
    if named is None:
        return LATEST_HANDSHAKE_VERSION
    if named in HANDSHAKE_PROTOCOL_VERSIONS:
        return named
    verdict = classify_inbound_request(message, headers=headers)
    if isinstance(verdict, InboundLadderRejection):
        raise _Rejected(verdict.code, verdict.message, verdict.data)
    return verdict.protocol_version


def _dispatch(
    toolbox: Toolbox[C], caller: C, call: Call, method: str, params: dict[str, Any], version: str
) -> types.Result:
    modern = version in MODERN_PROTOCOL_VERSIONS
    capabilities = types.ServerCapabilities(tools=types.ToolsCapability(list_changed=False))
    if method == "initialize" and not modern:
        asked = params.get("protocolVersion")
        return types.InitializeResult(
            protocol_version=asked if asked in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION,
            capabilities=capabilities,
            server_info=_info(toolbox),
            instructions=toolbox.instructions or None,
        )
    if method == "server/discover" and modern:
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=capabilities,
            instructions=toolbox.instructions or None,
        )
    if method == "ping" and not modern:
        return types.EmptyResult()
    if method == "tools/list":
        return types.ListToolsResult(tools=[describe_tool(tool) for tool in toolbox.tools])
    if method == "tools/call":
        return _call(toolbox, caller, call, params)
    raise _Rejected(METHOD_NOT_FOUND, "Method not found")


def _call(toolbox: Toolbox[C], caller: C, call: Call, params: dict[str, Any]) -> types.CallToolResult:
    name, arguments = params.get("name"), params.get("arguments") or {}
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise _Rejected(INVALID_PARAMS, "tools/call takes a name and an object of arguments")
    try:
        given, failed = call(toolbox, caller, name, arguments), False
    except InvalidParams as error:
        raise _Rejected(INVALID_PARAMS, error.message, error.as_problem()) from error
    except StoreError as error:
        given, failed = error.as_problem(), True
    text = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=given, is_error=failed
    )


def _serialise(toolbox: Toolbox[Any], method: str, result: types.Result, version: str) -> dict[str, Any]:
    """The result as this revision of the protocol spells it."""
    data = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    if (method, version) in methods.SERVER_RESULTS:
        data = methods.serialize_server_result(method, version, data)
    if version in MODERN_PROTOCOL_VERSIONS:
        info = _info(toolbox).model_dump(mode="json", by_alias=True, exclude_none=True)
        data = {"resultType": "complete", **data, "_meta": {_SERVER_INFO: info}}
    return data


def _error(request_id: str | int | None, error: dict[str, Any]) -> JsonResponse:
    status = ERROR_CODE_HTTP_STATUS.get(error["code"], 200)
    return JsonResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, status=status)


def _info(toolbox: Toolbox[Any]) -> types.Implementation:
    """Who is serving."""
    return types.Implementation(name=toolbox.name, version=toolbox.version)

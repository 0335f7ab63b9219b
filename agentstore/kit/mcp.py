"""A toolbox served over MCP from a Django view: stateless streamable HTTP with JSON answers.

The contract, for any room that has tools to offer:

    toolbox = Toolbox(name="catalogue", version="1", instructions="…", tools=[
        Tool(name="search_catalog", description="…", input_schema={...}, handler=search),
    ])
    path("mcp/catalog", mcp_view(toolbox, context=lambda request: None))

- `handler(context, arguments)` gets what `context(request)` gave (who is calling) and the arguments, already
  storable and valid by `input_schema`; it returns a JSON-able dict, which becomes the result's
  `structuredContent` and, as text, its `content`. A StoreError from `context` is answered with its HTTP
  status before any tool is seen.
- A StoreError from a handler is a result with `isError` and the problem (code, title, hint) as content, so
  that the calling model can read what to do. Anything else is logged and is JSON-RPC's internal error.
- `call_tool` is the same call without MCP, for REST on top of the same tools. Give `mcp_view(…, call=…)` a
  function of the same signature to count, trace or limit calls around it.

Protocol: Model Context Protocol, both the handshake revisions (2024-11-05 to 2025-11-25; no session id is
ever issued) and the sessionless revision 2026-07-28. GET and DELETE are answered 405: nothing is sent
unasked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Generic, Protocol, TypeVar

import mcp_types as types
import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from jsonschema import Draft202012Validator
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS, InboundLadderRejection, classify_inbound_request
from mcp_types import methods
from mcp_types.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from agentstore.kit.errors import Invalid, InvalidParams, NotFound, StoreError
from agentstore.kit.text import require_storable

log = structlog.get_logger(__name__)
C = TypeVar("C")
_VERSION_HEADER: Final = "mcp-protocol-version"
_SERVER_INFO: Final = types.SERVER_INFO_META_KEY


class InvalidArguments(Invalid):
    """The arguments of a tool call break its schema."""

    code = "invalid_arguments"


class UnknownTool(NotFound):
    """There is no tool of this name."""

    code = "unknown_tool"


@dataclass(frozen=True)
class Tool(Generic[C]):
    """A name, what it does in words a model understands, the JSON Schema of its arguments, its function."""

    name: str
    description: str
    input_schema: dict[str, Any]
    handler: Callable[[C, dict[str, Any]], dict[str, Any]]
    title: str = ""
    read_only: bool = True

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self.input_schema)

    def validate(self, arguments: Mapping[str, Any]) -> None:
        """Raises InvalidArguments, naming the first offending place."""
        error = next(iter(sorted(self._validator.iter_errors(arguments), key=lambda e: list(e.path))), None)
        if error is not None:
            where = ".".join(str(part) for part in error.path) or "arguments"
            raise InvalidArguments(f"{where}: {error.message:.300}", hint="See the tool's input schema.")

    def describe(self) -> types.Tool:
        """As `tools/list` shows it."""
        return types.Tool(
            name=self.name,
            title=self.title or None,
            description=self.description,
            input_schema=self.input_schema,
            annotations=types.ToolAnnotations(read_only_hint=self.read_only, open_world_hint=False),
        )


@dataclass(frozen=True)
class Toolbox(Generic[C]):
    """Tools under one address, with the name and instructions a client sees first."""

    name: str
    version: str
    tools: Sequence[Tool[C]]
    instructions: str = ""
    by_name: Mapping[str, Tool[C]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {tool.name: tool for tool in self.tools})

    @property
    def info(self) -> types.Implementation:
        """Who is serving."""
        return types.Implementation(name=self.name, version=self.version)


class Call(Protocol):
    """The signature of `call_tool`."""

    def __call__(
        self, toolbox: Toolbox[Any], context: Any, name: str, arguments: dict[str, Any]
    ) -> dict[str, Any]: ...


def call_tool(toolbox: Toolbox[C], context: C, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Validate and call. Raises UnknownTool, InvalidArguments, Unstorable, and the StoreErrors of the tool."""
    tool = toolbox.by_name.get(name)
    if tool is None:
        raise UnknownTool(f"There is no tool {name!r:.60}.", hint=f"There are: {', '.join(toolbox.by_name)}.")
    # First, since also a schema's complaint would quote what is nested beyond reason.
    require_storable(arguments)
    tool.validate(arguments)
    return tool.handler(context, arguments)


class _Rejected(Exception):
    """A request that gets a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, **({} if data is None else {"data": data})}


def mcp_view(
    toolbox: Toolbox[C], *, context: Callable[[HttpRequest], C], call: Call = call_tool
) -> Callable[..., HttpResponseBase]:
    """A view that serves the toolbox. `context` says who is calling; it may raise a StoreError."""

    @csrf_exempt
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            refused = HttpResponse(status=405)
            refused["Allow"] = "POST"
            return refused
        try:
            caller = context(request)
        except StoreError as error:
            return JsonResponse(
                error.as_problem(), status=error.status, content_type="application/problem+json"
            )
        return _answer(toolbox, caller, call, request)

    return view


def _answer(toolbox: Toolbox[C], caller: C, call: Call, request: HttpRequest) -> HttpResponse:
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
            server_info=toolbox.info,
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
        return types.ListToolsResult(tools=[tool.describe() for tool in toolbox.tools])
    if method == "tools/call":
        return _call(toolbox, caller, call, params)
    raise _Rejected(METHOD_NOT_FOUND, "Method not found")


def _call(toolbox: Toolbox[C], caller: C, call: Call, params: dict[str, Any]) -> types.CallToolResult:
    name, arguments = params.get("name"), params.get("arguments") or {}
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise _Rejected(INVALID_PARAMS, "tools/call takes a name and an object of arguments")
    try:
        answer, failed = call(toolbox, caller, name, arguments), False
    except InvalidParams as error:
        raise _Rejected(INVALID_PARAMS, error.message, error.as_problem()) from error
    except StoreError as error:
        answer, failed = error.as_problem(), True
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=answer, is_error=failed
    )


def _serialise(toolbox: Toolbox[Any], method: str, result: types.Result, version: str) -> dict[str, Any]:
    """The result as this revision of the protocol spells it."""
    data = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    if (method, version) in methods.SERVER_RESULTS:
        data = methods.serialize_server_result(method, version, data)
    if version in MODERN_PROTOCOL_VERSIONS:
        info = toolbox.info.model_dump(mode="json", by_alias=True, exclude_none=True)
        data = {"resultType": "complete", **data, "_meta": {_SERVER_INFO: info}}
    return data


def _error(request_id: str | int | None, error: dict[str, Any]) -> JsonResponse:
    status = ERROR_CODE_HTTP_STATUS.get(error["code"], 200)
    return JsonResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, status=status)

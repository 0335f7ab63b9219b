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

The protocol itself is `agentstore.kit.mcp_answers`. GET and DELETE are answered 405: nothing is sent unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from jsonschema import Draft202012Validator

from agentstore.kit.errors import Invalid, NotFound, StoreError
from agentstore.kit.text import require_storable

C = TypeVar("C")


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
        # A second to import, which commands and workers that only know the address need not spend.
        from agentstore.kit.mcp_answers import answer

        return answer(toolbox, caller, call, request)

    return view

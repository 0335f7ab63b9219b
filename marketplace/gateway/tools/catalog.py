"""The shared catalogue's tools, as the catalogue itself defines them. They tell no fee, bid or budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentstore.kit.mcp import Tool
from marketplace.catalog.ucp.tools import CATALOG_TOOLS as SHARED_TOOLS
from marketplace.gateway.auth import Caller

_Handler = Callable[[Caller, dict[str, Any]], dict[str, Any]]


def _for_callers(tool: Tool[object]) -> Tool[Caller]:
    handler: _Handler = tool.handler
    return Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        handler=handler,
    )


CATALOG_TOOLS: tuple[Tool[Caller], ...] = tuple(map(_for_callers, SHARED_TOOLS))

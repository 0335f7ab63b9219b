"""The shared catalogue's tools, as the catalogue itself defines them."""

from __future__ import annotations

from agentstore.kit.mcp import Tool
from marketplace.gateway.auth import Caller

CATALOG_TOOLS: tuple[Tool[Caller], ...] = ()

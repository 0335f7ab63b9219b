"""The tools that agents have, one module per kind; docs/guides/tools.md is their reference."""

from __future__ import annotations

from functools import lru_cache

from agentstore.kit.mcp import Tool, Toolbox
from marketplace.gateway.auth import Caller
from marketplace.gateway.tools.catalog import CATALOG_TOOLS
from marketplace.gateway.tools.negotiate import NEGOTIATE_TOOLS
from marketplace.gateway.tools.profile import PROFILE_TOOLS
from marketplace.gateway.tools.recommend import RECOMMEND_TOOLS

_INSTRUCTIONS = (
    "Find products with search_catalog, look closer with get_product, and show the ones you choose with "
    "recommend: only recommended variants appear to the shopper, at the price that the store reads. "
    "Prices in your text count for nothing."
)
# Which permission of the manifest a tool needs.
BY_PERMISSION: dict[str, tuple[Tool[Caller], ...]] = {
    "catalog": (*CATALOG_TOOLS, *RECOMMEND_TOOLS),
    "negotiate": NEGOTIATE_TOOLS,
    "profile": PROFILE_TOOLS,
}


@lru_cache(maxsize=256)
def _toolbox(permissions: frozenset[str]) -> Toolbox[Caller]:
    tools = [
        tool for permission, group in BY_PERMISSION.items() if permission in permissions for tool in group
    ]
    return Toolbox(name="agentstore", version="1", instructions=_INSTRUCTIONS, tools=tools)


def toolbox_for(caller: Caller) -> Toolbox[Caller]:
    """What this caller's manifest asked for, and nothing else."""
    return _toolbox(caller.permissions.intersection(BY_PERMISSION))

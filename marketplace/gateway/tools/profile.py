"""`shopper_profile`: what the shopper agreed to tell agents, under the pseudonym this agent knows them by."""

from __future__ import annotations

from typing import Any

from agentstore.kit.errors import Forbidden
from agentstore.kit.mcp import Tool
from marketplace.gateway.auth import Caller
from marketplace.shopping.profiles import profile_for


class NoConsent(Forbidden):
    """The shopper has not agreed."""

    code = "no_consent"


def _profile(caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    profile = profile_for(caller.conversation)
    if profile is None:
        raise NoConsent(
            "The shopper has not agreed to share a profile.", hint="Ask in words for what you need to know."
        )
    return profile


PROFILE_TOOLS = (
    Tool[Caller](
        name="shopper_profile",
        title="Read the shopper's profile",
        description=(
            "Sizes, likes and past purchases that the shopper agreed to share, and the pseudonym by which "
            "you, and no other agent, know them. Refused with no_consent when they did not agree."
        ),
        input_schema={"type": "object", "properties": {}, "additionalProperties": False},
        handler=_profile,
    ),
)

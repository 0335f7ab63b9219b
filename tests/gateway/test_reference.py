"""The references of tools and events say all that there is."""

from __future__ import annotations

import re
from pathlib import Path

from agentstore.kit.errors import StoreError, Unavailable
from agentstore.kit.mcp import InvalidArguments, UnknownTool
from marketplace.gateway import errors
from marketplace.gateway.rest import MalformedBody
from marketplace.gateway.tools import BY_PERMISSION
from marketplace.gateway.tools.profile import NoConsent
from marketplace.gateway.urls import urlpatterns
from marketplace.publishing.permissions import NOT_YET, WORDS
from marketplace.shopping.events import Name
from marketplace.shopping.failures import SHOPPER
from marketplace.shopping.grounding import Code
from marketplace.shopping.negotiation.negotiating import Why
from marketplace.shopping.turns import NoTurn
from sandbox.gateway_server.bounds import BodyTooLarge
from sandbox.tokens import InvalidToken, TokenFromElsewhere

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def rows(page: str) -> set[str]:
    """What stands in code in the first cell of the page's tables."""
    return set(re.findall(r"^\| `([\w./]+)`", (GUIDES / page).read_text(), flags=re.MULTILINE))


def test_every_tool_and_refusal_is_described():
    tools = {tool.name for group in BY_PERMISSION.values() for tool in group}
    own = {
        error.code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, StoreError) and error.__module__ == errors.__name__
    }
    elsewhere = (
        InvalidToken, TokenFromElsewhere, BodyTooLarge, NoTurn, NoConsent, MalformedBody, InvalidArguments,
        UnknownTool,
    )  # fmt: skip
    others = {error.code for error in elsewhere}
    described = rows("tools.md")
    assert tools | own | others | {Unavailable.code} | {code.value for code in (*Code, *Why)} <= described
    permissions = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \|", (GUIDES / "tools.md").read_text(), flags=re.MULTILINE
    )
    listed = {(tool.name, need) for need, group in BY_PERMISSION.items() for tool in group}
    assert set(permissions) == listed


def test_what_no_agent_gets_yet_is_known_below():
    assert set(BY_PERMISSION) | {"model"} == set(WORDS) - NOT_YET


def test_every_address_of_the_gateway_is_described():
    text = (GUIDES / "tools.md").read_text()
    for pattern in urlpatterns:
        address = "/" + re.sub(r"<slug:(\w+)>", r"{\1}", str(pattern.pattern))
        assert address in text or address == "/healthz"


def test_every_event_and_failure_is_described():
    assert {name.value for name in Name} <= rows("events.md")
    text = (GUIDES / "events.md").read_text()
    assert [code for code in SHOPPER if f"`{code}`" not in text] == []

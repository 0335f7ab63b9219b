"""What an agent is, can do and may do, in words for shoppers."""

from __future__ import annotations

from typing import Any, Final

from django.utils.text import capfirst

from marketplace.publishing.models import Agent
from marketplace.publishing.permissions import NOT_YET

SKILLS: Final = {
    "chat": "Chat",
    "negotiate": "Negotiates",
    "outfit": "Outfits",
    "try_on": "Try-on",
    "stream": "Streams",
}
# The permission that a skill is nothing without.
_NEEDS: Final = {"negotiate": "negotiate", "try_on": "photos"}
PERMISSIONS: Final = {
    "catalog": "Search the shared catalogue",
    "negotiate": "Ask merchants for a better price, within their rules",
    "cart": "Put things into your cart; you check out yourself",
    "profile": "See sizes, likes and past purchases, if you allow it under Privacy",
    "photos": "See photos you send it, if you allow it under Privacy",
    "model": "Use the store's language model",
    "ask": "Ask other agents of the store",
}


def skill_words(agent: Agent) -> list[str]:
    """An agent's skills as its live version declares them, in words, less those that it lacks the permission for."""
    manifest = agent.live_version.manifest if agent.live_version else {}
    able = {None, *_granted(manifest)}
    return [
        SKILLS[skill] for skill in manifest.get("skills", []) if skill in SKILLS and _NEEDS.get(skill) in able
    ]


def permission_words(agent: Agent) -> list[str]:
    """What its live version may do, in words; only what is listed here, and what there is by now, can be granted."""
    manifest = agent.live_version.manifest if agent.live_version else {}
    return [PERMISSIONS[permission] for permission in _granted(manifest) if permission in PERMISSIONS]


def _granted(manifest: dict[str, Any]) -> list[str]:
    return [permission for permission in manifest.get("permissions", []) if permission not in NOT_YET]


def category_words(slug: str) -> str:
    """A category's slug in words: `Clothing > Baby shirts`."""
    return " > ".join(str(capfirst(level.replace("-", " "))) for level in slug.split("--"))

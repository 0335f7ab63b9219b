"""What an agent is, can do and may do, in words for shoppers."""

from __future__ import annotations

from typing import Final

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
# What a skill is nothing without.
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
    """An agent's skills as its live version declares them, in words, less those that the store has no tools for yet."""
    manifest = agent.live_version.manifest if agent.live_version else {}
    skills = [skill for skill in manifest.get("skills", []) if _NEEDS.get(skill) not in NOT_YET]
    return [SKILLS[skill] for skill in skills if skill in SKILLS]


def permission_words(agent: Agent) -> list[str]:
    """What its live version may do, in words; only what is listed here, and what there is by now, can be granted."""
    manifest = agent.live_version.manifest if agent.live_version else {}
    asked = [permission for permission in manifest.get("permissions", []) if permission not in NOT_YET]
    return [PERMISSIONS[permission] for permission in asked if permission in PERMISSIONS]


def category_words(slug: str) -> str:
    """A category's slug in words."""
    return str(capfirst(slug.replace("-", " ")))

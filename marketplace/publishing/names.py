"""How agents are called, for rooms that hold their references only."""

from __future__ import annotations

import uuid
from contextlib import suppress

from marketplace.publishing.models import Agent


def names_of_agents(refs: set[str]) -> dict[str, str]:
    """The names behind `agent:<uuid>` references; unknown ones are left out."""
    ids = set()
    for ref in refs:
        with suppress(ValueError):
            ids.add(uuid.UUID(ref.removeprefix("agent:")))
    return {agent.ref: agent.name for agent in Agent.objects.filter(pk__in=ids).only("name")}

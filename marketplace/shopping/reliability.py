"""How often an agent's turns fail by its own fault: a gate on its place in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count, Q

from agentstore.kit.clock import now
from marketplace.shopping.models import Conversation, Turn
from sandbox.failures import Fault

_KEY: Final = "reliability:gates"
_REMEMBERED_SECONDS: Final = 60
_RECENT: Final = timedelta(days=7)
# Turns that an agent has credit for before its own record counts: one bad start is not a bad agent.
_CREDIT: Final = 20


def gates() -> Mapping[UUID, float]:
    """A number in (0, 1] for every agent that ran a turn in the last week, remembered for a minute.

    The share of its turns that did not fail by its own fault, with credit for a few good ones. Failures of
    the platform count for nothing.
    """
    known: dict[str, float] | None = cache.get(_KEY)
    if known is None:
        known = _read()
        cache.set(_KEY, known, _REMEMBERED_SECONDS)
    return {UUID(agent): gate for agent, gate in known.items()}


def _read() -> dict[str, float]:
    rows: Iterable[tuple[UUID, int, int]] = (
        Turn.objects.filter(
            started_at__gt=now() - _RECENT, conversation__purpose=Conversation.Purpose.SHOPPING
        )
        .order_by()
        .values_list("conversation__agent_id")
        .annotate(
            good=Count("pk", filter=Q(status=Turn.Status.DONE)),
            bad=Count("pk", filter=Q(status=Turn.Status.FAILED, fault=Fault.AGENT)),
        )
    )
    return {str(agent): (good + _CREDIT) / (good + bad + _CREDIT) for agent, good, bad in rows}

"""Recording who was shown where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from agentstore.kit.clock import now
from marketplace.ranking.examination import examination
from marketplace.ranking.models import Exposure

# A reload within this time is the same look at the same page.
SAME_LOOK: Final = timedelta(minutes=30)
# A purchase is the doing of a page that was seen at most this long before.
SAME_VISIT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Shown:
    """An agent on a page: position from 1, the chance it had of that place, why it does not count if so."""

    agent_id: UUID
    position: int
    slot: str = Exposure.Slot.RANKED
    propensity: float = 1.0
    swapped: bool = False
    excluded: str = ""


@transaction.atomic
def record_exposures(
    *, surface: str, session_ref: str, shopper_ref: str, category: str, shown: Sequence[Shown]
) -> list[UUID]:
    """The exposure of each shown agent, in order; a reload of the same page keeps those it has.

    Raises ValueError for positions below 1 or propensities outside (0, 1].
    """
    if any(not 0 < item.propensity <= 1 for item in shown):
        raise ValueError("a propensity is above 0 and at most 1")
    at = now()
    recent = Exposure.objects.filter(
        session_ref=session_ref, at__gt=at - SAME_LOOK, surface=surface, category=category
    )
    known = {(e.agent_id, e.position): e.id for e in recent.only("id", "agent_id", "position")}
    fresh = [
        Exposure(
            agent_id=item.agent_id,
            category=category,
            surface=surface,
            position=item.position,
            slot=item.slot,
            propensity=item.propensity,
            examination=examination(item.position),
            swapped=item.swapped,
            session_ref=session_ref,
            shopper_ref=shopper_ref,
            excluded=item.excluded,
            at=at,
        )
        for item in shown
        if (item.agent_id, item.position) not in known
    ]
    Exposure.objects.bulk_create(fresh)
    known.update({(e.agent_id, e.position): e.id for e in fresh})
    return [known[item.agent_id, item.position] for item in shown]


def latest_exposure(*, session_ref: str, agent_id: UUID) -> UUID | None:
    """Where this session last saw the agent within a day: what a conversation opened now came of."""
    return (
        Exposure.objects.filter(session_ref=session_ref, agent_id=agent_id, at__gt=now() - SAME_VISIT)
        .order_by("-at")
        .values_list("id", flat=True)
        .first()
    )

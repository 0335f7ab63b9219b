"""The order of the store.

Conversions per examined exposure and gates decide; no fee is known in this room.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from marketplace.ranking.models import Exposure
from marketplace.ranking.placement import Place, arrange
from marketplace.ranking.scores import Standing, standings


@dataclass(frozen=True, slots=True)
class Ranked:
    """An agent's place (from 1) and why: score = posterior mean times gate; low, high: the mean's interval.

    `volume` is the number of exposures behind it, `thin` that they are too few to show a number.
    """

    agent_id: UUID
    position: int
    slot: str
    propensity: float
    score: float
    mean: float
    low: float
    high: float
    volume: int
    orders: int
    thin: bool
    swapped: bool


def rank_agents(
    *,
    agent_ids: Collection[UUID],
    category: str,
    seed: str,
    gates: Mapping[UUID, float],
    window: slice = slice(None),
) -> list[Ranked]:
    """All agents whose gate is open, best first, with one New slot; the same seed gives the same page.

    A gate in [0, 1] multiplies the score (reliability, refunds, policy); 0 takes the agent off the page, a
    missing gate is 1. Equal scores fall back to the older listing. `window` cuts a page out of the whole
    order. Raises ValueError for gates outside [0, 1].
    """
    if any(not 0 <= gate <= 1 for gate in gates.values()):
        raise ValueError("a gate is between 0 and 1")
    known = standings(agent_ids=agent_ids, category=category)
    scored = sorted(
        (-standing.posterior.mean * gate, agent)
        for agent, standing in known.items()
        if (gate := gates.get(agent, 1.0)) > 0
    )
    places = arrange(
        [agent for _, agent in scored],
        candidates={agent for agent, standing in known.items() if standing.thin},
        seed=seed,
        window=window,
    )
    return [_ranked(place, known[place.agent], gates.get(place.agent, 1.0)) for place in places]


def _ranked(place: Place[UUID], standing: Standing, gate: float) -> Ranked:
    posterior = standing.posterior
    return Ranked(
        agent_id=place.agent,
        position=place.position,
        slot=Exposure.Slot.NEW if place.is_new else Exposure.Slot.RANKED,
        propensity=place.propensity,
        score=posterior.mean * gate,
        mean=posterior.mean,
        low=posterior.low,
        high=posterior.high,
        volume=standing.exposures,
        orders=standing.orders,
        thin=standing.thin,
        swapped=place.swapped,
    )

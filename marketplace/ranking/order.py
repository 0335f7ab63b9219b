"""The order of the store.

Conversions per examined exposure and gates decide; no fee is known in this room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from marketplace.ranking.models import Exposure
from marketplace.ranking.placement import arrange
from marketplace.ranking.scores import standings


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
    *, agent_ids: Sequence[UUID], category: str, seed: str, gates: Mapping[UUID, float]
) -> list[Ranked]:
    """All agents whose gate is open, best first, with one New slot; the same seed gives the same page.

    A gate in [0, 1] multiplies the score (reliability, refunds, policy); 0 takes the agent off the page,
    a missing gate is 1. Equal scores fall back to the older listing. Raises ValueError for gates outside
    [0, 1].
    """
    if any(not 0 <= gate <= 1 for gate in gates.values()):
        raise ValueError("a gate is between 0 and 1")
    eligible = {agent for agent in agent_ids if gates.get(agent, 1.0) > 0}
    known = standings(agent_ids=eligible, category=category)
    scores = {agent: known[agent].posterior.mean * gates.get(agent, 1.0) for agent in eligible}
    best_first = sorted(eligible, key=lambda agent: (-scores[agent], agent))
    candidates = {agent for agent in eligible if known[agent].thin}
    return [
        Ranked(
            agent_id=place.agent,
            position=place.position,
            slot=Exposure.Slot.NEW if place.is_new else Exposure.Slot.RANKED,
            propensity=place.propensity,
            score=scores[place.agent],
            mean=known[place.agent].posterior.mean,
            low=known[place.agent].posterior.low,
            high=known[place.agent].posterior.high,
            volume=known[place.agent].exposures,
            orders=known[place.agent].orders,
            thin=known[place.agent].thin,
            swapped=place.swapped,
        )
        for place in arrange(best_first, candidates=candidates, seed=seed)
    ]

"""Reading what the newest fit believes of agents, also of those it has not seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from marketplace.ranking.models import Fit, Score
from marketplace.ranking.posterior import Parameters, Posterior, in_category, overall

# Below this many examined exposures a number would say more about chance than about the agent.
THIN_EXAMINED: Final = 100.0


@dataclass(frozen=True, slots=True)
class Standing:
    """An agent's posterior, the evidence behind it, and when that was counted (None: never)."""

    posterior: Posterior
    examined: float
    orders: int
    exposures: int
    as_of: datetime | None

    @property
    def thin(self) -> bool:
        """Whether there is too little evidence to say anything."""
        return self.examined < THIN_EXAMINED


def standings(*, agent_ids: Collection[UUID], category: str = "") -> dict[UUID, Standing]:
    """Every asked agent's standing in a category (empty: over all) by the newest fit."""
    fit = Fit.objects.order_by("-fitted_at").values_list("pk", flat=True).first()
    if fit is None:
        unseen = Standing(overall({}, Parameters()), 0.0, 0, 0, None)
        return dict.fromkeys(agent_ids, unseen)
    known = _known(fit, category)
    missing = [agent for agent in agent_ids if agent not in known]
    return {agent: known[agent] for agent in agent_ids if agent in known} | _unseen(fit, category, missing)


@lru_cache(maxsize=64)
def _known(fit_id: int, category: str) -> dict[UUID, Standing]:
    """Everyone's standing in a category. A fit never changes once it is committed, so it is read once."""
    as_of = Fit.objects.values_list("fitted_at", flat=True).get(pk=fit_id)
    rows = Score.objects.filter(fit_id=fit_id, category=category).values_list(
        "agent_id", "mean", "low", "high", "examined", "orders", "exposures"
    )
    return {
        agent: Standing(Posterior(mean, low, high), examined, orders, exposures, as_of)
        for agent, mean, low, high, examined, orders, exposures in rows
    }


def _unseen(fit_id: int, category: str, agent_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Agents without a look in the category: what their other categories say, else the prior."""
    if not agent_ids:
        return {}
    fit = Fit.objects.get(pk=fit_id)
    parameters = Parameters(mu=fit.mu, a=fit.a, k=fit.k, category_means=fit.category_means)
    if not category:
        return dict.fromkeys(agent_ids, Standing(overall({}, parameters), 0.0, 0, 0, fit.fitted_at))
    whole = _known(fit_id, "")
    found = {}
    for agent in agent_ids:
        elsewhere = whole[agent].posterior.mean if agent in whole else fit.mu
        centred = replace(parameters, mu=elsewhere)
        found[agent] = Standing(in_category({}, category, centred), 0.0, 0, 0, fit.fitted_at)
    return found

"""Reading what the newest fit believes of agents, also of those it has not seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from marketplace.ranking.models import Fit, Score
from marketplace.ranking.posterior import Parameters, Posterior, Tally, in_category, overall

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
    """Every asked agent's standing in a category (empty: over all), two queries however many agents."""
    fit = Fit.objects.order_by("-fitted_at").first()
    if fit is None:
        parameters, found = Parameters(), {}
    else:
        parameters = Parameters(mu=fit.mu, a=fit.a, k=fit.k, category_means=fit.category_means)
        rows = Score.objects.filter(fit=fit, agent_id__in=agent_ids, category__in={"", category})
        found = {(row.agent_id, row.category): row for row in rows}
    as_of = fit.fitted_at if fit else None
    return {
        agent: _standing(found.get((agent, category)), found.get((agent, "")), category, parameters, as_of)
        for agent in agent_ids
    }


def _standing(
    own: Score | None, whole: Score | None, category: str, parameters: Parameters, as_of: datetime | None
) -> Standing:
    if own is not None:
        posterior = Posterior(mean=own.mean, low=own.low, high=own.high)
        return Standing(posterior, own.examined, own.orders, own.exposures, as_of)
    if not category:
        return Standing(overall({}, parameters), 0.0, 0, 0, as_of)
    # Nothing seen in this category: what the others say of the agent, through a prior centred on it.
    elsewhere = whole.mean if whole is not None else parameters.mu
    centred = Parameters(
        mu=elsewhere, a=parameters.a, k=parameters.k, category_means=parameters.category_means
    )
    return Standing(in_category({category: Tally()}, category, centred), 0.0, 0, 0, as_of)

"""Honest numbers for an agent's page: the rate, its interval, the volume behind it, and the date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from marketplace.ranking.models import Fit, Score
from marketplace.ranking.scores import THIN_EXAMINED, Standing, standings


@dataclass(frozen=True, slots=True)
class CategoryStatistics:
    """One category's line of an agent's page; rates are conversions per examined exposure."""

    category: str
    rate: float
    low: float
    high: float
    orders: int
    exposures: int
    thin: bool


@dataclass(frozen=True, slots=True)
class AgentStatistics:
    """What may be said of an agent. Where `thin` is true, no rate may be shown."""

    rate: float
    low: float
    high: float
    orders: int
    exposures: int
    thin: bool
    as_of: datetime | None
    categories: tuple[CategoryStatistics, ...] = ()


def agent_statistics(agent_id: UUID) -> AgentStatistics:
    """Over all categories and for each in which the agent was seen, most seen first."""
    whole = standings(agent_ids=[agent_id])[agent_id]
    fit = Fit.objects.order_by("-fitted_at").first()
    rows = (
        Score.objects.filter(fit=fit, agent_id=agent_id)
        .exclude(category="")
        .order_by("-exposures", "category")
        if fit
        else []
    )
    categories = tuple(
        CategoryStatistics(
            category=row.category,
            rate=row.mean,
            low=row.low,
            high=row.high,
            orders=row.orders,
            exposures=row.exposures,
            thin=row.examined < THIN_EXAMINED,
        )
        for row in rows
    )
    return _from_standing(whole, categories)


def _from_standing(standing: Standing, categories: tuple[CategoryStatistics, ...] = ()) -> AgentStatistics:
    return AgentStatistics(
        rate=standing.posterior.mean,
        low=standing.posterior.low,
        high=standing.posterior.high,
        orders=standing.orders,
        exposures=standing.exposures,
        thin=standing.thin,
        as_of=standing.as_of,
        categories=categories,
    )

"""The daily fit: count, fit, write a score per agent and category."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from agentstore.kit.clock import now
from marketplace.ranking.likelihood import fit_parameters
from marketplace.ranking.models import Fit, Score
from marketplace.ranking.posterior import HALF_LIFE_DAYS, Parameters, Posterior, Tally, in_category, overall

# After ten half-lives an event counts less than a thousandth.
HORIZON: Final = timedelta(days=10 * HALF_LIFE_DAYS)
_KEEP: Final = timedelta(days=35)

_COUNT: Final = """
SELECT agent_id, category, sum(n), sum(e), sum(orders), sum(exposures) FROM (
  SELECT agent_id, category, 0::float AS n,
         sum(examination
             * power(0.5::float, extract(epoch FROM %(at)s - at)::float / 86400 / %(half_life)s)) AS e,
         0 AS orders, count(*) AS exposures
  FROM ranking_exposure WHERE excluded = '' AND at > %(since)s AND at <= %(until)s
  GROUP BY agent_id, category
  UNION ALL
  SELECT agent_id, category,
         sum(power(0.5::float, extract(epoch FROM %(at)s - occurred_at)::float / 86400 / %(half_life)s)),
         0, count(*), 0
  FROM ranking_conversion WHERE status = 'matured' AND occurred_at > %(since)s AND occurred_at <= %(until)s
  GROUP BY agent_id, category
) AS counted GROUP BY agent_id, category
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one agent did in one category: decayed for the model, plain for people."""

    tally: Tally
    orders: int
    exposures: int


def count_events(*, at: datetime) -> dict[UUID, dict[str, Counted]]:
    """By agent and category. Only what is older than the return window is counted, on both sides.

    An exposure younger than that cannot have a matured conversion yet; counting it would make every agent
    that has just become popular look worse than it is.
    """
    window: dict[str, datetime | float] = {
        "at": at,
        "since": at - HORIZON,
        "until": at - timedelta(days=settings.RETURN_WINDOW_DAYS),
        "half_life": HALF_LIFE_DAYS,
    }
    counted: dict[UUID, dict[str, Counted]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, window)
        for agent_id, category, n, e, orders, exposures in cursor.fetchall():
            counted[agent_id][category] = Counted(Tally(float(n), float(e)), int(orders), int(exposures))
    return dict(counted)


@transaction.atomic
def fit_ranking() -> Fit:
    """Fit the parameters to all that counts today and score every agent; older fits are kept for 35 days."""
    at = now()
    counted = count_events(at=at)
    tallies = {agent: {c: row.tally for c, row in rows.items()} for agent, rows in counted.items()}
    parameters, likelihood = fit_parameters(tallies)
    fit = Fit.objects.create(
        fitted_at=at,
        mu=parameters.mu,
        a=parameters.a,
        k=parameters.k,
        category_means=dict(parameters.category_means),
        agents=len(tallies),
        log_likelihood=likelihood,
    )
    Score.objects.bulk_create(
        (
            score
            for agent, rows in counted.items()
            for score in _scores(fit, agent, rows, tallies[agent], parameters)
        ),
        batch_size=1_000,
    )
    Fit.objects.filter(fitted_at__lt=at - _KEEP).delete()
    return fit


def _scores(
    fit: Fit, agent: UUID, rows: dict[str, Counted], tallies: dict[str, Tally], parameters: Parameters
) -> list[Score]:
    """One per category with a name, and one, under the empty name, over all."""
    whole = Counted(
        Tally(
            sum(row.tally.conversions for row in rows.values()),
            sum(row.tally.examined for row in rows.values()),
        ),
        sum(row.orders for row in rows.values()),
        sum(row.exposures for row in rows.values()),
    )
    made = [_score(fit, agent, "", overall(tallies, parameters), whole)]
    made += [
        _score(fit, agent, category, in_category(tallies, category, parameters), row)
        for category, row in rows.items()
        if category
    ]
    return made


def _score(fit: Fit, agent: UUID, category: str, posterior: Posterior, counted: Counted) -> Score:
    return Score(
        fit=fit,
        agent_id=agent,
        category=category,
        mean=posterior.mean,
        low=posterior.low,
        high=posterior.high,
        conversions=counted.tally.conversions,
        examined=counted.tally.examined,
        orders=counted.orders,
        exposures=counted.exposures,
    )

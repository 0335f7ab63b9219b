"""What is believed about an agent's conversions per examined exposure. Pure; docs/algorithms/ranking.md
explains it.

Agent i has a rate ρ_i shared by all categories and category c a multiple m_c of it: conversions N_ic are
Poisson with mean ρ·m_c·E_ic. Across agents ρ is Gamma(a, rate a/μ); within one agent, category by
category, it is Gamma around what its other categories say, with the weight of k examined exposures:

    θ_i  = (a + N_i,−c) / (a/μ + (m·E)_i,−c)
    q_ic = m_c · (k·θ_i + N_ic) / (k + m_c·E_ic)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from marketplace.ranking.gamma import quantile

HALF_LIFE_DAYS: Final = 60.0
LOW, HIGH = 0.025, 0.975


@dataclass(frozen=True, slots=True)
class Parameters:
    """μ: mean conversions per examined exposure; a: how alike agents are; k: exposures that an agent's other
    categories are worth in one; m_c by category, 1 where unknown.

    The defaults are what a store without any data assumes.
    """

    mu: float = 0.03
    a: float = 4.0
    k: float = 100.0
    category_means: Mapping[str, float] = field(default_factory=dict)

    def mean_of(self, category: str) -> float:
        """m_c."""
        return self.category_means.get(category, 1.0)


@dataclass(frozen=True, slots=True)
class Tally:
    """Decayed conversions N and decayed sum of examination probabilities E, of one agent in one category."""

    conversions: float = 0.0
    examined: float = 0.0


@dataclass(frozen=True, slots=True)
class Posterior:
    """Mean and central 95 % interval of conversions per examined exposure."""

    mean: float
    low: float
    high: float


def theta(tallies: Mapping[str, Tally], parameters: Parameters, *, without: str | None = None) -> float:
    """θ_i: the agent's rate from all its categories but one (from all of them when None)."""
    others = [(c, t) for c, t in tallies.items() if c != without]
    conversions = sum(t.conversions for _, t in others)
    examined = sum(parameters.mean_of(c) * t.examined for c, t in others)
    return (parameters.a + conversions) / (parameters.a / parameters.mu + examined)


def overall(tallies: Mapping[str, Tally], parameters: Parameters) -> Posterior:
    """Over all categories, each brought to the common scale by its m_c."""
    shape = parameters.a + sum(t.conversions for t in tallies.values())
    rate = parameters.a / parameters.mu + sum(parameters.mean_of(c) * t.examined for c, t in tallies.items())
    return _gamma(shape, rate, scale=1.0)


def in_category(tallies: Mapping[str, Tally], category: str, parameters: Parameters) -> Posterior:
    """q_ic. The interval takes θ_i as known: it says how little the category itself has shown."""
    own = tallies.get(category, Tally())
    m = parameters.mean_of(category)
    shape = parameters.k * theta(tallies, parameters, without=category) + own.conversions
    return _gamma(shape, parameters.k + m * own.examined, scale=m)


def _gamma(shape: float, rate: float, *, scale: float) -> Posterior:
    unit = scale / rate
    return Posterior(mean=shape * unit, low=quantile(LOW, shape) * unit, high=quantile(HIGH, shape) * unit)

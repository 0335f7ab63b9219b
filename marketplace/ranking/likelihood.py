"""Fitting μ, a, k and m_c to what all agents did, by penalised marginal likelihood. Pure.

With a Gamma prior the Poisson counts are negative-binomial once the rate is integrated out (the
gamma–Poisson model: Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6). Few agents say little
about a and k, so log-normal priors around the defaults of `Parameters` hold them; with many agents they
no longer matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import numpy as np

from marketplace.ranking.gamma import Array, log_gamma
from marketplace.ranking.posterior import Parameters, Tally

_PRIOR: Final = Parameters()
_SPREAD: Final = {"mu": 2.0, "a": 1.0, "k": 1.0}
# Pseudo-conversions that hold a category's multiple near 1.
_CATEGORY_STRENGTH: Final = 20.0
_LEAST_EXPOSURE: Final = 1e-9
_ROUNDS: Final = 6
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Table:
    """Counts as matrices: one row per agent, one column per category."""

    categories: tuple[str, ...]
    conversions: Array
    examined: Array


def tabulate(tallies: Mapping[UUID, Mapping[str, Tally]]) -> Table:
    """All agents' tallies; the order of agents and categories does not matter to the fit."""
    categories = tuple(sorted({c for row in tallies.values() for c in row}))
    shape = (len(tallies), len(categories))
    conversions, examined = np.zeros(shape), np.zeros(shape)
    for i, row in enumerate(tallies.values()):
        for j, category in enumerate(categories):
            tally = row.get(category, Tally())
            conversions[i, j], examined[i, j] = tally.conversions, tally.examined
    return Table(categories, conversions, examined)


def negative_binomial(count: Array, exposure: Array, shape: Array, rate: Array) -> float:
    """Summed log marginal likelihood of Poisson counts whose rate is Gamma(shape, rate) per unit of exposure.

    Decayed counts are fractions; Γ takes them as they are. Cells without exposure say nothing and are
    left out.
    """
    seen = exposure > _LEAST_EXPOSURE
    n, x = count[seen], exposure[seen]
    a, b = np.broadcast_to(shape, count.shape)[seen], np.broadcast_to(rate, count.shape)[seen]
    terms = (
        log_gamma(a + n) - log_gamma(a) - log_gamma(n + 1) + a * np.log(b / (b + x)) + n * np.log(x / (b + x))
    )
    return float(terms.sum())


def fit_parameters(tallies: Mapping[UUID, Mapping[str, Tally]]) -> tuple[Parameters, float]:
    """The parameters of largest penalised likelihood, and the log-likelihood of agents' totals there."""
    table = tabulate(tallies)
    if table.conversions.size == 0:
        return _PRIOR, 0.0
    multiples = np.ones(len(table.categories))
    mu, a = _PRIOR.mu, _PRIOR.a
    for _ in range(_ROUNDS):
        totals = table.conversions.sum(axis=1)
        weighted = (table.examined * multiples).sum(axis=1)
        mu = _climb(partial(_with_mean, totals, weighted, a), _PRIOR.mu)
        a = _climb(partial(_with_shape, totals, weighted, mu), _PRIOR.a)
        multiples = _category_multiples(table, multiples, mu, a)
    weighted = (table.examined * multiples).sum(axis=1)
    others = _leave_one_out(table, multiples, mu, a)
    exposure = table.examined * multiples

    def across_categories(k: float) -> float:
        return negative_binomial(table.conversions, exposure, k * others, np.asarray(k)) + _penalty("k", k)

    k = _climb(across_categories, _PRIOR.k)
    means = dict(zip(table.categories, (float(m) for m in multiples), strict=True))
    likelihood = _agents(table.conversions.sum(axis=1), weighted, mu, a)
    return Parameters(mu=mu, a=a, k=k, category_means=means), likelihood


def _agents(totals: Array, weighted: Array, mu: float, a: float) -> float:
    return negative_binomial(totals, weighted, np.asarray(a), np.asarray(a / mu))


def _with_mean(totals: Array, weighted: Array, a: float, mu: float) -> float:
    return _agents(totals, weighted, mu, a) + _penalty("mu", mu)


def _with_shape(totals: Array, weighted: Array, mu: float, a: float) -> float:
    return _agents(totals, weighted, mu, a) + _penalty("a", a)


def _leave_one_out(table: Table, multiples: Array, mu: float, a: float) -> Array:
    """θ_i,−c for every agent and category."""
    weighted = table.examined * multiples
    conversions = table.conversions.sum(axis=1, keepdims=True) - table.conversions
    examined = weighted.sum(axis=1, keepdims=True) - weighted
    return np.asarray((a + np.maximum(conversions, 0)) / (a / mu + np.maximum(examined, 0)))


def _category_multiples(table: Table, multiples: Array, mu: float, a: float) -> Array:
    """Observed over expected conversions per category, shrunk to 1, scaled to a weighted mean of 1."""
    weighted = (table.examined * multiples).sum(axis=1, keepdims=True)
    thetas = (a + table.conversions.sum(axis=1, keepdims=True)) / (a / mu + weighted)
    expected = (table.examined * thetas).sum(axis=0)
    observed = table.conversions.sum(axis=0)
    raw = (observed + _CATEGORY_STRENGTH) / (expected + _CATEGORY_STRENGTH)
    weights = table.examined.sum(axis=0)
    mean = float((raw * weights).sum() / weights.sum()) if weights.sum() > 0 else 1.0
    return np.asarray(raw / mean)


def _penalty(name: str, value: float) -> float:
    """Log density, up to a constant, of a log-normal prior around the default."""
    distance = math.log(value / getattr(_PRIOR, name)) / _SPREAD[name]
    return -0.5 * distance * distance


def _climb(objective: Callable[[float], float], start: float) -> float:
    """The maximiser of a unimodal function of a positive number: golden section on its log, ±8 of start."""
    low, high = math.log(start) - 8, math.log(start) + 8
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = objective(math.exp(left)), objective(math.exp(right))
    while high - low > 1e-4:
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = objective(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = objective(math.exp(right))
    return math.exp((low + high) / 2)

"""How many sandboxes to keep warm: enough for the claims that are likely to come while one starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# Of a hundred claims, so many shall find a warm one.
SERVICE = 0.95
# Windows in seconds over which claims are counted: a burst shows in the short one, steady demand in the long one.
WINDOWS = (60, 600)


@dataclass(frozen=True, slots=True)
class Demand:
    """What was seen of one tenant: claims within each window, and the seconds that a start takes."""

    claims: Mapping[int, int]
    start_seconds: float


def warm_wanted(demand: Demand, *, floor: int, ceiling: int) -> int:
    """The base stock of an inventory whose lead time is a start: each claim orders a new one at once.

    With claims as a Poisson process of rate λ (the highest of the windows) and a lead time L, a stock of S fails a
    claim when S or more came within L; S is the smallest for which that is rarer than 1 - SERVICE. Never below `floor`
    nor, unless that is higher, above `ceiling`. (Zipkin, Foundations of Inventory Management, 6.2.)
    """
    ceiling = max(floor, ceiling)
    rate = max((number / window for window, number in demand.claims.items() if window > 0), default=0.0)
    mean = rate * max(0.0, demand.start_seconds)
    if mean <= 0:
        return floor
    # Far beyond every ceiling the sum would only take time, and its terms vanish.
    if mean > 2 * ceiling + 20:
        return ceiling
    return min(ceiling, max(floor, _quantile(mean, SERVICE, ceiling) + 1))


def _quantile(mean: float, share: float, most: int) -> int:
    """The smallest n up to `most` with P(Poisson(mean) ≤ n) ≥ share."""
    term = math.exp(-mean)
    total, n = term, 0
    while total < share and n < most:
        n += 1
        term *= mean / n
        total += term
    return n

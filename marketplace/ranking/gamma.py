"""The Gamma distribution's functions that the posterior and its fit need, without a dependency for four
lines.

Sources: Abramowitz and Stegun, Handbook of Mathematical Functions, 6.1.41 (Stirling's series) and 26.4.17
(Wilson and Hilferty's approximation); Press et al., Numerical Recipes, section 6.2 (series and continued
fraction of the incomplete gamma function).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STIRLING: Final = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)
_SHIFT: Final = 8
_TINY: Final = 1e-300


def log_gamma(x: Array) -> Array:
    """log Γ(x) for x > 0, elementwise; absolute error below 1e-10."""
    shifted = np.asarray(x, dtype=np.float64)
    correction = np.zeros_like(shifted)
    for _ in range(_SHIFT):
        correction += np.log(shifted)
        shifted = shifted + 1.0
    inverse = 1.0 / shifted
    series = np.zeros_like(shifted)
    power = inverse
    for coefficient in _STIRLING:
        series += coefficient * power
        power = power * inverse * inverse
    stirling = (shifted - 0.5) * np.log(shifted) - shifted + 0.5 * math.log(2 * math.pi) + series
    return np.asarray(stirling - correction)


def regularized_lower(shape: float, x: float) -> float:
    """P(shape, x): the chance that a Gamma(shape, 1) variable is at most x; shape > 0."""
    if x <= 0:
        return 0.0
    front = math.exp(-x + shape * math.log(x) - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        n = shape
        while term > total * 1e-15:
            n += 1
            term *= x / n
            total += term
        return min(1.0, total * front)
    return max(0.0, 1.0 - front * _upper_fraction(shape, x))


def _upper_fraction(shape: float, x: float) -> float:
    """Lentz's evaluation of the continued fraction of the upper incomplete gamma function."""
    b = x + 1 - shape
    c = 1 / _TINY
    d = 1 / b
    value = d
    for i in range(1, 10_000):
        an = -i * (i - shape)
        b += 2
        d = 1 / _away_from_zero(an * d + b)
        c = _away_from_zero(b + an / c)
        step = d * c
        value *= step
        if abs(step - 1) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


@lru_cache(maxsize=65_536)
def quantile(p: float, shape: float) -> float:
    """The p-quantile of Gamma(shape, 1), 0 < p < 1, shape > 0; relative error below 1e-9."""
    z = NormalDist().inv_cdf(p)
    spread = 1 / (9 * shape)
    guess = shape * max(1 - spread + z * math.sqrt(spread), 0.0) ** 3
    low, high = 0.0, max(2 * guess, 4 * shape, 1.0)
    while regularized_lower(shape, high) < p:
        low, high = high, 2 * high
    x = guess if low < guess < high else (low + high) / 2
    for _ in range(200):
        error = regularized_lower(shape, x) - p
        low, high = (x, high) if error < 0 else (low, x)
        density = math.exp((shape - 1) * math.log(x) - x - math.lgamma(shape)) if x > 0 else 0.0
        newton = x - error / density if density > 0 else low
        following = newton if low < newton < high else (low + high) / 2
        if abs(following - x) <= 1e-12 * max(x, _TINY):
            return following
        x = following
    return x

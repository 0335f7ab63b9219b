"""The Gamma functions against published values and identities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.ranking.gamma import log_gamma, quantile, regularized_lower


@given(st.floats(1e-3, 1e6))
def test_log_gamma_agrees_with_the_standard_library(x):
    assert log_gamma(np.array([x]))[0] == pytest.approx(math.lgamma(x), rel=1e-10, abs=1e-9)


@pytest.mark.parametrize(
    ("p", "shape", "expected"),
    [
        (0.5, 1.0, math.log(2)),  # exponential
        (0.975, 1.0, -math.log(0.025)),
        (0.95, 0.5, 3.841458820694124 / 2),  # chi-squared, 1 degree of freedom: tables
        (0.95, 5.0, 18.307038053275146 / 2),  # 10 degrees
        (0.05, 50.0, 77.92946516501732 / 2),  # 100 degrees
    ],
)
def test_quantiles_agree_with_tables(p, shape, expected):
    assert quantile(p, shape) == pytest.approx(expected, rel=1e-9)


@given(st.floats(0.01, 0.99), st.floats(0.05, 5_000))
def test_quantile_inverts_the_distribution(p, shape):
    assert regularized_lower(shape, quantile(p, shape)) == pytest.approx(p, abs=1e-7)

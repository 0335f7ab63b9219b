"""How many are kept warm: a pure function of what was seen."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sandbox.demand import SERVICE, WINDOWS, Demand, warm_wanted

counts = st.integers(0, 5000)
seconds = st.floats(0, 300)
bounds = st.integers(0, 60)


def wanted(short, long, start, floor=0, ceiling=1000):
    return warm_wanted(
        Demand(dict(zip(WINDOWS, (short, long), strict=True)), start), floor=floor, ceiling=ceiling
    )


@given(counts, counts, seconds, bounds, bounds)
def test_it_stays_between_floor_and_ceiling(short, long, start, floor, ceiling):
    assert floor <= wanted(short, long, start, floor, ceiling) <= max(floor, ceiling)


@given(seconds, bounds, bounds)
def test_without_claims_it_is_the_floor(start, floor, ceiling):
    assert wanted(0, 0, start, floor, ceiling) == floor


@given(counts, counts, seconds, st.integers(0, 500), st.floats(0, 50))
def test_more_claims_or_slower_starts_never_want_fewer(short, long, start, more, slower):
    assert wanted(short + more, long, start) >= wanted(short, long, start)
    assert wanted(short, long + more, start) >= wanted(short, long, start)
    assert wanted(short, long, start + slower) >= wanted(short, long, start)


def test_what_it_wants_serves_the_share_it_promises():
    """Simulated: claims at random, each ordering one more, which takes a start's time to come."""
    randoms = random.Random(7)
    for per_minute, start in ((6, 2.0), (60, 2.0), (120, 3.0)):
        stock = wanted(per_minute, per_minute * 10, start)
        at, orders, served, claims = 0.0, list[float](), 0, 20_000
        for _ in range(claims):
            at += randoms.expovariate(per_minute / 60)
            orders = [due for due in orders if due > at]
            served += len(orders) < stock
            orders.append(at + start)
        assert served / claims >= SERVICE - 0.01, (per_minute, stock, served / claims)


def test_a_burst_shows_at_once_and_is_forgotten():
    assert wanted(60, 60, 2.0) > wanted(0, 60, 2.0) >= 1

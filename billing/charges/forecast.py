"""What a month will come to, by the days before. Pure; docs/algorithms/forecast.md follows one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from agentstore.kit.money import half_even

# The days whose mean and spread are taken: whole weeks, so that each day of the week counts alike.
WINDOW = 28
# With fewer days since the first, or fewer of them with anything, nothing is forecast.
LEAST_DAYS = 14
LEAST_BUSY = 5
# Four of five months end between the bounds, were days alike and independent: the 90 % quantile of the normal
# distribution on either side.
_QUANTILE = 1.2816


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a month comes to at its end, in micro-units: expected, and between two bounds in four months of five."""

    low: int
    expected: int
    high: int
    days: int
    capped: bool = False

    def __add__(self, other: Forecast) -> Forecast:
        """Of two things together; the bounds are added, which is wider than it need be."""
        return Forecast(
            self.low + other.low,
            self.expected + other.expected,
            self.high + other.high,
            min(self.days, other.days),
            self.capped or other.capped,
        )


def forecast_month(
    *,
    before: int,
    today: int,
    days: Sequence[int],
    days_left: int,
    month_cap: int | None = None,
    day_cap: int | None = None,
) -> Forecast | None:
    """The month's days before today, and what is left of it at the mean; None where there is too little to go by.

    `days` are whole days before today, oldest first, from the first with anything on; the last 28 are used. Today is
    one of the `days_left`: what it has come to already is the least that is forecast of it. Neither cap is passed: no
    day adds more than the day's, and the month ends at the month's.
    """
    window = days[-WINDOW:]
    if len(window) < LEAST_DAYS or sum(1 for it in window if it) < LEAST_BUSY:
        return None
    count = len(window)
    variance = sum((it - sum(window) / count) ** 2 for it in window) / (count - 1)
    # The days to come vary, and the mean is itself known from a sample.
    spread = _QUANTILE * math.sqrt(variance * (days_left + days_left**2 / count))
    expected = half_even(sum(window) * days_left, count)
    only_grows = min([*window, today]) >= 0
    limit = _limit(before, days_left, month_cap, day_cap)

    def at_end(added: int) -> int:
        amount = before + max(added, today) if only_grows else before + added
        return amount if limit is None else max(before + today, min(amount, limit))

    return Forecast(
        at_end(expected - round(spread)),
        at_end(expected),
        at_end(expected + round(spread)),
        count,
        capped=limit is not None and before + expected > limit,
    )


def _limit(before: int, days_left: int, month_cap: int | None, day_cap: int | None) -> int | None:
    limits = [month_cap, None if day_cap is None else before + day_cap * days_left]
    return min((it for it in limits if it is not None), default=None)


def fill_days(found: dict[date, int], *, until: date) -> list[int]:
    """Amounts by day as a list up to the day before `until`, from the first day there is; days without are 0."""
    earlier = [day for day in found if day < until]
    if not earlier:
        return []
    first = min(earlier)
    return [found.get(first + timedelta(days=number), 0) for number in range((until - first).days)]

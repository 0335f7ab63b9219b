"""Spans of time that a merchant's figures are of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from agentstore.kit.clock import now
from billing.periods import Month, day_of, start_of

LABELS: Final = {
    "7": "Last 7 days",
    "30": "Last 30 days",
    "90": "Last 90 days",
    "month": "This month",
    "before": "Last month",
    "365": "Last 365 days",
    "all": "All time",
}
_USUAL: Final = "30"


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on and before `until`: whole days of UTC, of which the last may be under way."""

    name: str
    since: datetime
    until: datetime

    @property
    def first_day(self) -> date:
        """Its first day."""
        return day_of(self.since)

    @property
    def last_day(self) -> date:
        """Its last day."""
        return day_of(self.until - timedelta(microseconds=1))

    @property
    def label(self) -> str:
        """`Last 30 days`"""
        return LABELS[self.name]


def period_of(name: str) -> Period:
    """The period of a name in LABELS, up to now; the usual one for any other."""
    at = now()
    month = Month.of(at)
    if name == "month":
        return Period(name, month.start, at)
    if name == "before":
        return Period(name, month.previous().start, month.start)
    if name == "all":
        return Period(name, datetime.min.replace(tzinfo=UTC), at)
    known = name if name in LABELS else _USUAL
    return Period(known, start_of(day_of(at) - timedelta(days=int(known) - 1)), at)

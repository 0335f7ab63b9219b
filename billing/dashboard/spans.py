"""Spans of days that figures are of, and the span before each, to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from billing.periods import Month, day_of

LABELS: Final = {
    "7": "Last 7 days",
    "30": "Last 30 days",
    "90": "Last 90 days",
    "365": "Last 365 days",
    "month": "This month",
    "before": "Last month",
    "chosen": "From … to …",
}
_USUAL: Final = "30"
# As many steps as a chart can show; more days than this are shown by month.
_MOST_DAYS: Final = 92
_LONGEST: Final = timedelta(days=3 * 366)
# Room for the span before and the month after within what a date can be.
_EARLIEST, _LATEST = date(2000, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Span:
    """Days in UTC from `first` to `last`, both included, cut into days or months."""

    name: str
    first: date
    last: date
    step: str

    @property
    def label(self) -> str:
        """`Last 30 days`, `1 Oct 2026 to 12 Oct 2026`."""
        return LABELS[self.name] if self.name != "chosen" else f"{_words(self.first)} to {_words(self.last)}"

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Span:
        """The span that ends where this one begins: as many whole months for whole months, else as many days."""
        last = self.first - timedelta(days=1)
        if self.first.day == 1 and (self.last + timedelta(days=1)).day == 1:
            months = 12 * (self.last.year - self.first.year) + self.last.month - self.first.month + 1
            index = 12 * self.first.year + self.first.month - 1 - months
            return Span("chosen", date(index // 12, index % 12 + 1, 1), last, self.step)
        return Span("chosen", self.first - timedelta(days=self.days), last, self.step)

    def steps(self) -> Iterator[date]:
        """The first day of each step that has days of the span."""
        day = self.start_of(self.first)
        while day <= self.last:
            yield day
            day = day + timedelta(days=1) if self.step == "day" else Month(day.year, day.month).end.date()

    def start_of(self, day: date) -> date:
        """The first day of the step that a day falls in."""
        return day if self.step == "day" else day.replace(day=1)

    def name_of(self, start: date) -> str:
        """A step for a chart: `Nov 26`, `Nov 2026`."""
        return f"{start:%b} {start.day}" if self.step == "day" else f"{start:%b %Y}"


def read_span(given: Mapping[str, str], *, at: datetime | None = None) -> Span:
    """The span that a page was asked for: `period`, or `first` and `last` of a chosen one; `by` day or month.

    Raises Invalid for what is no span of days, one of more than three years, or one before 2000 or after 2999.
    """
    today = day_of(at or now())
    name = given.get("period", "")
    if given.get("first") and given.get("last") and name in ("", "chosen"):
        name = "chosen"
    if name not in LABELS or (name == "chosen" and not (given.get("first") and given.get("last"))):
        name = _USUAL
    first, last = _days(name, today, given)
    if not _EARLIEST <= first <= last <= _LATEST or last - first > _LONGEST:
        raise Invalid(
            "These are no days from first to last.", hint="Choose at most three years, from 2000 on."
        )
    step = "month" if given.get("by") == "month" or (last - first).days >= _MOST_DAYS else "day"
    return Span(name, first, last, step)


def _days(name: str, today: date, given: Mapping[str, str]) -> tuple[date, date]:
    month = today.replace(day=1)
    if name == "month":
        return month, today
    if name == "before":
        return (month - timedelta(days=1)).replace(day=1), month - timedelta(days=1)
    if name == "chosen":
        try:
            return date.fromisoformat(given["first"]), date.fromisoformat(given["last"])
        except ValueError as broken:
            raise Invalid("These are no days.", hint="Write them as 2026-11-30.") from broken
    return today - timedelta(days=int(name) - 1), today


def _words(day: date) -> str:
    return f"{day.day} {day:%b %Y}"

"""What a day and a month are to the books: UTC, with three days of grace before a month's statement closes.

Both sides of the books, statements and the daily close, take them from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from agentstore.kit.errors import Invalid

# How long after its last day a month still takes what is booked late.
GRACE = timedelta(days=3)

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC: from `start` on and before `end`. `str()` gives ISO 8601: `2026-11`."""

    year: int
    month: int

    @classmethod
    def of(cls, instant: datetime) -> Month:
        """The month that an aware instant falls in."""
        there = instant.astimezone(UTC)
        return cls(there.year, there.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """The month that `2026-11` names. Raises Invalid."""
        match = _MONTH.fullmatch(text)
        if match is None or match[1] == "0000":
            raise Invalid(f"“{text[:20]}” is no month.", hint="Write it as 2026-11.")
        return cls(int(match[1]), int(match[2]))

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first instant of the next month."""
        return self.next().start

    @property
    def closes_at(self) -> datetime:
        """When its statement closes: the grace after its end."""
        return self.end + GRACE

    def next(self) -> Month:
        """The month after it."""
        return Month(self.year + 1, 1) if self.month == 12 else Month(self.year, self.month + 1)

    def previous(self) -> Month:
        """The month before it."""
        return Month(self.year - 1, 12) if self.month == 1 else Month(self.year, self.month - 1)

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


def earliest_open(at: datetime) -> Month:
    """The oldest month whose statement still takes lines at an instant."""
    return Month.of(at - GRACE)


def latest_closed(at: datetime) -> Month:
    """The newest month whose statement is due at an instant: its grace is over."""
    return earliest_open(at).previous()


def statement_month(*, occurred_at: datetime, posted_at: datetime) -> Month:
    """The month on whose statement an event belongs: its own, or the next one that is open when it is late.

    Late is what is posted after the grace of its month. Nothing goes back in time: what is posted before it
    happened (clocks differ) stays with its own month.
    """
    return max(Month.of(occurred_at), earliest_open(posted_at))


def day_of(instant: datetime) -> date:
    """The day that an aware instant falls in, in UTC."""
    return instant.astimezone(UTC).date()


def start_of(day: date) -> datetime:
    """A day's first instant."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """The first instant of the day after it."""
    return start_of(day + timedelta(days=1))

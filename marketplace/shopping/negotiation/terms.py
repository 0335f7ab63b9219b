"""What a rule allows, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money

MOST_ROUNDS: Final = 10
MOST_OFF_PPM: Final = 900_000
MOST_BREAKS: Final = 6


class InvalidTerms(Invalid):
    """Terms that contradict themselves."""

    code = "invalid_terms"


@dataclass(frozen=True, slots=True)
class Break:
    """From `quantity` pieces on, so much may be off the price of each, in parts per million."""

    quantity: int
    off_ppm: int


@dataclass(frozen=True, slots=True)
class Terms:
    """A rule without what it is for.

    `off_ppm` is the most that may be off the price of one piece, `step_ppm` how much of the price the merchant comes
    down by in each of at most `rounds` rounds (parts per million). Below `floor`, a price of one piece, nothing goes,
    whatever the percentages say. `breaks` go up in quantity and in discount. It counts from `valid_from` until
    `valid_to`, within the hours of day from `from_hour` until `to_hour` (UTC; over midnight where that is the
    earlier), and while at least `least_stock` can be bought. Raises InvalidTerms.
    """

    off_ppm: int
    step_ppm: int
    rounds: int
    floor: Money | None = None
    breaks: tuple[Break, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    from_hour: int | None = None
    to_hour: int | None = None
    least_stock: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.off_ppm <= MOST_OFF_PPM:
            raise InvalidTerms(f"At most {MOST_OFF_PPM // 10_000} % can be off.")
        if not 0 < self.step_ppm <= MOST_OFF_PPM:
            raise InvalidTerms("Each round comes down by something.")
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise InvalidTerms(f"A negotiation has 1 to {MOST_ROUNDS} rounds.")
        if self.floor is not None and self.floor.micros <= 0:
            raise InvalidTerms("The lowest price is above zero.")
        if self.least_stock < 0:
            raise InvalidTerms("Stock is not below zero.")
        self._check_breaks()
        self._check_times()

    def _check_breaks(self) -> None:
        if len(self.breaks) > MOST_BREAKS:
            raise InvalidTerms(f"At most {MOST_BREAKS} quantities can be named.")
        steps = (Break(1, self.off_ppm), *self.breaks)
        if any(later.quantity <= before.quantity for before, later in pairwise(steps)):
            raise InvalidTerms("Name larger quantities after smaller ones, beginning with 2.")
        if any(later.off_ppm <= before.off_ppm for before, later in pairwise(steps)):
            raise InvalidTerms("A larger quantity gets more off than a smaller one.")
        if steps[-1].off_ppm > MOST_OFF_PPM:
            raise InvalidTerms(f"At most {MOST_OFF_PPM // 10_000} % can be off.")

    def _check_times(self) -> None:
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise InvalidTerms("It ends before it begins.")
        hours = (self.from_hour, self.to_hour)
        if (None in hours) != (hours == (None, None)):
            raise InvalidTerms("Give both hours, or neither.")
        if any(hour is not None and not 0 <= hour <= 23 for hour in hours):
            raise InvalidTerms("Hours are 0 to 23.")
        if self.from_hour is not None and self.from_hour == self.to_hour:
            raise InvalidTerms("The hours are the same; leave both empty for the whole day.")

    @property
    def gives_nothing(self) -> bool:
        """Whether nothing is off for any number of pieces: so is said that something is not negotiated."""
        return self.off_ppm == 0 and not self.breaks

    def off_for(self, quantity: int) -> int:
        """The most that may be off each of so many pieces, in parts per million."""
        return max([self.off_ppm, *(b.off_ppm for b in self.breaks if b.quantity <= quantity)])

    def closed(self, *, at: datetime, stock: int) -> str:
        """Why it does not count at this instant and stock, in a sentence; empty when it does."""
        if self.valid_from and at < self.valid_from:
            return "It has not begun yet."
        if self.valid_to and at >= self.valid_to:
            return "It is over."
        if not self._open_at(at.astimezone(UTC).hour):
            return f"It counts from {self.from_hour}:00 to {self.to_hour}:00 UTC."
        if stock < self.least_stock:
            return f"It counts while at least {self.least_stock} are in stock."
        return ""

    def _open_at(self, hour: int) -> bool:
        if self.from_hour is None or self.to_hour is None:
            return True
        if self.from_hour < self.to_hour:
            return self.from_hour <= hour < self.to_hour
        return hour >= self.from_hour or hour < self.to_hour

    def as_json(self) -> dict[str, Any]:
        """All of it, JSON-able: what a rule's history and a negotiation's disclosure keep."""
        return {
            "off_ppm": self.off_ppm, "step_ppm": self.step_ppm, "rounds": self.rounds,
            "floor_micros": self.floor.micros if self.floor else None,
            "currency": self.floor.currency if self.floor else "",
            "breaks": [[b.quantity, b.off_ppm] for b in self.breaks],
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "valid_to": self.valid_to.isoformat() if self.valid_to else None,
            "from_hour": self.from_hour, "to_hour": self.to_hour, "least_stock": self.least_stock,
        }  # fmt: skip

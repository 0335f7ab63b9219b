"""A sale with dates: what an offer asks at an instant. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Sale:
    """A price from one instant to before another, in micro-units, below the regular one."""

    regular_micros: int
    sale_micros: int
    starts: datetime
    ends: datetime

    def at(self, instant: datetime) -> tuple[int, int | None]:
        """What is asked then, and the regular price beside it while the sale is on."""
        if self.starts <= instant < self.ends:
            return self.sale_micros, self.regular_micros
        return self.regular_micros, None


def dated_sale(
    regular_micros: int | None, sale_micros: int | None, starts: datetime | None, ends: datetime | None
) -> Sale | None:
    """The sale of an offer's columns; None without one."""
    if regular_micros is None or sale_micros is None or starts is None or ends is None:
        return None
    return Sale(regular_micros, sale_micros, starts, ends)

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

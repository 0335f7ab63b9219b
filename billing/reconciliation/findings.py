"""What a check gives back: how much it compared, what is under way, and each thing that does not agree."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

# More of the same say nothing new; the count goes on.
MOST_LINES = 1_000

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree. Amounts are micro-units; `problem` is a key of `words.PROBLEMS`."""

    problem: str
    reference: str
    detail: str = ""
    currency: str = ""
    expected: int | None = None
    found: int | None = None
    journal_id: uuid.UUID | None = None
    event_id: uuid.UUID | None = None
    processor_ref: str = ""

    @property
    def key(self) -> Key:
        """What makes it one line of an incident, as its row keeps it."""
        return self.problem, self.reference[:300], self.currency


@dataclass(slots=True)
class Findings:
    """The outcome of one check on one day; `until` is when the first thing under way becomes a difference."""

    compared: int = 0
    in_flight: int = 0
    different: int = 0
    lines: list[Difference] = field(default_factory=list)
    until: datetime | None = None
    in_flight_micros: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    # Hashes: a day on which everything is wrong has a million.
    _seen: set[int] = field(default_factory=set)

    def add(self, line: Difference) -> None:
        """Note a difference, the first of each key; of more than MOST_LINES only the number is kept."""
        if self.has(line.key):
            return
        self._seen.add(hash(line.key))
        self.different += 1
        if len(self.lines) < MOST_LINES:
            self.lines.append(line)

    def has(self, key: Key) -> bool:
        """Whether a difference with this key was found, kept or not."""
        return hash(key) in self._seen

    def wait(self, until: datetime) -> None:
        """Note a thing that is under way, and until when that is in order."""
        self.in_flight += 1
        self.until = until if self.until is None else min(until, self.until)

    def counts(self) -> dict[str, int]:
        """For the day's row."""
        return {"compared": self.compared, "in_flight": self.in_flight, "different": self.different}

"""What gives a hostile text away: named signals, each with a weight and a reason that people can read. Pure.

The signals are in `table/*.toml`. `patterns` are regular expressions over a text made plain (`readings.py`), each
an alternative; `{agent}` and the like stand for what `words.toml` lists. Repetitions are bounded everywhere, so that
no text takes long. A signal is looked for only in texts that hold one of its `stems`; with `markup` in the reading
that keeps tags. Whoever changes the table raises VERSION in `detector.py`, and looks at
`python -m benchmarks.hostile_text` before.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final


class Kind(StrEnum):
    """What a text tries. The first four are orders; the last three press people as much as agents."""

    INSTRUCTION = "instruction"
    IMPERSONATION = "impersonation"
    STEERING = "steering"
    CONCEALED = "concealed"
    AUTHORITY = "authority"
    POPULARITY = "popularity"
    THREAT = "threat"


ORDERS: Final = frozenset({Kind.INSTRUCTION, Kind.IMPERSONATION, Kind.STEERING, Kind.CONCEALED})
PRESSURE: Final = frozenset(Kind) - ORDERS
_PARTS: Final = ("instruction", "impersonation", "steering", "concealed", "pressure")
MEANINGS: Final = {
    Kind.INSTRUCTION: "gives orders to whoever reads it as a program",
    Kind.IMPERSONATION: "pretends to come from somebody else than its merchant",
    Kind.STEERING: "tells agents what to prefer or to avoid",
    Kind.CONCEALED: "hides words from people",
    Kind.AUTHORITY: "piles up awards, approvals and certificates",
    Kind.POPULARITY: "piles up crowds, ratings and voices",
    Kind.THREAT: "frightens or hurries",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing to look for in a text made plain; with `markup` in the one that keeps its tags."""

    name: str
    kind: Kind
    weight: float
    why: str
    pattern: re.Pattern[str]
    stems: tuple[str, ...]
    markup: bool = False


def _read() -> tuple[Signal, ...]:
    words: dict[str, str] = {}
    for name, parts in _table("words").items():
        words[name] = f"(?:{_filled('|'.join(parts), words)})"
    return tuple(
        Signal(
            name=row["name"],
            kind=Kind(row["kind"]),
            weight=row["weight"],
            why=row["why"],
            pattern=re.compile(_filled("|".join(row["patterns"]), words)),
            stems=tuple(row["stems"]),
            markup=row.get("markup", False),
        )
        for part in _PARTS
        for row in _table(part)["signal"]
    )


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "table" / f"{name}.toml").read_text(encoding="utf-8"))


def _filled(pattern: str, words: dict[str, str]) -> str:
    """A pattern with words in the place of their names; quantifiers have braces too, so no format string."""
    for name, part in words.items():
        pattern = pattern.replace(f"{{{name}}}", part)
    return pattern


SIGNALS: Final = _read()

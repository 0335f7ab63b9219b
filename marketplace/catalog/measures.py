"""How much is in a package, and what one unit of that costs. Pure.

Units and defaults are those of Google Merchant's `unit_pricing_measure` and `unit_pricing_base_measure`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agentstore.kit.money import Money, half_even

_TEXT: Final = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)\s*([a-zA-Z]+)")
# By kind of measure: each unit in the smallest of its kind.
_KINDS: Final[tuple[dict[str, Decimal], ...]] = tuple(
    {unit: Decimal(size) for unit, size in kind.items()}
    for kind in (
        {"mg": "0.001", "g": "1", "kg": "1000", "oz": "28.349523125", "lb": "453.59237"},
        {
            "ml": "1", "cl": "10", "l": "1000", "cbm": "1000000", "floz": "29.5735295625", "pt": "473.176473",
            "qt": "946.352946", "gal": "3785.411784",
        },
        {"cm": "1", "m": "100", "in": "2.54", "ft": "30.48", "yd": "91.44"},
        {"sqm": "1", "sqft": "0.09290304"},
        {"ct": "1"},
    )
)  # fmt: skip
_DEFAULT_BASE: Final = {"mg": "100 g", "g": "100 g", "ml": "100 ml", "cl": "1 l", "cm": "1 m"}
# How many times one may be the other: a price per so much more than is sold would be beyond all numbers.
_MOST_APART: Final = Decimal(1_000_000)
_PLACES: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a package holds and per how much its price is compared, both in one unit."""

    amount: Decimal
    base: Decimal
    unit: str

    def unit_price(self, price: Money) -> Money:
        """The price of `base`, rounded half-even to the currency's minor unit."""
        top = price.minor * int(self.base / _PLACES)
        return Money.from_minor(half_even(top, int(self.amount / _PLACES)), price.currency)

    @property
    def per(self) -> str:
        """As in `per 100 ml`; a single one is not counted."""
        number = f"{self.base.normalize():f}"
        return self.unit if number == "1" else f"{number} {self.unit}"


def read_measure(text: str, base: str = "") -> Measure | None:
    """`750 ml` per `1 l`; without a base, per a usual one. None for what is no pair of one kind and of like size."""
    held = _parsed(text)
    if held is None:
        return None
    compared = _parsed(base or _DEFAULT_BASE.get(held[1], f"1 {held[1]}"))
    if compared is None:
        return None
    for kind in _KINDS:
        if held[1] in kind and compared[1] in kind:
            amount = (held[0] * kind[held[1]] / kind[compared[1]]).quantize(_PLACES)
            alike = amount > 0 and 1 / _MOST_APART <= compared[0] / amount <= _MOST_APART
            return Measure(amount, compared[0], compared[1]) if alike else None
    return None


def _parsed(text: str) -> tuple[Decimal, str] | None:
    match = _TEXT.fullmatch(text.strip())
    if match is None or Decimal(match[1]) <= 0:
        return None
    return Decimal(match[1]), match[2].lower()

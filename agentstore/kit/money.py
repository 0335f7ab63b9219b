"""Money in integer micro-units: 1 USD = 1 000 000 micro-units.

Rounding is half-even (IEEE 754 roundTiesToEven) and happens in exactly two places: when a rate is
applied, and when an amount is expressed in the currency's minor unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from agentstore.kit.errors import Invalid

MICRO = 1_000_000
PPM = 1_000_000

# ISO 4217 exponents that differ from two.
_EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "BHD": 3, "KWD": 3, "TND": 3}
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


class CurrencyMismatch(Invalid):
    """Two amounts of different currencies were combined."""

    code = "currency_mismatch"


def exponent(currency: str) -> int:
    """Decimal places of a currency's minor unit (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded half to even, in integers only; denominator > 0."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        quotient += 1
    return quotient


def apply_rate(micros: int, rate_ppm: int) -> int:
    """A rate in parts per million of an amount, in micro-units, rounded half-even."""
    return half_even(micros * rate_ppm, PPM)


def split(total: int, rate_ppm: int) -> tuple[int, int]:
    """Split a total into (the part at the rate, the rest); the two always sum to the total."""
    part = apply_rate(total, rate_ppm)
    return part, total - part


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in micro-units of one currency (ISO 4217 code)."""

    micros: int
    currency: str

    @classmethod
    def from_minor(cls, minor: int, currency: str) -> Money:
        """From the currency's minor unit (cents), as UCP and card processors speak."""
        return cls(minor * 10 ** (6 - exponent(currency)), currency)

    @classmethod
    def from_decimal(cls, amount: Decimal, currency: str) -> Money:
        """From a decimal amount in major units, rounded half-even to the micro-unit."""
        return cls(int((amount * MICRO).to_integral_value(ROUND_HALF_EVEN)), currency)

    @property
    def minor(self) -> int:
        """In the currency's minor unit, rounded half-even."""
        return half_even(self.micros, 10 ** (6 - exponent(self.currency)))

    @property
    def rounded(self) -> Money:
        """In whole minor units, half-even: for reading, and for what has none smaller."""
        return Money.from_minor(self.minor, self.currency)

    @property
    def decimal(self) -> Decimal:
        """In major units, exact."""
        return Decimal(self.micros) / MICRO

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} can't be combined")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.micros + other.micros, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.micros - other.micros, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.micros, self.currency)

    def __mul__(self, quantity: int) -> Money:
        return Money(self.micros * quantity, self.currency)

    def __str__(self) -> str:
        """For people: the minor unit, or all digits that matter when it is finer than that."""
        places = exponent(self.currency)
        shown = self.decimal
        if self.micros % 10 ** (6 - places):
            text = f"{abs(shown):,.6f}".rstrip("0")
        else:
            text = f"{abs(shown):,.{places}f}"
        sign = "−" if self.micros < 0 else ""
        symbol = _SYMBOLS.get(self.currency)
        return f"{sign}{symbol}{text}" if symbol else f"{sign}{text} {self.currency}"

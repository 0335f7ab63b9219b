"""What a shopper asked for that the platform itself can check. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agentstore.kit.money import MICRO, Money

MAX_PRICE = "max_price_micros"

_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_WORDS = {
    "dollar": "USD", "dollars": "USD", "bucks": "USD", "buck": "USD", "usd": "USD",
    "euro": "EUR", "euros": "EUR", "eur": "EUR", "pounds": "GBP", "quid": "GBP", "gbp": "GBP",
    "yen": "JPY", "jpy": "JPY",
}  # fmt: skip
_AMOUNT = (
    r"(?P<{0}symbol>[$€£¥])?\s?"
    r"(?P<{0}number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d{{1,2}})?|\d{{1,7}}(?:\.\d{{1,2}})?)"
    r"(?P<{0}thousand>k\b)?"
)
_CURRENCY = r"(?:\s?(?P<{0}word>" + "|".join(_WORDS) + r")\b)?"
_HIGH = _AMOUNT.format("") + _CURRENCY.format("")
# "up to 40 hours" and "under 5 years" are no prices.
_UNITS = (
    "%|percent|years?|yrs?|months?|weeks?|days?|hours?|hrs?|minutes?|mins?|inch|inches|cm|mm|m\\b|ft|feet|kg|g\\b"
    "|grams?|lbs?|oz|ounces?|pounds?\\s+(?:of|in)|litres?|liters?|ml|watts?|w\\b|v\\b|gb|tb|mb|people|persons?"
    "|items?|pieces?|pcs|of\\s+them|stars?"
)
_NOT_MORE = rf"(?![\d%]|[.,]\d|\s?(?:{_UNITS}))"
_LIMIT = re.compile(
    r"(?<!not )(?<!never )\b(?:under|below|less than|no more than|not more than|at most|up to"
    r"|maximum(?: of)?|max\.?|within|cheaper than|(?:my\s+)?budget(?:\s+(?:is|of|around|about))?"
    r"|spend(?:\s+(?:up to|at most|about))?|limit(?:\s+(?:is|of))?)\s*:?\s*" + _HIGH + _NOT_MORE,
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?<![\w.,])" + _HIGH + r"\s*(?:or less|or under|or below|max(?:imum)?\b|at most|tops\b|budget\b)",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?:\b(?P<between>between|from)\s+)?" + _AMOUNT.format("low") + _CURRENCY.format("low")
    + r"\s*(?:and|to|-|–|—)\s*" + _HIGH + _NOT_MORE,
    re.IGNORECASE,
)  # fmt: skip
# "for children under 5" speaks of an age.
_AGE_BEFORE = re.compile(
    r"\b(?:age[ds]?|kids?|child|children|toddlers?|babies|people|anyone|size)\s*$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Constraints:
    """The checkable part of a request.

    `country` is where it would be shipped (ISO 3166-1 alpha-2), `currency` what the shopper pays in,
    `max_price` the most that one item may cost (None: not said), `age` the shopper's in full years
    (None: not said).
    """

    country: str
    currency: str
    max_price: Money | None = None
    age: int | None = None


def stated_limit(text: str, *, currency: str) -> Money | None:
    """The price limit that a message states, None when it states none or one in another currency.

    The last one said counts; of a range, its upper end.
    """
    found: list[tuple[int, Money]] = []
    for pattern in (_LIMIT, _AFTER, _RANGE):
        for match in pattern.finditer(text):
            if _AGE_BEFORE.search(text[: match.start()]):
                continue
            amount = _amount(match, currency, needs_sign=pattern is _RANGE)
            if amount is not None:
                found.append((match.end(), amount))
    return max(found, key=lambda at: at[0])[1] if found else None


def _amount(match: re.Match[str], currency: str, *, needs_sign: bool) -> Money | None:
    parts = match.groupdict()
    signs = [
        _SYMBOLS[parts[name]] for name in ("symbol", "lowsymbol") if parts.get(name)
    ] + [_WORDS[parts[name].lower()] for name in ("word", "lowword") if parts.get(name)]  # fmt: skip
    if any(sign != currency for sign in signs):
        return None
    # "6-12" alone may be anything; with a sign of money, or after "between", it is a range of prices.
    if needs_sign and not signs and not parts.get("between"):
        return None
    micros = int(Decimal(parts["number"].replace(",", "")) * (1000 if parts["thousand"] else 1) * MICRO)
    return Money(micros, currency) if micros > 0 else None


def constraints_of(
    *, limits: Mapping[str, Any], country: str, currency: str, birth_year: int | None, this_year: int
) -> Constraints:
    """The constraints in force in a conversation. An age is the least that the year of birth allows."""
    micros = limits.get(MAX_PRICE)
    return Constraints(
        country=country,
        currency=currency,
        max_price=None if micros is None else Money(int(micros), currency),
        age=None if birth_year is None else max(0, this_year - birth_year - 1),
    )

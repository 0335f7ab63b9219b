"""What a shopper says about money, found in free text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from concierge.vocabulary import UNITS

_MONEY_BEFORE = r"(?:us\s?\$|\$|€|£|usd|eur|gbp)\s*"
_MONEY_AFTER = r"\s*(?:\$|€|£|usd|eur|gbp|dollars?|bucks?|euros?|quid)(?!\w)"
_NUMBER = r"(\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,7}(?:\.\d{1,2})?)(?:\s?(k)\b)?"
_AMOUNT = rf"(?:{_MONEY_BEFORE}{_NUMBER}|{_NUMBER}{_MONEY_AFTER})"
_BARE = rf"{_NUMBER}(?![\d.,]*\d)(?!\s*-?\s*(?:{UNITS})(?![a-z]))"
_ANY = rf"(?:{_AMOUNT}|{_BARE})"

_MOST = (
    r"(?:under|below|less than|lower than|cheaper than|beneath|up to|upto|at most|no more than|not more than"
    r"|not over|nothing over|nothing above|no higher than|maximum(?: of)?|max(?:imum)? price(?: of| is)?"
    r"|max\.?|within|not exceeding|<=?)"
)
_PRICE_WORDS = (
    r"(?:(?:the )?(?:price|budget|cost|limit|spend(?:ing)?)"
    r"(?:\s+(?:is|of|should be|must be|to be|at))*\s*:?\s*)"
)
_BETWEEN = re.compile(
    rf"{_PRICE_WORDS}(?:between|from)\s+{_ANY}\s*(?:and|to|-|–)\s*{_ANY}"
    rf"|(?:between|from)\s+{_AMOUNT}\s*(?:and|to|-|–)\s*{_ANY}"
    rf"|(?:between|from)\s+{_ANY}\s*(?:and|to|-|–)\s*{_AMOUNT}"
)
_RANGE = re.compile(rf"{_MONEY_BEFORE}{_NUMBER}\s*(?:-|–|to)\s*(?:{_MONEY_BEFORE})?{_NUMBER}")
_AT_MOST = re.compile(
    rf"{_PRICE_WORDS}?(?<!\w){_MOST}\s*(?:about|around)?\s*{_ANY}(?:\s*(?:in total|total|each))?"
)
_OR_LESS = re.compile(rf"{_AMOUNT}\s*(?:or (?:less|under|below|cheaper)|max(?:imum)?|tops|at most)(?!\w)")
_BUDGET = re.compile(rf"{_PRICE_WORDS}{_ANY}")
_AT_LEAST = re.compile(
    r"(?<!\w)(?<!no )(?<!not )(?<!nothing )"
    rf"(?:over|above|more than|at least|starting (?:at|from)|min(?:imum)?(?: of)?)\s*{_AMOUNT}"
)
_ABOUT = re.compile(rf"(?:around|about|roughly|approximately|~)\s*{_AMOUNT}")
_EXACT = re.compile(rf"(?:for|at)\s+{_AMOUNT}")


@dataclass(frozen=True)
class Budget:
    """Inclusive limits in minor units (cents), None where there is none."""

    least: int | None = None
    most: int | None = None

    def __bool__(self) -> bool:
        return self.least is not None or self.most is not None


def find_budget(text: str) -> tuple[Budget, str]:
    """The budget in a lower-case text, and the text without the words that said it.

    "under $50" excludes 50.00 in strict speech; people mean it as "at most", and so does this.
    """
    least: int | None = None
    most: int | None = None
    for pattern in (_BETWEEN, _RANGE):
        if match := pattern.search(text):
            low, high = _amounts(match)[:2]
            return Budget(min(low, high), max(low, high)), _without(text, match)
    if match := _AT_LEAST.search(text):
        least, text = _amounts(match)[0], _without(text, match)
    if match := _AT_MOST.search(text) or _OR_LESS.search(text) or _BUDGET.search(text):
        most, text = _amounts(match)[0], _without(text, match)
    elif match := _ABOUT.search(text):
        most, text = _amounts(match)[0] * 6 // 5, _without(text, match)
    elif match := _EXACT.search(text):
        most, text = _amounts(match)[0], _without(text, match)
    return Budget(least, most), text


def _amounts(match: re.Match[str]) -> list[int]:
    found = list[int]()
    groups = match.groups()
    for number, thousand in zip(groups[::2], groups[1::2], strict=True):
        if number is not None:
            units, _, fraction = number.replace(",", "").partition(".")
            cents = int(units) * 100 + int((fraction + "00")[:2])
            found.append(cents * 1000 if thousand else cents)
    return found


def _without(text: str, match: re.Match[str]) -> str:
    return f"{text[: match.start()]} {text[match.end() :]}"

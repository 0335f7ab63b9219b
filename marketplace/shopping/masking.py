"""Personal data in a shopper's message, masked before it is stored or an agent sees it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

EMAIL = "e-mail address"
PHONE = "phone number"
CARD = "card number"

_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_DIGIT_RUN = re.compile(r"(?<![\w.,])\d(?:[ -]?\d){12,18}(?![\w]|[.,]\d)")
# A number with a country code, a North American one, or a long one that begins with a trunk zero.
_PHONE = re.compile(
    r"""
      (?<![\w+]) \+ \d{1,3} [\s./-]? (?:\(\d{1,5}\)[\s./-]?)? \d(?:[\s./-]?\d){5,12}
    | (?<![\w$€£.,-]) (?:1[\s.-])? \(?\d{3}\)?[\s.-]? \d{3}[\s.-]\d{4}
    | (?<![\w$€£.,-]) 0\d{2,4}[\s/-]?\d{3,4}[\s-]?\d{2,5}
    """,
    re.VERBOSE,
)
_NOT_LONGER = re.compile(r"[\w]|[.,]\d")
# Numbers that name goods rather than people.
_ARTICLE = re.compile(r"(?:isbn|ean|gtin|upc|sku|asin|item|model|no\.|\#)[-:\s\d]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without personal data, and which kinds were taken out of it, each once."""

    text: str
    kinds: tuple[str, ...]


def mask(text: str) -> Masked:
    """Replace e-mail addresses, card numbers (13 to 19 digits that pass Luhn) and phone numbers by their
    kind.

    Masking twice changes nothing more.
    """
    kinds: list[str] = []

    def by(kind: str) -> str:
        if kind not in kinds:
            kinds.append(kind)
        return f"[{kind} removed]"

    def card(found: re.Match[str]) -> str:
        digits = [int(c) for c in found[0] if c.isdigit()]
        return by(CARD) if passes_luhn(digits) else found[0]

    def phone(found: re.Match[str]) -> str:
        before, after = found.string[: found.start()], found.string[found.end() :]
        if _NOT_LONGER.match(after) or _ARTICLE.search(before[-30:]):
            return found[0]
        return by(PHONE)

    text = _EMAIL.sub(lambda _: by(EMAIL), text)
    text = _DIGIT_RUN.sub(card, text)
    text = _PHONE.sub(phone, text)
    return Masked(text, tuple(kinds))


def passes_luhn(digits: list[int]) -> bool:
    """Whether the last digit is the check digit of the rest (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return bool(digits) and total % 10 == 0

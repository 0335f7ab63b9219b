"""Filters that every template has: money, initials, and a hue for those without a picture."""

from __future__ import annotations

import zlib

from django import template

from agentstore.kit.money import Money

register = template.Library()

HUES = ("indigo", "rust", "green", "teal", "blue", "rose")


@register.filter
def money(micros: int | Money | None, currency: str = "USD") -> str:
    """`{{ offer.price_micros|money:offer.currency }}` → `$12.99`; nothing for None."""
    if micros is None:
        return ""
    return str(micros if isinstance(micros, Money) else Money(int(micros), currency))


@register.filter
def initials(name: str) -> str:
    """At most two capitals: “Bargain Scout” → “BS”."""
    words = [word for word in str(name).replace("&", " ").split() if word]
    return "".join(word[0] for word in words[:2]).upper() or "?"


@register.filter
def hue(name: str) -> str:
    """A stable hue name of six for a text."""
    return HUES[zlib.crc32(str(name).encode()) % len(HUES)]


@register.filter
def percent(share: float | None, digits: int = 1) -> str:
    """`0.0742|percent` → `7.4%`."""
    return "" if share is None else f"{share * 100:.{digits}f}%"


@register.filter
def rate(ppm: int) -> str:
    """`150000|rate` → `15%`, from parts per million."""
    return f"{ppm / 10_000:g}%"

"""What every template has: money, names' initials and hues, icons, addresses that may not exist."""

from __future__ import annotations

import zlib
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agentstore.kit.money import Money

register = template.Library()

HUES = ("indigo", "rust", "green", "teal", "blue", "rose")
# Spelled out, since Tailwind keeps only the classes that it finds written somewhere.
HUE_CLASSES = {
    "indigo": "hue-indigo",
    "rust": "hue-rust",
    "green": "hue-green",
    "teal": "hue-teal",
    "blue": "hue-blue",
    "rose": "hue-rose",
}
TONE_CLASSES = {
    "neutral": "tone tone-neutral",
    "info": "tone tone-info",
    "success": "tone tone-success",
    "warning": "tone tone-warning",
    "error": "tone tone-error",
    "primary": "tone tone-primary",
    "sponsored": "tone tone-sponsored",
}
DOT_CLASSES = {
    "neutral": "bg-base-content/50",
    "info": "bg-info",
    "success": "bg-success",
    "warning": "bg-warning",
    "error": "bg-error",
    "primary": "bg-primary",
}
# The statuses of all rooms, and how each of them is to be taken.
STATUS_TONES = {
    "neutral": "archived cancelled closed draft ended expired inactive none organic paused retired stopped "
    "withdrawn",
    "info": "building candidate checking created held in_review new open pending prepared processing queued "
    "received review running scheduled sent starting submitted validating waiting warming",
    "success": "accepted active approved available claimed completed connected done fulfilled listed live matched "
    "paid passed posted published ready resolved settled succeeded up upheld verified warm",
    "warning": "attention draining late partial partially_refunded quarantined refunded requires_action returned "
    "stale suspended unbilled",
    "error": "blocked broken canceled_by_processor dead differences disputed error failed lost overdue refused "
    "rejected reversed uncollectible",
}
_TONE_OF = {status: tone for tone, statuses in STATUS_TONES.items() for status in statuses.split()}


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
def hue_class(name: str) -> str:
    """The class that sets `--hue` and `--hue-soft`: for a hue's own name, else for the text's stable hue."""
    return HUE_CLASSES.get(name) or HUE_CLASSES[hue(name)]


@register.filter
def tone_class(tone: str) -> str:
    """The classes of a badge in a tone; an unknown tone is neutral."""
    return TONE_CLASSES.get(str(tone), TONE_CLASSES["neutral"])


@register.filter
def dot_class(tone: str) -> str:
    """The colour of a status dot in a tone."""
    return DOT_CLASSES.get(str(tone), DOT_CLASSES["neutral"])


@register.filter
def tone(status: object) -> str:
    """How a status is to be taken: `paid|tone` → `success`; an unknown one is neutral."""
    return _TONE_OF.get(str(status).lower().replace(" ", "_"), "neutral")


@register.filter
def percent(share: float | None, digits: int = 1) -> str:
    """`0.0742|percent` → `7.4%`."""
    return "" if share is None else f"{share * 100:.{digits}f}%"


@register.filter
def rate(ppm: int) -> str:
    """`150000|rate` → `15%`, from parts per million."""
    return f"{ppm / 10_000:g}%"


@register.simple_tag
def maybe_url(name: str, *args: Any, **kwargs: Any) -> str:
    """The address of a named page, or nothing where this process does not serve that page."""
    try:
        return reverse(name, args=args, kwargs=kwargs)
    except NoReverseMatch:
        return ""


@register.simple_tag
def icon(name: str, classes: str = "size-5", label: str = "") -> SafeString:
    """An icon of the sprite (assets/icons.txt). Hidden from screen readers unless it has a label."""
    href = f"{static('dist/icons.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="{} shrink-0" role="img" aria-label="{}"><use href="{}"></use></svg>',
            classes,
            label,
            href,
        )
    return format_html(
        '<svg class="{} shrink-0" aria-hidden="true"><use href="{}"></use></svg>', classes, href
    )


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """This page's query string with changes, `?a=1&b=2`; a value of None or "" drops its name."""
    request: HttpRequest | None = context.get("request")
    values = {key: request.GET.getlist(key) for key in request.GET} if request else {}
    for key, value in changes.items():
        if value in (None, ""):
            values.pop(key, None)
        else:
            values[key] = [str(value)]
    return f"?{urlencode(values, doseq=True)}"


@register.simple_tag(takes_context=True)
def current(context: template.Context, *prefixes: str) -> SafeString | str:
    """`aria-current="page"` when this page's path lies under one of the prefixes (empty ones never do)."""
    request: HttpRequest | None = context.get("request")
    if request is None:
        return ""
    for prefix in prefixes:
        under = request.path == prefix if prefix == "/" else request.path.startswith(prefix)
        if prefix and under:
            return SafeString('aria-current="page"')
    return ""

"""Mails written once, as text: the HTML beside it is made from the same paragraphs.

A paragraph that is nothing but an address becomes a button, one that is nothing but a code is set large,
and a signature (after a line of two dashes) is left to the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

_LINK = re.compile(r"https?://\S+")
_CODE = re.compile(r"(?=.*\d|[A-Z]+(?:-[A-Z]+)+$)[A-Z0-9]{2,8}(?:-?[A-Z0-9]{2,8})+")


@dataclass(frozen=True, slots=True)
class Part:
    """One paragraph: its kind ("text", "link" or "code"), what it says, and what a link's button says."""

    kind: str
    text: str
    label: str = ""


def parts_of(text: str, *, action: str = "Open the store") -> list[Part]:
    """The paragraphs of a text, split at blank lines; `action` labels the buttons of its links."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        words = paragraph.strip()
        if words.startswith("--\n"):
            continue
        if _LINK.fullmatch(words):
            parts.append(Part("link", words, action))
        elif _CODE.fullmatch(words):
            parts.append(Part("code", words))
        elif words:
            parts.append(Part("text", words))
    return parts


def build_message(
    *, subject: str, text: str, to: Sequence[str], action: str = "Open the store"
) -> EmailMultiAlternatives:
    """A mail of the store with a text and an HTML body; `.send()` sends it."""
    message = EmailMultiAlternatives(subject, text.strip() + "\n", to=list(to))
    message.attach_alternative(render_html(subject=subject, text=text, action=action), "text/html")
    return message


def render_html(*, subject: str, text: str, action: str = "Open the store") -> str:
    """The HTML body that says the same as the text."""
    return render_to_string(
        "email/message.html",
        {"subject": subject, "parts": parts_of(text, action=action), "site_url": settings.SITE_URL},
    )

"""Who knows what a fee was for: the room that metered it, named in `settings.USAGE_SOURCES`.

Billing knows nothing of conversations. It asks a source about its own events, and for what should have become one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from agentstore.kit.money import Money
from billing.models import UsageEvent


@dataclass(frozen=True, slots=True)
class Missing:
    """What an event lacks: a key of `words.PROBLEMS`; amounts in micro-units where one is another."""

    problem: str
    detail: str = ""
    expected: int | None = None
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A card of a merchant that a shopper saw in a conversation. `labelled`: it said that something is paid for it.

    `earning` is False where no fee may be earned, whoever pays: a developer's own people, say.
    """

    conversation_ref: str
    merchant_ref: str
    category: str
    price_version_id: uuid.UUID
    at: datetime
    labelled: bool
    earning: bool


@dataclass(frozen=True, slots=True)
class Sold:
    """A paid order line that is credited to a conversation."""

    line_ref: str
    conversation_ref: str
    amount: Money


class UsageSource(Protocol):
    """What a room that meters usage says of a day."""

    def find_missing(self, events: Sequence[UsageEvent]) -> dict[uuid.UUID, Missing]:
        """What each of these events lacks; those that lack nothing, and those of other rooms, are left out."""
        ...

    def shown_between(self, since: datetime, until: datetime) -> Iterator[Sequence[Shown]]:
        """The cards shown in qualified conversations, one a conversation and merchant, a batch at a time."""
        ...

    def sold_between(self, since: datetime, until: datetime) -> Iterator[Sequence[Sold]]:
        """The credited lines that were paid, a batch at a time."""
        ...


def usage_sources() -> list[UsageSource]:
    """The sources of this store."""
    return [import_string(name)() for name in settings.USAGE_SOURCES]

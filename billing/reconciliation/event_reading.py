"""The events that changed on a day, with all that they are compared with, a batch at a time."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import connection, transaction
from django.db.models import Max

from billing.models import Entry, Journal, PriceVersion, UsageEvent, UsageEventChange
from billing.periods import day_of, end_of, start_of

_BATCH = 2_000
_CHANGED = """
SELECT event_id FROM billing_usageeventchange WHERE at >= %(since)s AND at < %(until)s
UNION SELECT id FROM billing_usageevent WHERE recorded_at >= %(since)s AND recorded_at < %(until)s
ORDER BY 1
"""

# What a journal moves: by owner, kind of account and currency, debits positive.
Legs = dict[tuple[str, str, str], int]


@dataclass(slots=True)
class Booked:
    """A journal and what it moves."""

    journal: Journal
    legs: Legs = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """Events and what belongs to them: journals, what takes those back, the taxes that a return is of."""

    events: list[UsageEvent]
    last: dict[uuid.UUID, datetime]
    prices: dict[uuid.UUID, PriceVersion]
    booked: dict[uuid.UUID, Booked]
    taken_back: dict[uuid.UUID, list[Booked]]
    returns: dict[uuid.UUID, list[UsageEvent]]
    taxed: dict[uuid.UUID, UsageEvent]


def batches_of(day: date) -> Iterator[Batch]:
    """The events that last changed on a day."""
    with transaction.atomic(), closing(connection.chunked_cursor()) as cursor:
        cursor.execute(_CHANGED, {"since": start_of(day), "until": end_of(day)})
        while rows := cursor.fetchmany(_BATCH):
            batch = _batch([row[0] for row in rows])
            batch.events = [event for event in batch.events if day_of(batch.last[event.pk]) == day]
            yield batch


def _batch(ids: list[uuid.UUID]) -> Batch:
    events = list(UsageEvent.objects.filter(pk__in=ids).order_by("pk"))
    changed = UsageEventChange.objects.filter(event__in=ids).values("event").annotate(last=Max("at"))
    last = {row["event"]: row["last"] for row in changed.order_by()}
    versions = PriceVersion.objects.filter(pk__in={event.price_version_id for event in events})
    origins = [event.reverses_id or event.pk for event in events]
    returns: dict[uuid.UUID, list[UsageEvent]] = defaultdict(list)
    for returned in UsageEvent.objects.filter(reverses__in=origins).order_by("pk"):
        if returned.reverses_id is not None:
            returns[returned.reverses_id].append(returned)
    own = [event.journal_id for event in events if event.journal_id is not None]
    backs = Journal.objects.filter(reverses__in=own).exclude(kind="tax_reversal")
    booked = _booked({*own, *backs.values_list("pk", flat=True)})
    taken_back: dict[uuid.UUID, list[Booked]] = defaultdict(list)
    for found in booked.values():
        if found.journal.reverses_id is not None and found.journal.kind != "tax_reversal":
            taken_back[found.journal.reverses_id].append(found)
    return Batch(
        events=events,
        last={event.pk: max(event.recorded_at, last.get(event.pk, event.recorded_at)) for event in events},
        prices={version.pk: version for version in versions.prefetch_related("rules")},
        booked=booked,
        taken_back=taken_back,
        returns=returns,
        taxed=UsageEvent.objects.in_bulk({event.reverses_id for event in events if event.reverses_id}),
    )


def _booked(ids: set[uuid.UUID]) -> dict[uuid.UUID, Booked]:
    found = {pk: Booked(journal) for pk, journal in Journal.objects.in_bulk(ids).items()}
    for entry in Entry.objects.filter(journal__in=found).select_related("account"):
        account = entry.account
        key = (account.owner_ref, account.kind, account.currency)
        legs = found[entry.journal_id].legs
        legs[key] = legs.get(key, 0) + entry.amount
    return found

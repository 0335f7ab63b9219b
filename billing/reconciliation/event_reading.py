"""The events that changed on a day, with all that they are compared with, a batch at a time."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date

from django.db import connection, transaction

from billing.fees import ppcv_fee
from billing.models import Entry, Journal, PriceVersion, UsageEvent
from billing.periods import end_of, start_of

_BATCH = 2_000
# The events that last changed on a day. Nearly all are posted fees whose journal is exactly what it must be: PostgreSQL
# says so of a million in a minute, and only the others are read whole.
_CHANGED = """
SELECT u.id, u.price_version_id, u.category, u.amount_micros, u.developer_share_micros, coalesce(
    u.kind = 'ppcv' AND u.status = 'posted' AND j.kind = 'ppcv' AND j.idempotency_key = u.idempotency_key
    AND j.price_version_id = u.price_version_id AND e.legs = 3 AND e.as_they_must_be = 3
    AND NOT EXISTS (SELECT FROM billing_journal b WHERE b.reverses_id = j.id), false)
FROM (
    SELECT event_id AS id FROM billing_usageeventchange WHERE at >= %(since)s AND at < %(until)s
    UNION SELECT id FROM billing_usageevent WHERE recorded_at >= %(since)s AND recorded_at < %(until)s
) AS changed JOIN billing_usageevent u ON u.id = changed.id
LEFT JOIN billing_journal j ON j.id = u.journal_id
LEFT JOIN LATERAL (
    SELECT count(*) AS legs, count(DISTINCT a.kind) FILTER (WHERE a.currency = u.currency AND (
        (a.kind = CASE u.funding WHEN 'prepaid' THEN 'merchant_prepaid' ELSE 'merchant_receivable' END
            AND a.owner_ref = u.merchant_ref AND e.amount = u.amount_micros)
        OR (a.kind = 'platform_revenue' AND a.owner_ref = 'platform'
            AND e.amount = u.developer_share_micros - u.amount_micros)
        OR (a.kind = 'developer_pending' AND a.owner_ref = u.developer_ref
            AND e.amount = -u.developer_share_micros))) AS as_they_must_be
    FROM billing_entry e JOIN billing_account a ON a.id = e.account_id WHERE e.journal_id = j.id
) AS e ON true
WHERE u.recorded_at < %(until)s
  AND NOT EXISTS (SELECT FROM billing_usageeventchange l WHERE l.event_id = u.id AND l.at >= %(until)s)
ORDER BY u.id
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
    prices: dict[uuid.UUID, PriceVersion]
    booked: dict[uuid.UUID, Booked]
    taken_back: dict[uuid.UUID, list[Booked]]
    returns: dict[uuid.UUID, list[UsageEvent]]
    taxed: dict[uuid.UUID, UsageEvent]


def batches_of(day: date) -> Iterator[tuple[int, Batch]]:
    """The events that last changed on a day: how many are plainly right, and the others to be looked at."""
    prices: dict[uuid.UUID, PriceVersion] = {}
    with transaction.atomic(), closing(connection.chunked_cursor()) as cursor:
        cursor.execute(_CHANGED, {"since": start_of(day), "until": end_of(day)})
        while rows := cursor.fetchmany(_BATCH):
            others = [row[0] for row in rows if not (row[5] and _has_its_fee(prices, *row[1:5]))]
            yield len(rows) - len(others), _batch(others)


def _has_its_fee(
    prices: dict[uuid.UUID, PriceVersion], version_id: uuid.UUID, category: str, total: int, share: int
) -> bool:
    if version_id not in prices:
        prices[version_id] = PriceVersion.objects.prefetch_related("rules").get(pk=version_id)
    fee = ppcv_fee(prices[version_id], category)
    return (fee.total, fee.developer) == (total, share)


def _batch(ids: list[uuid.UUID]) -> Batch:
    events = list(UsageEvent.objects.filter(pk__in=ids).order_by("pk"))
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

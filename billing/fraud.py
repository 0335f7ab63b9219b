"""The named rules against fees that nobody should pay. docs/algorithms/metering.md explains each.

A rule never decides: what it flags waits for an operator, with the figures that broke it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from agentstore.kit.clock import now
from billing.models import UsageEvent, UsageFlag, UsageTally
from billing.periods import day_of, start_of

Rule = UsageFlag.Rule
_Status = UsageEvent.Status

VELOCITY_WINDOW = timedelta(minutes=10)
_KEEP_TALLIES = timedelta(days=7)

_COUNT = """
INSERT INTO billing_usagetally AS t (merchant_ref, subject, "window", events)
SELECT %s, subject, w, 1 FROM unnest(%s::text[], %s::timestamptz[]) AS s(subject, w)
ON CONFLICT (merchant_ref, subject, "window") DO UPDATE SET events = t.events + 1
RETURNING subject, events
"""


def inspect_event(event: UsageEvent, *, reported: Iterable[Rule] = ()) -> None:
    """Count a new PPCv event and flag it where it breaks a rule; `reported` are those that the caller saw.

    Where a count trips its rule, what came before within the window and is still in quarantine is flagged too.
    Call it in the transaction that holds the fee: the merchant's budget is locked, so counts don't race.
    """
    for rule in reported:
        flag_events([event.pk], rule=rule, detail="")
    windows = {f"developer:{event.developer_ref}": _velocity_window(event.occurred_at)}
    if event.buyer_ref:
        windows[f"buyer:{event.buyer_ref}"] = start_of(day_of(event.occurred_at))
    subjects = sorted(windows)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [event.merchant_ref, subjects, [windows[subject] for subject in subjects]])
        counts = dict(cursor.fetchall())
    for subject, count in counts.items():
        if subject.startswith("buyer:"):
            rule, limit = Rule.MANY_CONVERSATIONS, settings.FRAUD_BUYER_CONVERSATIONS
            mine, span = {"buyer_ref": event.buyer_ref}, "a day"
        else:
            rule, limit = Rule.VELOCITY, settings.FRAUD_VELOCITY
            mine, span = {"developer_ref": event.developer_ref}, f"{VELOCITY_WINDOW.seconds // 60} minutes"
        if count <= limit:
            continue
        broke = [event.pk]
        if count == limit + 1:
            broke += UsageEvent.objects.filter(
                merchant_ref=event.merchant_ref, status=_Status.QUARANTINED, kind=UsageEvent.Kind.PPCV,
                occurred_at__gte=windows[subject], **mine,
            ).values_list("pk", flat=True)  # fmt: skip
        flag_events(broke, rule=rule, detail=f"more than {limit} in {span}")


def _velocity_window(instant: datetime) -> datetime:
    day = start_of(day_of(instant))
    return day + (instant - day) // VELOCITY_WINDOW * VELOCITY_WINDOW


def flag_events(event_ids: Iterable[uuid.UUID], *, rule: Rule, detail: str) -> None:
    """Flag events with a rule, each once."""
    UsageFlag.objects.bulk_create(
        (UsageFlag(event_id=event_id, rule=rule, detail=detail[:200]) for event_id in event_ids),
        ignore_conflicts=True,
    )


@transaction.atomic
def note_end_of_conversation(*, conversation_ref: str, ended_at: datetime, real_messages: int) -> int:
    """A conversation is over: flag its fees that nobody earned by talking; how many are still in quarantine.

    `real_messages` is how many of the shopper's messages had words. What is told after the quarantine changes
    nothing; take such a fee back by hand.
    """
    events = list(
        UsageEvent.objects.select_for_update().filter(
            conversation_ref=conversation_ref, status__in=[_Status.QUARANTINED, _Status.REVIEW]
        )
    )
    at_once = timedelta(seconds=settings.FRAUD_INSTANT_SECONDS)
    hasty = [event.pk for event in events if ended_at - event.occurred_at < at_once]
    flag_events(hasty, rule=Rule.INSTANT_CLOSE, detail=f"ended within {at_once.seconds} seconds of the card")
    if real_messages == 0:
        flag_events([event.pk for event in events], rule=Rule.NO_REAL_MESSAGE, detail="no message with words")
    return len(events)


def forget_tallies() -> int:
    """Remove counts of windows that are long over; how many."""
    return UsageTally.objects.filter(window__lt=now() - _KEEP_TALLIES).delete()[0]

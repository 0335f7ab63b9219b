"""Events against conversations: each fee has what it is for, and what should have had a fee has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from billing.metering import ppcv_key
from billing.models import UsageEvent
from billing.periods import end_of, start_of
from billing.reconciliation.allowance import fees_that_fitted
from billing.reconciliation.findings import Difference, Findings
from billing.reconciliation.sources import Shown, Sold, UsageSource, usage_sources

_BATCH = 1_000


def check_conversations(day: date) -> Findings:
    """Ask the sources about the events that were recorded on a day, and for the cards and sales without one.

    A card without a fee is a difference where it was labelled, or where price, caps, means and standing of that
    instant had allowed one.
    """
    findings = Findings()
    since, until = start_of(day), end_of(day)
    for source in usage_sources():
        for events in _events_of(day):
            _check_events(source, events, findings)
        for cards in source.shown_between(since, until):
            _check_shown(cards, findings)
        for lines in source.sold_between(since, until):
            _check_sold(lines, findings)
    return findings


def _events_of(day: date) -> Iterator[list[UsageEvent]]:
    rows = UsageEvent.objects.filter(recorded_at__gte=start_of(day), recorded_at__lt=end_of(day)).order_by(
        "pk"
    )
    found = list(rows[:_BATCH])
    while found:
        yield found
        found = list(rows.filter(pk__gt=found[-1].pk)[:_BATCH])


def _check_events(source: UsageSource, events: list[UsageEvent], findings: Findings) -> None:
    # What was rejected is charged to nobody.
    counted = [event for event in events if event.status != UsageEvent.Status.REJECTED]
    findings.compared += len(counted)
    missing = source.find_missing(counted)
    for event in counted:
        lacks = missing.get(event.pk)
        if lacks is None:
            continue
        findings.add(
            Difference(
                lacks.problem,
                event.idempotency_key,
                lacks.detail,
                event.currency,
                lacks.expected,
                event.amount_micros if lacks.expected is None else lacks.found,
                journal_id=event.journal_id,
                event_id=event.pk,
            )
        )


def _check_shown(cards: Sequence[Shown], findings: Findings) -> None:
    findings.compared += len(cards)
    keys = {ppcv_key(card.conversation_ref, card.merchant_ref): card for card in cards}
    metered = UsageEvent.objects.filter(idempotency_key__in=keys).values_list("idempotency_key", flat=True)
    bare = {key: keys[key] for key in sorted(keys.keys() - set(metered))}
    asked = [key for key, card in bare.items() if card.earning or card.labelled]
    fitted = dict(zip(asked, fees_that_fitted([bare[key] for key in asked]), strict=True))
    for key, card in bare.items():
        fee = fitted.get(key)
        if fee is None and not card.labelled:
            continue
        detail = "it is labelled as paid for" if card.labelled else "budget and means had allowed one"
        expected, currency = fee or (None, "")
        findings.add(Difference("no_fee", key, detail, currency, expected))


def _check_sold(lines: Sequence[Sold], findings: Findings) -> None:
    findings.compared += len(lines)
    keys = {f"agent_tax:{line.line_ref}": line for line in lines}
    taxed = UsageEvent.objects.filter(idempotency_key__in=keys).values_list("idempotency_key", flat=True)
    for key in sorted(keys.keys() - set(taxed)):
        line = keys[key]
        detail = f"{line.amount} sold by conversation {line.conversation_ref}"
        findings.add(Difference("no_tax", key, detail))

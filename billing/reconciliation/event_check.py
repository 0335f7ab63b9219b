"""Ledger against events: each event that counts has its one journal, with exactly the amounts of its prices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import connection

from agentstore.kit.clock import now
from billing import fees
from billing.accounts import (
    developer_pending,
    merchant_prepaid,
    merchant_receivable,
    merchant_wallet,
    platform_revenue,
)
from billing.models import Account, MerchantFunding, UsageEvent
from billing.periods import end_of, start_of
from billing.reconciliation.event_reading import Batch, Booked, Legs, batches_of
from billing.reconciliation.findings import Difference, Findings
from billing.totals import moved_by_day

Kind, Status = UsageEvent.Kind, UsageEvent.Status
USAGE = [kind.value for kind in Kind]
_BACK = ["ppcv_reversal", "credit_note", "agent_tax_reversal", "tax_reversal_reversal"]

_ORPHANS = """
SELECT j.id, j.idempotency_key, j.kind, a.currency, sum(greatest(e.amount, 0))::bigint
FROM billing_journal j JOIN billing_entry e ON e.journal_id = j.id JOIN billing_account a ON a.id = e.account_id
WHERE j.posted_at >= %(since)s AND j.posted_at < %(until)s AND (
    (j.kind = ANY(%(usage)s) AND NOT EXISTS (SELECT FROM billing_usageevent u WHERE u.journal_id = j.id))
    OR (j.kind = ANY(%(back)s) AND NOT EXISTS (
        SELECT FROM billing_usageevent u WHERE u.journal_id = j.reverses_id AND u.status = 'reversed')))
GROUP BY 1, 2, 3, 4 ORDER BY 2
"""
_EARNED = """
SELECT j.kind, u.currency, sum(u.amount_micros - u.developer_share_micros)::bigint
FROM billing_usageevent u JOIN billing_journal j ON j.id = u.journal_id
WHERE j.posted_at >= %(since)s AND j.posted_at < %(until)s GROUP BY 1, 2 ORDER BY 1, 2
"""


def check_events(day: date) -> Findings:
    """Compare the events that last changed on a day with their journals, and the day's journals with their events."""
    findings = Findings()
    for plainly_right, batch in batches_of(day):
        findings.compared += plainly_right
        for event in batch.events:
            findings.compared += 1
            _check_event(event, batch, findings)
    bounds: dict[str, datetime | list[str]] = {
        "since": start_of(day),
        "until": end_of(day),
        "usage": USAGE,
        "back": _BACK,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ORPHANS, bounds)
        orphans = cursor.fetchall()
        cursor.execute(_EARNED, bounds)
        earned = {(kind, currency): int(micros) for kind, currency, micros in cursor.fetchall()}
    for journal_id, key, kind, currency, micros in orphans:
        problem = "no_event" if kind in USAGE else "not_reversed"
        findings.add(Difference(problem, key, currency=currency, found=micros, journal_id=journal_id))
    _check_sums(day, earned, findings)
    return findings


def _check_sums(day: date, earned: dict[tuple[str, str], int], findings: Findings) -> None:
    """The store's part of the day's events against the day's totals, to the micro-unit."""
    currencies = {currency for _, currency in earned} | set(
        Account.objects.filter(kind=Account.Kind.PLATFORM_REVENUE).values_list("currency", flat=True)
    )
    revenue = Account.Kind.PLATFORM_REVENUE.value
    totals = {
        (it.journal_kind, currency): -it.amount.micros
        for currency in sorted(currencies)
        for it in moved_by_day(account_kind=revenue, currency=currency, first=day, last=day)
        if it.journal_kind in USAGE
    }
    for kind, currency in sorted({*earned, *totals}):
        expected, found = earned.get((kind, currency), 0), totals.get((kind, currency), 0)
        if expected != found:
            findings.add(
                Difference("day_sum", f"{kind} {currency}", "the store's part", currency, expected, found)
            )


def _check_event(event: UsageEvent, batch: Batch, findings: Findings) -> None:
    fee = _fee_of(event, batch)
    if fee is not None and (fee.total, fee.developer) != (event.amount_micros, event.developer_share_micros):
        of_share = fee.total == event.amount_micros
        findings.add(
            _line(
                event,
                "wrong_fee",
                f"{'share' if of_share else 'fee'} by {batch.prices[event.price_version_id]}",
                fee.developer if of_share else fee.total,
                event.developer_share_micros if of_share else event.amount_micros,
            )
        )
    booked = batch.booked.get(event.journal_id) if event.journal_id is not None else None
    if event.status in UsageEvent.OPEN or event.status == Status.REJECTED:
        if booked is not None:
            findings.add(_line(event, "journal_of_rejected", event.get_status_display(), 0, _moved(booked)))
        elif event.status in (Status.QUARANTINED, Status.RATED):
            _wait_for_posting(event, findings)
        return
    if booked is None:
        if event.amount_micros or event.developer_share_micros:
            findings.add(_line(event, "no_journal", "", event.amount_micros, None))
        return
    findings_of = list(_wrong_entries(event, booked))
    for line in [*findings_of, *_taken_back(event, batch)]:
        findings.add(line)


def _fee_of(event: UsageEvent, batch: Batch) -> fees.Fee | None:
    """What the event must be by its prices; None where that can't be said any more."""
    prices = batch.prices[event.price_version_id]
    if event.kind == Kind.PPCV:
        return fees.ppcv_fee(prices, event.category)
    if event.kind == Kind.AGENT_TAX:
        return fees.agent_tax(prices, event.category, event.base_micros)
    taxed = batch.taxed.get(event.reverses_id) if event.reverses_id is not None else None
    if taxed is None or not taxed.base_micros:
        return None
    before = -sum(it.base_micros for it in batch.returns[taxed.pk] if it.pk < event.pk)
    back = fees.returned_part(
        fees.Fee(taxed.amount_micros, taxed.developer_share_micros),
        taxed.base_micros,
        before,
        -event.base_micros,
    )
    return fees.Fee(-back.total, -back.developer)


def _wait_for_posting(event: UsageEvent, findings: Findings) -> None:
    until = event.due_at + timedelta(seconds=settings.RECONCILIATION_GRACE_SECONDS)
    if until > now():
        findings.wait(until)
    else:
        findings.add(
            _line(event, "not_posted", f"due {event.due_at:%Y-%m-%d %H:%M}", event.amount_micros, None)
        )


def legs_of(event: UsageEvent) -> Legs:
    """What the event's journal must move; nothing of it is zero."""
    currency = event.currency
    if event.kind != Kind.PPCV:
        payer = merchant_wallet(event.merchant_ref, currency)
    elif event.funding == MerchantFunding.Mode.PREPAID:
        payer = merchant_prepaid(event.merchant_ref, currency)
    else:
        payer = merchant_receivable(event.merchant_ref, currency)
    legs = {
        tuple(payer): event.amount_micros,
        tuple(platform_revenue(currency)): -event.platform_micros,
        tuple(developer_pending(event.developer_ref, currency)): -event.developer_share_micros,
    }
    return {(owner, kind, cur): micros for (owner, kind, cur), micros in legs.items() if micros}


def _wrong_entries(event: UsageEvent, booked: Booked) -> Iterator[Difference]:
    journal, wanted = booked.journal, legs_of(event)
    wrong = [
        name
        for name, ok in (
            ("key", journal.idempotency_key == event.idempotency_key),
            ("kind", journal.kind == event.kind),
            ("prices", journal.price_version_id == event.price_version_id),
            ("entries", booked.legs == wanted),
        )
        if not ok
    ]
    if wrong:
        yield _line(event, "wrong_entries", ", ".join(wrong), event.amount_micros, _paid(booked, wanted))


def _paid(booked: Booked, wanted: Legs) -> int:
    """What the journal moves on the account of who pays; of any size where it moves nothing there."""
    payer = next(iter(wanted), None)
    return booked.legs.get(payer, 0) if payer is not None else _moved(booked)


def _moved(booked: Booked) -> int:
    return sum(micros for micros in booked.legs.values() if micros > 0)


def _taken_back(event: UsageEvent, batch: Batch) -> Iterator[Difference]:
    """A conversation's fee goes back by one journal; a tax by the returns that its refunds made."""
    backs = batch.taken_back.get(event.journal_id, []) if event.journal_id is not None else []
    reversed_ = event.status == Status.REVERSED
    if event.kind == Kind.AGENT_TAX:
        returned = -sum(it.base_micros for it in batch.returns[event.pk])
        if reversed_ and returned != event.base_micros:
            yield _line(event, "no_reversal", "of the sale", event.base_micros, returned)
    elif reversed_ and not backs:
        yield _line(event, "no_reversal", "", event.amount_micros, None)
    if len(backs) > 1:
        yield _line(event, "reversed_twice", "", event.amount_micros, sum(map(_moved, backs)))
    opposite = {key: -micros for key, micros in legs_of(event).items()}
    if len(backs) == 1 and backs[0].journal.kind == "ppcv_reversal" and backs[0].legs != opposite:
        yield _line(event, "wrong_entries", "its reversal", event.amount_micros, _moved(backs[0]))


def _line(
    event: UsageEvent, problem: str, detail: str, expected: int | None, found: int | None
) -> Difference:
    return Difference(
        problem,
        event.idempotency_key,
        detail,
        event.currency,
        expected,
        found,
        journal_id=event.journal_id,
        event_id=event.pk,
    )

"""Whether cards would have been billed when they were shown: by price, budget, means and standing of that instant.

Reconstructed from what is kept of each, in one query for a page of cards. Says yes only where it is certain: what
changed within a minute of a card excuses it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from billing import fees
from billing.periods import Month, day_of, end_of, start_of
from billing.pricing import fixed_terms
from billing.reconciliation.sources import Shown

_SLACK = "1 minute"

# An invoice that stopped its owner's fees was open then; a payment that a bank took back opens one again.
_SUSPENDED = """
EXISTS (
    SELECT FROM billing_dunningstep s JOIN billing_invoice i ON i.id = s.invoice_id
    LEFT JOIN LATERAL (
        SELECT status, at FROM billing_invoicechange
        WHERE invoice_id = i.id AND at <= c.at + %(slack)s::interval ORDER BY at DESC, id DESC LIMIT 1
    ) last ON true
    WHERE i.owner_ref = c.merchant AND s.step = 'suspended' AND s.at <= c.at + %(slack)s::interval
      AND (last.at IS NULL OR last.status NOT IN ('paid', 'uncollectible') OR last.at > c.at - %(slack)s::interval)
)
"""
# What holds counted at the instant, or may have; `{which}` of them.
_HELD = """
(
    SELECT coalesce(sum(h.amount_micros), 0) FROM billing_hold h
    JOIN billing_merchantbudget b ON b.id = h.budget_id JOIN billing_usageevent e ON e.id = h.event_id
    WHERE b.merchant_ref = c.merchant AND b.currency = c.currency AND h.placed_at <= c.at + %(slack)s::interval
      AND (h.released_at IS NULL OR h.released_at > c.at - %(slack)s::interval) AND {which}
)
"""
_OF_MONTH = _HELD.format(which="b.period = c.month")
_OF_DAY = _HELD.format(which="e.occurred_at >= c.since AND e.occurred_at < c.until")
_OPEN = _HELD.format(which="(h.captured_at IS NULL OR h.captured_at > c.at - %(slack)s::interval)")
# The account's balance, debit positive: the greater of before and after what was posted around the instant.
_OWED = """
(
    SELECT greatest(
        coalesce(sum(e.amount) FILTER (WHERE j.posted_at <= c.at - %(slack)s::interval), 0), coalesce(sum(e.amount), 0)
    )
    FROM billing_account a JOIN billing_entry e ON e.account_id = a.id JOIN billing_journal j ON j.id = e.journal_id
    WHERE a.owner_ref = c.merchant AND a.currency = c.currency AND a.kind = '{kind}'
      AND j.posted_at <= c.at + %(slack)s::interval
)
"""
_FITTED = f"""
SELECT c.number FROM unnest(
    %(number)s::int[], %(merchant)s::text[], %(currency)s::text[], %(at)s::timestamptz[], %(fee)s::bigint[],
    %(month)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[]
) AS c(number, merchant, currency, at, fee, month, since, until)
JOIN LATERAL (
    SELECT h.cap_micros, h.day_cap_micros, h.at FROM billing_budgetchange h
    JOIN billing_merchantbudget b ON b.id = h.budget_id
    WHERE b.merchant_ref = c.merchant AND b.currency = c.currency AND h.at <= c.at + %(slack)s::interval
    ORDER BY h.at DESC, h.id DESC LIMIT 1
) cap ON cap.at <= c.at - %(slack)s::interval
LEFT JOIN LATERAL (
    SELECT h.mode, h.credit_limit_micros, h.at FROM billing_fundingchange h
    JOIN billing_merchantfunding f ON f.id = h.funding_id
    WHERE f.merchant_ref = c.merchant AND f.currency = c.currency AND h.at <= c.at + %(slack)s::interval
    ORDER BY h.at DESC, h.id DESC LIMIT 1
) means ON true
WHERE NOT {_SUSPENDED}
  AND {_OF_MONTH} + c.fee <= cap.cap_micros
  AND (cap.day_cap_micros IS NULL OR {_OF_DAY} + c.fee <= cap.day_cap_micros)
  AND CASE
      WHEN means.at IS NULL THEN true
      WHEN means.at > c.at - %(slack)s::interval THEN false
      WHEN means.mode = 'prepaid' THEN -{_OWED.format(kind="merchant_prepaid")} - {_OPEN} >= c.fee
      WHEN means.credit_limit_micros IS NULL THEN true
      ELSE means.credit_limit_micros - {_OWED.format(kind="merchant_receivable")} - {_OPEN} >= c.fee
  END
"""  # noqa: S608 (only the constants above are put in)


def fees_that_fitted(cards: Sequence[Shown]) -> list[tuple[int, str] | None]:
    """For each card the fee in micro-units that it should have had, and its currency; None where none was due."""
    priced = [_fee_of(card) for card in cards]
    asked = [(number, card, *priced[number]) for number, card in enumerate(cards) if priced[number][0]]
    if not asked:
        return [None] * len(cards)
    days = [day_of(card.at) for _, card, _, _ in asked]
    with connection.cursor() as cursor:
        cursor.execute(
            _FITTED,
            {
                "slack": _SLACK,
                "number": [number for number, _, _, _ in asked],
                "merchant": [card.merchant_ref for _, card, _, _ in asked],
                "currency": [currency for _, _, _, currency in asked],
                "at": [card.at for _, card, _, _ in asked],
                "fee": [fee for _, _, fee, _ in asked],
                "month": [str(Month.of(card.at)) for _, card, _, _ in asked],
                "since": [start_of(day) for day in days],
                "until": [end_of(day) for day in days],
            },
        )
        fitted = {number for (number,) in cursor.fetchall()}
    return [fee if number in fitted else None for number, fee in enumerate(priced)]


def _fee_of(card: Shown) -> tuple[int, str]:
    prices = fixed_terms(card.price_version_id)
    return fees.ppcv_fee(prices, card.category).total, prices.currency

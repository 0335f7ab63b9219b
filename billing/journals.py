"""The chart of movements: which accounts each thing that happens debits and credits.

docs/algorithms/ledger.md shows each of them with numbers; its example is executed as a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agentstore.kit.money import Money
from billing.accounts import (
    developer_pending,
    merchant_prepaid,
    merchant_wallet,
    platform_revenue,
    processor_clearing,
    processor_fees,
)
from billing.ledger import JournalDraft, credit, debit
from billing.models import Journal, UsageEvent


@dataclass(frozen=True, slots=True)
class SaleLine:
    """One order line as the ledger sees it: what the shopper paid (or gets back) for a merchant's goods."""

    line_ref: str
    merchant_ref: str
    amount: Money


# A PPCv fee: the merchant owes it, or has paid it before; the store and the developer have earned it. Of many events at
# once, as `ledger.post_selected` takes it. A journal's id is its event's with the time of the posting (13 digits of a
# UUIDv7), so that journals lie in the order of their posting.
PPCV_JOURNALS: Final = """
fees AS MATERIALIZED (
    SELECT (%(time)s || substr(id::text, 14))::uuid AS draft_id, * FROM billing_usageevent
    WHERE id = ANY(%(events)s::uuid[])
), drafts AS MATERIALIZED (
    SELECT draft_id AS id, idempotency_key AS key, 'ppcv' AS kind, occurred_at, price_version_id,
           NULL::uuid AS reverses_id, '' AS memo
    FROM fees
), legs AS MATERIALIZED (
    SELECT draft_id, leg::smallint, owner_ref, account_kind, currency, amount FROM fees CROSS JOIN LATERAL (VALUES
        (1, merchant_ref, CASE funding WHEN 'prepaid' THEN 'merchant_prepaid' ELSE 'merchant_receivable' END,
         amount_micros),
        (2, 'platform', 'platform_revenue', developer_share_micros - amount_micros),
        (3, developer_ref, 'developer_pending', -developer_share_micros)
    ) AS movements(leg, owner_ref, account_kind, amount)
    WHERE amount <> 0
)
"""


def tax_journal(event: UsageEvent) -> JournalDraft:
    """The agent tax: out of what the store owes the merchant for the sale."""
    return JournalDraft(
        kind="agent_tax",
        idempotency_key=event.idempotency_key,
        occurred_at=event.occurred_at,
        price_version_id=event.price_version_id,
        entries=[
            debit(merchant_wallet(event.merchant_ref, event.currency), event.amount_micros),
            credit(platform_revenue(event.currency), event.platform_micros),
            credit(developer_pending(event.developer_ref, event.currency), event.developer_share_micros),
        ],
        memo=event.line_ref,
    )


def tax_return_journal(event: UsageEvent, taxed: UsageEvent) -> JournalDraft:
    """The tax on a refunded part, back the way it came; the event's amounts are negative."""
    return JournalDraft(
        kind="tax_reversal",
        idempotency_key=event.idempotency_key,
        occurred_at=event.occurred_at,
        price_version_id=event.price_version_id,
        reverses_id=taxed.journal_id,
        entries=[
            debit(merchant_wallet(event.merchant_ref, event.currency), event.amount_micros),
            credit(platform_revenue(event.currency), event.platform_micros),
            credit(developer_pending(event.developer_ref, event.currency), event.developer_share_micros),
        ],
        memo=event.line_ref,
    )


def sale_journal(*, order_ref: str, lines: Sequence[SaleLine], occurred_at: datetime) -> JournalDraft:
    """A paid order: the processor holds the shopper's money, the store owes it to the merchants."""
    return JournalDraft(
        kind="sale",
        idempotency_key=f"sale:{order_ref}",
        occurred_at=occurred_at,
        entries=[
            *(debit(processor_clearing(currency), micros) for currency, micros in _totals(lines)),
            *(credit(merchant_wallet(ln.merchant_ref, ln.amount.currency), ln.amount.micros) for ln in lines),
        ],
        memo=order_ref,
    )


def top_up_journal(*, top_up_ref: str, merchant_ref: str, amount: Money, at: datetime) -> JournalDraft:
    """A merchant paid into its balance: the processor holds the money, the store owes it services."""
    return JournalDraft(
        kind="top_up",
        idempotency_key=f"top_up:{top_up_ref}",
        occurred_at=at,
        entries=[
            debit(processor_clearing(amount.currency), amount.micros),
            credit(merchant_prepaid(merchant_ref, amount.currency), amount.micros),
        ],
        memo=top_up_ref,
    )


def processor_fee_journal(*, payment_ref: str, fee: Money, occurred_at: datetime) -> JournalDraft:
    """What the processor kept of a payment."""
    return JournalDraft(
        kind="processor_fee",
        idempotency_key=f"processor_fee:{payment_ref}",
        occurred_at=occurred_at,
        entries=[
            debit(processor_fees(fee.currency), fee.micros),
            credit(processor_clearing(fee.currency), fee.micros),
        ],
        memo=payment_ref,
    )


def refund_journal(
    *, refund_ref: str, sale: Journal, lines: Sequence[SaleLine], occurred_at: datetime
) -> JournalDraft:
    """A refund of a part or the whole of a sale: money leaves the processor, merchants are owed less."""
    return JournalDraft(
        kind="refund",
        idempotency_key=f"refund:{refund_ref}",
        occurred_at=occurred_at,
        entries=[
            *(debit(merchant_wallet(ln.merchant_ref, ln.amount.currency), ln.amount.micros) for ln in lines),
            *(credit(processor_clearing(currency), micros) for currency, micros in _totals(lines)),
        ],
        reverses_id=sale.pk,
        memo=sale.memo,
    )


def _totals(lines: Sequence[SaleLine]) -> list[tuple[str, int]]:
    totals: dict[str, int] = {}
    for line in lines:
        totals[line.amount.currency] = totals.get(line.amount.currency, 0) + line.amount.micros
    return sorted(totals.items())

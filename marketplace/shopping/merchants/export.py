"""What agents did for a merchant, as rows of files. Amounts in major units, instants as ISO 8601."""

from __future__ import annotations

from typing import Any, Final

from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from marketplace.shopping.merchants.claims import trace_claims
from marketplace.shopping.merchants.money import trace_charges, trace_sales
from marketplace.shopping.models import Attribution, Recommendation

CLAIM_COLUMNS: Final = (
    "at", "status", "agent", "variant", "offer", "title", "reason", "refusal", "refusal_in_words", "price",
    "currency", "sponsored", "conversation",
)  # fmt: skip
SALE_COLUMNS: Final = (
    "ordered_at", "order", "line", "title", "quantity", "agent", "credited_by", "price", "refunded", "stayed_sold",
    "currency", "conversation",
)  # fmt: skip
COST_COLUMNS: Final = (
    "at", "kind", "why", "agent", "conversation", "order", "line", "of", "amount", "currency", "prices", "status",
)  # fmt: skip


def claim_rows(merchant: Organization, rows: list[Recommendation]) -> list[list[object]]:
    """Claims under CLAIM_COLUMNS."""
    return [
        [
            claim.row.at.isoformat(), claim.row.status, claim.row.conversation.agent.slug,
            claim.row.claimed_variant, claim.offer.public_id if claim.offer else "", claim.title, claim.reason,
            claim.row.refusal, claim.refusal.words if claim.refusal else "",
            claim.row.price.decimal if claim.row.price else "", claim.row.currency,
            "yes" if claim.row.sponsored else "no", claim.row.conversation_id,
        ]
        for claim in trace_claims(merchant, rows)
    ]  # fmt: skip


def sale_rows(rows: list[Attribution]) -> list[list[object]]:
    """Credited order lines under SALE_COLUMNS."""
    return [
        [
            sale.credit.line.order.placed_at.isoformat(), sale.credit.line.order.number, sale.credit.line.ref,
            sale.credit.line.title, sale.credit.line.quantity, sale.credit.conversation.agent.slug,
            sale.credit.rule, sale.total.decimal, sale.refunded.decimal, sale.net.decimal, sale.total.currency,
            sale.credit.conversation_id,
        ]
        for sale in trace_sales(rows)
    ]  # fmt: skip


def cost_rows(rows: list[Any]) -> list[list[object]]:
    """Fees under COST_COLUMNS; `of` is the sale or the part refunded, empty for a conversation."""
    return [
        [
            charge.event.occurred_at.isoformat(), charge.event.kind, charge.why,
            charge.agent.slug if charge.agent else "", charge.event.conversation_ref,
            charge.line.order.number if charge.line else "", charge.event.line_ref,
            Money(charge.event.base_micros, charge.event.currency).decimal if charge.line else "",
            charge.amount.decimal, charge.event.currency, charge.event.price_version.name, charge.event.status,
        ]
        for charge in trace_charges(rows)
    ]  # fmt: skip

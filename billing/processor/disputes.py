"""Disputes: a shopper's bank took a payment back. Answered with evidence, or accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import stripe

from agentstore.kit.money import Money
from billing.processor.client import client, typed_errors


@dataclass(frozen=True, slots=True)
class ProcessorDispute:
    """A dispute as the processor has it. `withdrawn` is what it took for it so far, its fee included."""

    id: str
    status: str
    reason: str
    amount: Money
    payment_id: str
    withdrawn: Money
    fee: Money
    answer_by: datetime | None

    @property
    def lost(self) -> bool:
        """Whether the money stays with the shopper."""
        return self.status == "lost"


def retrieve_dispute(*, dispute_id: str) -> ProcessorDispute:
    """The dispute as it is now. Raises ProcessorRefused when there is none, ProcessorUnavailable."""
    with typed_errors():
        return _dispute(client().v1.disputes.retrieve(dispute_id))


def answer_dispute(*, dispute_id: str, text: str) -> ProcessorDispute:
    """Send evidence to the bank; it can be sent once. Raises ProcessorUnavailable, ProcessorRefused."""
    with typed_errors():
        return _dispute(
            client().v1.disputes.update(
                dispute_id, {"evidence": {"uncategorized_text": text}, "submit": True}
            )
        )


def accept_dispute(*, dispute_id: str) -> ProcessorDispute:
    """Give in: the money stays with the shopper. Raises ProcessorUnavailable, ProcessorRefused."""
    with typed_errors():
        return _dispute(client().v1.disputes.close(dispute_id))


def _dispute(dispute: stripe.Dispute) -> ProcessorDispute:
    currency = dispute.currency.upper()
    moved = dispute.balance_transactions
    due = dispute.evidence_details.due_by
    return ProcessorDispute(
        id=dispute.id,
        status=dispute.status,
        reason=dispute.reason,
        amount=Money.from_minor(dispute.amount, currency),
        payment_id=str(dispute.payment_intent or ""),
        withdrawn=Money.from_minor(-sum(it.net for it in moved), currency),
        fee=Money.from_minor(sum(it.fee for it in moved), currency),
        answer_by=None if due is None else datetime.fromtimestamp(due, UTC),
    )

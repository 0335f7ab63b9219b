"""What does not agree, in words for operators; the keys are kept on incident lines."""

from __future__ import annotations

from typing import Final

from billing.models import Incident

PROBLEMS: Final = {
    # processor
    "not_booked": "At the processor, not in the books",
    "not_at_processor": "In the books, not at the processor",
    "amount": "Another amount",
    "fee": "Another fee",
    "currency": "Another currency",
    # balance
    "balance": "The balance is not the sum of its transactions",
    # events
    "no_journal": "An event without its journal",
    "no_event": "A journal without its event",
    "wrong_fee": "Not the fee of its prices",
    "wrong_entries": "The journal moves something else",
    "no_reversal": "Taken back, but not in the books",
    "reversed_twice": "Taken back twice in the books",
    "not_reversed": "Taken back in the books only",
    "journal_of_rejected": "Rejected, but in the books",
    "not_posted": "Due, but not posted",
    "day_sum": "The day's sums are apart",
    # statements
    "statement_sum": "The lines are not the sum of the events",
    "statement_count": "The lines count other events",
    # conversations
    "no_conversation": "A fee without its conversation",
    "no_card": "A fee without a shown card of this merchant",
    "no_line": "A fee without its order line",
    "other_line": "The order line is another",
    "no_refund": "A return without its refund",
    "no_fee": "A shown card without its fee",
    "no_tax": "A credited sale without its tax",
}

# The two amounts of a line, by what was compared.
SIDES: Final = {
    Incident.Kind.PROCESSOR.value: ("At the processor", "In the books"),
    Incident.Kind.BALANCE.value: ("Balance", "Sum of its transactions"),
    Incident.Kind.EVENTS.value: ("By the event", "In the books"),
    Incident.Kind.STATEMENTS.value: ("By the events", "On the statement"),
    Incident.Kind.CONVERSATIONS.value: ("By the conversation", "By the event"),
}

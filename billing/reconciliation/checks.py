"""The checks of a day, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from billing.models import Incident
from billing.reconciliation.conversation_check import check_conversations
from billing.reconciliation.event_check import check_events
from billing.reconciliation.findings import Findings
from billing.reconciliation.processor_check import check_processor
from billing.reconciliation.statement_check import check_statements

CHECKS: Final[dict[str, Callable[[date], Findings]]] = {
    Incident.Kind.PROCESSOR.value: check_processor,
    Incident.Kind.EVENTS.value: check_events,
    Incident.Kind.STATEMENTS.value: check_statements,
    Incident.Kind.CONVERSATIONS.value: check_conversations,
}

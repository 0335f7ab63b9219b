"""The checks of a day, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from billing.models import Incident
from billing.reconciliation.findings import Findings
from billing.reconciliation.processor_check import check_processor

CHECKS: Final[dict[str, Callable[[date], Findings]]] = {
    Incident.Kind.PROCESSOR.value: check_processor,
}
# Not made while the processor can't be read.
OF_THE_PROCESSOR: Final = (Incident.Kind.PROCESSOR.value, Incident.Kind.BALANCE.value)

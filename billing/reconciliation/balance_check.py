"""The processor's balance against the transactions that it told of: whether all of them are known."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from agentstore.kit.clock import now
from billing.processor.balance import read_balance
from billing.reconciliation.findings import Difference, Findings
from billing.reconciliation.movements import read_movements, sums_before

logger = structlog.get_logger(__name__)

Look = dict[str, tuple[int, int]]
_LOOKS = 3


def look_at_balance(*, since: datetime | None = None) -> Look | None:
    """By currency, the processor's balance and the sum of its transactions, in micro-units; None while money moves.

    Both can't be read in one instant: they are read until nothing moved in between, a few times. Reads all
    transactions on the way, those from `since` on again. Outside of a transaction.
    Raises ProcessorUnavailable, ProcessorRefused.
    """
    for _ in range(_LOOKS):
        before = read_balance()
        until = now() + timedelta(seconds=1)
        read_movements(until=until, since=since)
        if read_balance() == before:
            sums = sums_before(until)
            there = {currency: amount.micros for currency, amount in before.items()}
            return {it: (there.get(it, 0), sums.get(it, 0)) for it in sorted({*there, *sums})}
    logger.warning("the processor's balance does not stand still")
    return None


def check_balance(look: Look) -> Findings:
    """A difference for each currency in which the transactions do not come to the balance."""
    findings = Findings(compared=len(look))
    for currency, (balance, sums) in look.items():
        if balance != sums:
            findings.add(Difference("balance", currency, "", currency, balance, sums))
    return findings

"""What the store earned on an order, line by line, for the shopper and the merchant to see."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from agentstore.kit.money import Money
from billing.models import UsageEvent
from marketplace.publishing.models import Agent
from marketplace.shopping.models import Attribution, NegotiationRound, Order, OrderLine, Quote


@dataclass(frozen=True, slots=True)
class DisclosedLine:
    """A line, the agent that brought it about, and what of its price went to whom.

    The amounts are what the ledger was told, refunds taken off; zero for a line that nobody brought about. `rounds` led
    to a negotiated price.
    """

    line: OrderLine
    agent: Agent | None
    rule: str
    price: Money
    store: Money
    developer: Money
    rounds: tuple[NegotiationRound, ...] = ()

    @property
    def words(self) -> str:
        """The disclosure in one sentence."""
        if self.agent is None:
            return "No agent brought this about; the store earned nothing on this sale."
        developer = f"the developer of {self.agent.name} {self.developer}"
        return f"The store earned {self.store} and {developer} on this sale."


def disclosed_lines(order: Order) -> list[DisclosedLine]:
    """Each line of an order with its disclosure; a few queries for all."""
    lines = list(order.lines.all())
    earned, rounds = _earned(lines), _rounds(lines)
    return [
        _disclosed(line, order.currency, *earned.get(line.ref, (0, 0)), rounds.get(line.quote_id, ()))
        for line in lines
    ]


def _rounds(lines: Iterable[OrderLine]) -> dict[uuid.UUID | None, tuple[NegotiationRound, ...]]:
    """By quote, the rounds from the first to the one that it came of."""
    quotes = (
        Quote.objects.filter(pk__in=[line.quote_id for line in lines if line.quote_id])
        .select_related("round__negotiation")
        .prefetch_related("round__negotiation__rounds")
    )
    return {
        quote.pk: tuple(
            each for each in quote.round.negotiation.rounds.all() if each.number <= quote.round.number
        )
        for quote in quotes
    }


def _disclosed(
    line: OrderLine, currency: str, total: int, developer: int, rounds: tuple[NegotiationRound, ...]
) -> DisclosedLine:
    credit: Attribution | None = getattr(line, "attribution", None)
    return DisclosedLine(
        line=line,
        agent=credit.conversation.agent if credit else None,
        rule=credit.get_rule_display() if credit else "",
        price=Money(line.total_micros, currency),
        store=Money(total - developer, currency),
        developer=Money(developer, currency),
        rounds=rounds,
    )


def _earned(lines: Iterable[OrderLine]) -> dict[str, tuple[int, int]]:
    """By line, the tax and the developer's part of it, less what refunds took back."""
    keys = [f"agent_tax:{line.ref}" for line in lines]
    events = UsageEvent.objects.filter(
        Q(idempotency_key__in=keys) | Q(reverses__idempotency_key__in=keys)
    ).values_list("line_ref", "amount_micros", "developer_share_micros")
    sums: dict[str, tuple[int, int]] = {}
    for ref, amount, share in events:
        before = sums.get(ref, (0, 0))
        sums[ref] = (before[0] + amount, before[1] + share)
    return sums

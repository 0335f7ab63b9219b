"""A fee in a sentence."""

from __future__ import annotations

from agentstore.kit.money import Money
from billing.models import UsageEvent


def explain(event: UsageEvent) -> str:
    """Why an event costs what it costs, in a sentence. Needs the event's price version with its rules."""
    amount = Money(abs(event.amount_micros), event.currency)
    category = event.category or "any"
    if event.kind == UsageEvent.Kind.PPCV:
        return f"Recommended in a conversation: {amount} for “{category}”."
    rate = f"{event.price_version.tax_ppm(event.category) / 10_000:g} %"
    base = Money(abs(event.base_micros), event.currency)
    if event.kind == UsageEvent.Kind.AGENT_TAX:
        return f"Sold by an agent: {rate} of {base}."
    return f"{base} was refunded, and with it {rate} of that."

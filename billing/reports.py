"""What the money pages show. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, Sum

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.balances import TrialLine, trial_balance
from billing.models import Account, Payout, PayoutChange, UsageEvent, WebhookEvent
from billing.periods import day_of, start_of
from billing.totals import Moved, moved_by_day

_Kind = Account.Kind

# Where the store's income comes from: the kinds of journal that touch its revenue, and what they are called.
SOURCES = {
    "PPCv fees": ("ppcv", "ppcv_reversal"),
    "Agent tax": ("agent_tax", "tax_reversal"),
}


@dataclass(frozen=True, slots=True)
class RevenueDay:
    """What the store earned on one day, by source, in micro-units."""

    day: date
    by_source: dict[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """The operator's figures in one currency, rounded to its minor unit for reading.

    Amounts are positive where they are as usual.
    """

    currency: str
    days: int
    revenue: dict[str, Money]
    revenue_before: Money
    held: Money
    held_events: int
    receivable: Money
    wallets: Money
    developer_pending: Money
    clearing: Money
    processor_fees: Money
    unhandled_webhooks: int
    refused_payouts: int

    @property
    def revenue_total(self) -> Money:
        """All sources together."""
        return sum(self.revenue.values(), Money(0, self.currency))


def overview(*, currency: str, days: int = 30) -> Overview:
    """The figures of the last days, today included, and how the books stand now."""
    start = day_of(now()) - timedelta(days=days - 1)
    lines = {line.kind: line for line in trial_balance() if line.currency == currency}
    open_events = UsageEvent.objects.filter(status__in=UsageEvent.OPEN, currency=currency).aggregate(
        total=Sum("amount_micros"), events=Count("id")
    )
    earned = dict.fromkeys(SOURCES, 0)
    before = 0
    for it in _revenue(currency, start - timedelta(days=days)):
        if it.day < start:
            before -= it.amount.micros
        else:
            earned[_source(it)] -= it.amount.micros
    return Overview(
        currency=currency,
        days=days,
        revenue={name: _rounded(Money(micros, currency)) for name, micros in earned.items()},
        revenue_before=_rounded(Money(before, currency)),
        held=_rounded(Money(open_events["total"] or 0, currency)),
        held_events=open_events["events"],
        receivable=_balance(lines, _Kind.MERCHANT_RECEIVABLE, currency),
        wallets=-_balance(lines, _Kind.MERCHANT_WALLET, currency),
        developer_pending=-_balance(lines, _Kind.DEVELOPER_PENDING, currency),
        clearing=_balance(lines, _Kind.PROCESSOR_CLEARING, currency),
        processor_fees=_balance(lines, _Kind.PROCESSOR_FEES, currency),
        unhandled_webhooks=WebhookEvent.objects.filter(handled_at=None).count(),
        refused_payouts=PayoutChange.objects.filter(
            status=Payout.Status.FAILED, at__gte=start_of(start)
        ).count(),
    )


def _balance(lines: dict[str, TrialLine], kind: str, currency: str) -> Money:
    return _rounded(lines[kind].balance) if kind in lines else Money(0, currency)


def _rounded(amount: Money) -> Money:
    return Money.from_minor(amount.minor, amount.currency)


def _revenue(currency: str, first: date) -> list[Moved]:
    """What moved on the store's revenue since a day, of the sources that have a name."""
    moved = moved_by_day(account_kind=_Kind.PLATFORM_REVENUE, currency=currency, first=first)
    return [it for it in moved if _source(it)]


def _source(moved: Moved) -> str:
    return next((name for name, kinds in SOURCES.items() if moved.journal_kind in kinds), "")


def revenue_by_day(*, currency: str, days: int = 30) -> list[RevenueDay]:
    """The store's income of each of the last days, oldest first, empty days included."""
    first = day_of(now()) - timedelta(days=days - 1)
    found = {first + timedelta(days=number): dict.fromkeys(SOURCES, 0) for number in range(days)}
    for it in _revenue(currency, first):
        if it.day in found:
            found[it.day][_source(it)] -= it.amount.micros
    return [RevenueDay(day, by_source) for day, by_source in found.items()]


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

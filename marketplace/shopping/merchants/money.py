"""What agents cost a merchant and what they sold for it, line by line."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet, Sum

from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from billing.models import SubjectTotal, UsageEvent
from billing.reports import explain
from billing.rollups.subjects import merchant_by_agent
from marketplace.publishing.models import Agent
from marketplace.shopping.merchants.periods import Period
from marketplace.shopping.models import Attribution, Order, OrderLine, Refund, RefundLine

SOLD = (Order.Status.PAID, Order.Status.PART_REFUNDED, Order.Status.REFUNDED)
_Status = UsageEvent.Status


@dataclass(frozen=True, slots=True)
class Charge:
    """One fee with what it is for: the conversation of a PPCv fee, the order line of an agent tax or its return."""

    event: UsageEvent
    agent: Agent | None
    why: str
    line: OrderLine | None

    @property
    def amount(self) -> Money:
        """Negative when it was given back."""
        return Money(self.event.amount_micros, self.event.currency)


@dataclass(frozen=True, slots=True)
class Sale:
    """An order line that is credited to an agent; `refunded` has gone back to the shopper."""

    credit: Attribution
    total: Money
    refunded: Money

    @property
    def net(self) -> Money:
        """What stayed sold."""
        return self.total - self.refunded


def charges_of(
    merchant: Organization, period: Period, *, agent_id: uuid.UUID | None = None
) -> QuerySet[UsageEvent]:
    """The fees that count in a period, the newest first.

    A PPCv fee that was rejected or reversed does not count. A tax that was given back does, and so does its return.
    """
    void = Q(kind=UsageEvent.Kind.PPCV, status__in=(_Status.REJECTED, _Status.REVERSED))
    events = UsageEvent.objects.filter(
        merchant_ref=merchant.ref, occurred_at__gte=period.since, occurred_at__lt=period.until,
        currency=settings.STORE_CURRENCY,
    )  # fmt: skip
    if agent_id is not None:
        events = events.filter(agent_ref=f"agent:{agent_id}")
    return events.exclude(void).order_by("-occurred_at", "-id")


def charged_by_agent(merchant: Organization, period: Period) -> list[tuple[uuid.UUID, str, int]]:
    """What the fees of `charges_of` come to, by agent and kind, in micro-units.

    What is on the books is read from its totals by day, which a period is made of; only what is not is added up.
    """
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    for agent_ref, journal_kind, micros, _ in merchant_by_agent(
        merchant_ref=merchant.ref,
        currency=settings.STORE_CURRENCY,
        first=period.first_day,
        last=period.last_day,
    ):
        kind = UsageEvent.Kind.PPCV if SubjectTotal.is_ppcv(journal_kind) else UsageEvent.Kind.AGENT_TAX
        found[agent_ref, kind.value] += micros
    waiting = charges_of(merchant, period).filter(status__in=UsageEvent.OPEN).order_by()
    for agent_ref, kind, micros in waiting.values_list("agent_ref", "kind").annotate(Sum("amount_micros")):
        found[agent_ref, kind] += micros
    return [
        (agent_id, kind, micros)
        for (agent_ref, kind), micros in found.items()
        if (agent_id := _agent_id(agent_ref)) is not None
    ]


def _agent_id(ref: str) -> uuid.UUID | None:
    with suppress(ValueError):
        return uuid.UUID(ref.removeprefix("agent:"))
    return None


def trace_charges(rows: Iterable[UsageEvent]) -> list[Charge]:
    """Fees of `charges_of` with what they are for; their price versions are read here."""
    rows = list(rows)
    events = UsageEvent.objects.select_related("price_version").prefetch_related("price_version__rules")
    whole = events.in_bulk([row.pk for row in rows])
    agent_ids = {row.pk: _agent_id(row.agent_ref) for row in rows}
    agents = Agent.objects.in_bulk(set(filter(None, agent_ids.values())))
    line_ids = {row.pk: _line_id(row.line_ref) for row in rows}
    lines = OrderLine.objects.select_related("order").in_bulk(set(filter(None, line_ids.values())))
    return [
        Charge(
            whole[row.pk],
            agents.get(agent_ids[row.pk] or uuid.UUID(int=0)),
            explain(whole[row.pk]),
            lines.get(line_ids[row.pk] or 0),
        )
        for row in rows
    ]


def sales_of(
    merchant: Organization, period: Period, *, agent_id: uuid.UUID | None = None
) -> QuerySet[Attribution]:
    """The paid order lines that are credited to agents, by when they were ordered, the newest first."""
    credits = Attribution.objects.filter(
        line__order__merchant=merchant, line__order__status__in=SOLD,
        line__order__currency=settings.STORE_CURRENCY,
        line__order__placed_at__gte=period.since, line__order__placed_at__lt=period.until,
    )  # fmt: skip
    if agent_id is not None:
        credits = credits.filter(conversation__agent_id=agent_id)
    return credits.select_related("line__order", "conversation__agent").order_by(
        "-line__order__placed_at", "-id"
    )


def refunds_of(credits: QuerySet[Attribution]) -> QuerySet[RefundLine]:
    """What has gone back of credited lines."""
    lines = credits.order_by().values("line_id")
    return RefundLine.objects.filter(refund__status=Refund.Status.DONE, line_id__in=lines).order_by()


def trace_sales(rows: Iterable[Attribution]) -> list[Sale]:
    """Credited lines with what has gone back of each."""
    rows = list(rows)
    done = RefundLine.objects.filter(
        refund__status=Refund.Status.DONE, line__in=[row.line_id for row in rows]
    )
    back = dict(done.order_by().values_list("line_id").annotate(total=Sum("amount_micros")))
    return [
        Sale(
            row,
            Money(row.line.total_micros, row.line.order.currency),
            Money(back.get(row.line_id, 0), row.line.order.currency),
        )
        for row in rows
    ]


def _line_id(ref: str) -> int | None:
    kind, _, number = ref.partition(":")
    if kind == "line":
        with suppress(ValueError):
            return int(number)
    return None

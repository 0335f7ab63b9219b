"""What agents cost a merchant and what they sold for it, line by line."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, UUIDField, Value
from django.db.models.functions import Cast, NullIf

from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from billing.models import UsageEvent
from billing.reports import explain
from marketplace.publishing.models import Agent
from marketplace.shopping.merchants.periods import Period
from marketplace.shopping.models import Attribution, Conversation, Order, OrderLine, Refund, RefundLine

SOLD = (Order.Status.PAID, Order.Status.PART_REFUNDED, Order.Status.REFUNDED)
_BY_AGENT: Final = """
SELECT conversation.agent_id, fee.kind, sum(fee.amount_micros) FROM ({fees}) fee
JOIN shopping_conversation conversation ON conversation.id = fee.conversation GROUP BY 1, 2
"""


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


def charges_of(merchant: Organization, period: Period, *, agent_id: uuid.UUID | None = None) -> QuerySet[Any]:
    """The fees that count in a period, each with the `agent_id` of its conversation, the newest first.

    A PPCv fee that was rejected or reversed does not count. A tax that was given back does, and so does its return.
    """
    events = _counted(merchant, period)
    held = Conversation.objects.filter(pk=OuterRef("conversation")).order_by()
    if agent_id is not None:
        events = events.filter(Exists(held.filter(agent_id=agent_id)))
    known: QuerySet[Any] = events.annotate(agent_id=Subquery(held.values("agent_id")))
    return known.order_by("-occurred_at", "-id")


def charged_by_agent(merchant: Organization, period: Period) -> list[tuple[uuid.UUID, str, int]]:
    """What the fees of `charges_of` come to, by agent and kind, in micro-units.

    One join: among a hundred thousand fees a look at each one's conversation takes seconds.
    """
    counted = _counted(merchant, period).values("conversation", "kind", "amount_micros")
    fees, given = counted.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_BY_AGENT.format(fees=fees), given)
        return [(agent_id, kind, int(total)) for agent_id, kind, total in cursor.fetchall()]


def _counted(merchant: Organization, period: Period) -> QuerySet[Any]:
    void = Q(kind=UsageEvent.Kind.PPCV) & Q(
        status__in=(UsageEvent.Status.REJECTED, UsageEvent.Status.REVERSED)
    )
    events = UsageEvent.objects.filter(
        merchant_ref=merchant.ref, occurred_at__gte=period.since, occurred_at__lt=period.until,
        currency=settings.STORE_CURRENCY,
    )  # fmt: skip
    conversation = Cast(NullIf(F("conversation_ref"), Value("")), UUIDField())
    return events.exclude(void).annotate(conversation=conversation)


def trace_charges(rows: Iterable[Any]) -> list[Charge]:
    """Fees of `charges_of` with what they are for; their price versions are read here."""
    rows = list(rows)
    events = UsageEvent.objects.select_related("price_version").prefetch_related("price_version__rules")
    whole = events.in_bulk([row.pk for row in rows])
    agents = Agent.objects.in_bulk({row.agent_id for row in rows if row.agent_id})
    line_ids = {row.pk: _line_id(row.line_ref) for row in rows}
    lines = OrderLine.objects.select_related("order").in_bulk(set(filter(None, line_ids.values())))
    return [
        Charge(
            whole[row.pk], agents.get(row.agent_id), explain(whole[row.pk]), lines.get(line_ids[row.pk] or 0)
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

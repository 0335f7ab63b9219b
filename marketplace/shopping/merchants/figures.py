"""A merchant's figures by agent: shown, refused, cost and sold. Each is the sum of a list that its page shows."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, F, Q, Sum

from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from billing.models import UsageEvent
from marketplace.publishing.models import Agent
from marketplace.shopping.merchants.claims import claims_of
from marketplace.shopping.merchants.money import charged_by_agent, refunds_of, sales_of
from marketplace.shopping.merchants.periods import Period
from marketplace.shopping.models import Recommendation


@dataclass(slots=True)
class Figures:
    """What one agent, or all of them, did for a merchant in a period; amounts in micro-units.

    `shown` counts cards, `conversations` those with at least one; `ppcv` is what conversations cost, `tax` what the
    store took of sales, less what it gave back; `sold` counts order lines, `buyers` the conversations that they are
    credited to, and `sales` is their price less refunds.
    """

    shown: int = 0
    conversations: int = 0
    refused: int = 0
    ppcv_micros: int = 0
    tax_micros: int = 0
    sold: int = 0
    buyers: int = 0
    sales_micros: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in Figures.__slots__))

    @property
    def conversion(self) -> float | None:
        """Conversations that sold something, of those with a card; None without any."""
        return self.buyers / self.conversations if self.conversations else None

    @property
    def ppcv(self) -> Money:
        """What conversations cost."""
        return Money(self.ppcv_micros, settings.STORE_CURRENCY)

    @property
    def tax(self) -> Money:
        """What the store took of sales."""
        return Money(self.tax_micros, settings.STORE_CURRENCY)

    @property
    def cost(self) -> Money:
        """Fees and tax."""
        return self.ppcv + self.tax

    @property
    def sales(self) -> Money:
        """What was sold, less refunds."""
        return Money(self.sales_micros, settings.STORE_CURRENCY)


def figures_by_agent(merchant: Organization, period: Period) -> list[tuple[Agent, Figures]]:
    """Each agent that had to do with the merchant in a period, who sold most first; five queries."""
    found: defaultdict[uuid.UUID, Figures] = defaultdict(Figures)
    shown, refused = Q(status=Recommendation.Status.SHOWN), Q(status=Recommendation.Status.REFUSED)
    for row in (
        claims_of(merchant, period)
        .order_by()
        .values("conversation__agent_id")
        .annotate(
            shown=Count("id", filter=shown),
            conversations=Count("conversation", filter=shown, distinct=True),
            refused=Count("id", filter=refused),
        )
    ):
        figures = found[row["conversation__agent_id"]]
        figures.shown, figures.refused = row["shown"], row["refused"]
        figures.conversations = row["conversations"]
    for agent_id, kind, total in charged_by_agent(merchant, period):
        if kind == UsageEvent.Kind.PPCV:
            found[agent_id].ppcv_micros += total
        else:
            found[agent_id].tax_micros += total
    sales = sales_of(merchant, period)
    for sold in (
        sales.order_by()
        .values("conversation__agent_id")
        .annotate(
            lines=Count("id"),
            buyers=Count("conversation", distinct=True),
            total=Sum(F("line__quantity") * F("line__unit_price_micros")),
        )
    ):
        figures = found[sold["conversation__agent_id"]]
        figures.sold, figures.buyers, figures.sales_micros = sold["lines"], sold["buyers"], sold["total"]
    agent_of_line = "line__attribution__conversation__agent_id"
    for agent_id, back in refunds_of(sales).values_list(agent_of_line).annotate(Sum("amount_micros")):
        found[agent_id].sales_micros -= back
    agents = Agent.objects.in_bulk(found)
    return sorted(
        ((agents[agent_id], figures) for agent_id, figures in found.items() if agent_id in agents),
        key=lambda row: (-row[1].sales_micros, -row[1].shown, row[0].name),
    )


def total_of(rows: list[tuple[Agent, Figures]]) -> Figures:
    """All agents together."""
    return sum((figures for _, figures in rows), Figures())

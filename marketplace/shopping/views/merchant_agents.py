"""What agents do for a merchant: figures, recommendations and refusals, sales, costs."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agentstore.identity.models import Organization
from agentstore.kit.tables import in_batches, stream_csv
from marketplace.publishing.models import Agent
from marketplace.shopping.merchants.claims import claims_of, refusal_counts, trace_claims
from marketplace.shopping.merchants.export import (
    CLAIM_COLUMNS,
    COST_COLUMNS,
    SALE_COLUMNS,
    claim_rows,
    cost_rows,
    sale_rows,
)
from marketplace.shopping.merchants.figures import figures_by_agent, total_of
from marketplace.shopping.merchants.money import charges_of, sales_of, trace_charges, trace_sales
from marketplace.shopping.merchants.periods import LABELS, Period, period_of
from marketplace.shopping.models import Recommendation
from marketplace.shopping.views.people import merchant_for

_PER_PAGE: Final = 25


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page was asked for: whose, in which period, of which agent."""

    merchant: Organization
    period: Period
    agent: Agent | None

    @classmethod
    def of(cls, request: HttpRequest, slug: str) -> Asked:
        """From a request. Raises Unauthenticated, NotFound."""
        merchant = merchant_for(request, slug)
        agent = Agent.objects.filter(slug=request.GET.get("agent", "")).first()
        return cls(merchant, period_of(request.GET.get("period", "")), agent)

    @property
    def agent_id(self) -> uuid.UUID | None:
        """The agent's id, None for all agents."""
        return self.agent.pk if self.agent else None

    def context(self, here: str) -> dict[str, Any]:
        """What every page of these shows around its list."""
        return {"merchant": self.merchant, "period": self.period, "agent": self.agent, "periods": LABELS.items(),
                "here": here}  # fmt: skip


def _page(request: HttpRequest, rows: QuerySet[Any] | list[Any]) -> Page[Any]:
    return Paginator(rows, _PER_PAGE).get_page(request.GET.get("page"))


@require_GET
def agents(request: HttpRequest, slug: str) -> HttpResponse:
    """Each agent's figures, and all of them together."""
    asked = Asked.of(request, slug)
    rows = figures_by_agent(asked.merchant, asked.period)
    context = {**asked.context("agents"), "page": _page(request, rows), "total": total_of(rows)}
    return render(request, "merchant/agents.html", context)


@require_GET
def recommendations(request: HttpRequest, slug: str) -> HttpResponse:
    """The cards that agents showed, and why; of one conversation where that is asked for."""
    asked = Asked.of(request, slug)
    conversation = None
    with suppress(ValueError):
        conversation = uuid.UUID(request.GET.get("conversation", ""))
    rows = claims_of(
        asked.merchant, asked.period, status=Recommendation.Status.SHOWN, agent_id=asked.agent_id,
        conversation_id=conversation,
    )  # fmt: skip
    page = _page(request, rows)
    context = {
        **asked.context("recommendations"), "page": page, "conversation": conversation,
        "claims": trace_claims(asked.merchant, page),
    }  # fmt: skip
    return render(request, "merchant/recommendations.html", context)


@require_GET
def refused(request: HttpRequest, slug: str) -> HttpResponse:
    """The claims about the merchant's products that were refused, why, and what it can do about that."""
    asked = Asked.of(request, slug)
    code = request.GET.get("code", "")[:60]
    everything = claims_of(
        asked.merchant, asked.period, status=Recommendation.Status.REFUSED, agent_id=asked.agent_id
    )
    page = _page(request, everything.filter(refusal=code) if code else everything)
    context = {
        **asked.context("refused"), "page": page, "code": code, "counts": refusal_counts(everything),
        "claims": trace_claims(asked.merchant, page),
    }  # fmt: skip
    return render(request, "merchant/refused.html", context)


@require_GET
def sales(request: HttpRequest, slug: str) -> HttpResponse:
    """The order lines that are credited to agents."""
    asked = Asked.of(request, slug)
    page = _page(request, sales_of(asked.merchant, asked.period, agent_id=asked.agent_id))
    context = {**asked.context("sales"), "page": page, "sales": trace_sales(page)}
    return render(request, "merchant/sales.html", context)


@require_GET
def costs(request: HttpRequest, slug: str) -> HttpResponse:
    """The fees for conversations and the tax on sales, one by one."""
    asked = Asked.of(request, slug)
    page = _page(request, charges_of(asked.merchant, asked.period, agent_id=asked.agent_id))
    context = {**asked.context("costs"), "page": page, "charges": trace_charges(page)}
    return render(request, "merchant/costs.html", context)


@require_GET
def claims_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Cards and refused claims of a period, as a file."""
    asked = Asked.of(request, slug)
    claims = claims_of(asked.merchant, asked.period, agent_id=asked.agent_id)
    return stream_csv(
        request, filename=f"{asked.merchant.slug}-recommendations.csv", header=CLAIM_COLUMNS,
        read=in_batches(claims, lambda rows: claim_rows(asked.merchant, rows)),
    )  # fmt: skip


@require_GET
def sales_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Credited order lines of a period, as a file."""
    asked = Asked.of(request, slug)
    rows = sales_of(asked.merchant, asked.period, agent_id=asked.agent_id)
    filename = f"{asked.merchant.slug}-sales.csv"
    return stream_csv(request, filename=filename, header=SALE_COLUMNS, read=in_batches(rows, sale_rows))


@require_GET
def costs_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Fees and taxes of a period, as a file."""
    asked = Asked.of(request, slug)
    rows = charges_of(asked.merchant, asked.period, agent_id=asked.agent_id)
    filename = f"{asked.merchant.slug}-costs.csv"
    return stream_csv(request, filename=filename, header=COST_COLUMNS, read=in_batches(rows, cost_rows))

"""The operator's billing page: where income comes from, what is open, how the books stand."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agentstore.identity.access import require_operator
from billing import reports
from billing.models import UsageEvent
from billing.names import names_of
from billing.paging import newest

DAYS = 30


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """/operator/billing/"""
    require_operator(request.user)
    currency = settings.STORE_CURRENCY
    figures = reports.overview(currency=currency, days=DAYS)
    by_day = reports.revenue_by_day(currency=currency, days=DAYS)
    status = request.GET.get("status", "")
    events = UsageEvent.objects.all()
    if status in UsageEvent.Status.values:
        events = events.filter(status=status)
    page = newest(events, cursor=request.GET.get("cursor"))
    names = names_of(ref for event in page.items for ref in (event.merchant_ref, event.developer_ref))
    return render(
        request,
        "operator/billing.html",
        {
            "figures": figures,
            "change": figures.revenue_total - figures.revenue_before,
            "labels": [f"{day.day:%b} {day.day.day}" for day in by_day],
            "series": [
                {"name": name, "values": [day.by_source[name] for day in by_day]} for name in reports.SOURCES
            ],
            "currency": currency,
            "events": [(it, names[it.merchant_ref], names[it.developer_ref]) for it in page.items],
            "next_cursor": page.next_cursor,
            "status": status,
            "statuses": UsageEvent.Status.choices,
        },
    )

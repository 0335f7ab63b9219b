"""A developer's earnings: pending, available, and each event that they come from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agentstore.identity.access import organization_for, require_signed_in
from billing import ledger, reports
from billing.accounts import AccountKey
from billing.models import Account, UsageEvent
from billing.names import names_of
from billing.paging import newest


@require_GET
def earnings(request: HttpRequest, slug: str) -> HttpResponse:
    """/developer/<slug>/earnings/, for the studio's members."""
    require_signed_in(request.user)
    organization = organization_for(request.user, slug, kind="developer")
    currency = settings.STORE_CURRENCY
    page = newest(
        UsageEvent.objects.filter(developer_ref=organization.ref)
        .select_related("price_version")
        .prefetch_related("price_version__rules"),
        by="occurred_at",
        cursor=request.GET.get("cursor"),
    )

    def standing(kind: Account.Kind) -> object:
        return -ledger.balance(AccountKey(organization.ref, kind.value, currency))

    names = names_of(event.merchant_ref for event in page.items)
    return render(
        request,
        "billing/earnings.html",
        {
            "organization": organization,
            "pending": standing(Account.Kind.DEVELOPER_PENDING),
            "available": standing(Account.Kind.DEVELOPER_AVAILABLE),
            "reserve": standing(Account.Kind.DEVELOPER_RESERVE),
            "window": settings.RETURN_WINDOW_DAYS,
            "events": [(event, names[event.merchant_ref], reports.explain(event)) for event in page.items],
            "next_cursor": page.next_cursor,
        },
    )

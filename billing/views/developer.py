"""A developer's earnings: pending, available, and each event that they come from."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from agentstore.identity.access import (
    MANAGERS,
    membership_for,
    organization_for,
    require_signed_in,
    signed_in_user,
)
from agentstore.identity.models import Organization
from agentstore.kit.errors import Conflict
from billing import earnings as shares
from billing import ledger, payout_accounts, payouts, reports
from billing.accounts import AccountKey
from billing.charges.months import developer_month
from billing.forms import PayoutCountryForm
from billing.models import Account, Payout, PayoutAccount, UsageEvent
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
    states = shares.standings(list(page.items))
    return render(
        request,
        "billing/earnings.html",
        {
            "organization": organization,
            "pending": standing(Account.Kind.DEVELOPER_PENDING),
            "available": standing(Account.Kind.DEVELOPER_AVAILABLE),
            "reserve": standing(Account.Kind.DEVELOPER_RESERVE),
            "window": settings.RETURN_WINDOW_DAYS,
            "events": [
                (event, names[event.merchant_ref], reports.explain(event), states[event.pk])
                for event in page.items
            ],
            "account": PayoutAccount.objects.filter(owner_ref=organization.ref).first(),
            "why_not": payouts.why_not(owner_ref=organization.ref, currency=currency),
            "payouts": Payout.objects.filter(owner_ref=organization.ref).order_by("-pk")[:12],
            "may_change": membership_for(request.user, slug).role in MANAGERS,
            "month": developer_month(developer_ref=organization.ref, currency=currency),
            "form": PayoutCountryForm(),
            "next_cursor": page.next_cursor,
        },
    )


def _managed(request: HttpRequest, slug: str) -> Organization:
    require_signed_in(request.user)
    return organization_for(request.user, slug, kind="developer", roles=MANAGERS)


@require_POST
def payout_country(request: HttpRequest, slug: str) -> HttpResponse:
    """POST /developer/<slug>/earnings/payouts/: where the studio is; the rest is said at the processor."""
    organization = _managed(request, slug)
    form = PayoutCountryForm(request.POST)
    if form.is_valid():
        payout_accounts.choose_country(owner_ref=organization.ref, country=form.cleaned_data["country"])
    else:
        messages.error(request, "Write the country as two letters, such as DE.")
    return redirect("billing:earnings", slug)


@require_GET
def onboarding(request: HttpRequest, slug: str) -> HttpResponse:
    """/developer/<slug>/earnings/onboarding/: on to the processor's page, where the studio says who it is."""
    organization = _managed(request, slug)
    if not PayoutAccount.objects.filter(owner_ref=organization.ref).exists():
        raise Conflict("Choose the studio's country first.")
    link = payout_accounts.start_onboarding(
        owner_ref=organization.ref,
        email=signed_in_user(request).email,
        return_url=request.build_absolute_uri(reverse("billing:onboarded", args=[slug])),
        refresh_url=request.build_absolute_uri(request.path),
    )
    return redirect(link)


@require_GET
def onboarded(request: HttpRequest, slug: str) -> HttpResponse:
    """/developer/<slug>/earnings/onboarded/: back from the processor, which says how the account stands."""
    organization = _managed(request, slug)
    payout_accounts.refresh_account(owner_ref=organization.ref)
    return redirect("billing:earnings", slug)

"""A merchant's balance for conversations: what is left, paying in, and by what it pays; and the store's limits."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from agentstore.identity.access import (
    MANAGERS,
    membership_for,
    organization_for,
    require_operator,
    require_signed_in,
)
from agentstore.identity.models import Organization
from agentstore.kit.errors import StoreError
from agentstore.kit.money import Money
from billing import funding, topups
from billing.forms import CreditForm, FundingForm, TopUpForm
from billing.models import MerchantFunding, TopUp
from billing.names import names_of
from billing.processor.client import decline_words
from billing.processor.test_methods import TEST_METHODS, takes_test_cards

_NEWEST = 20


@require_http_methods(["GET", "POST"])
def balance(request: HttpRequest, slug: str) -> HttpResponse:
    """/merchant/<slug>/billing/balance/: members read; owners and admins choose how the merchant pays."""
    require_signed_in(request.user)
    roles = MANAGERS if request.method == "POST" else None
    organization = organization_for(request.user, slug, kind="merchant", roles=roles)
    currency = settings.STORE_CURRENCY
    form = FundingForm(request.POST or None, initial=_initial(_funding(organization)))
    if request.method == "POST" and form.is_valid():
        funding.set_funding(
            merchant_ref=organization.ref,
            currency=currency,
            mode=form.cleaned_data["mode"],
            alert_below=Money.from_decimal(form.cleaned_data["alert_below"], currency),
            by=f"user:{request.user.pk}",
        )
        messages.success(request, "Saved.")
        return redirect("billing:balance", slug)
    return _show(request, organization, form=form, status=422 if form.is_bound else 200)


def _funding(organization: Organization) -> MerchantFunding:
    return funding.funding_of(merchant_ref=organization.ref, currency=settings.STORE_CURRENCY)


def _initial(found: MerchantFunding) -> dict[str, object]:
    return {"mode": found.mode, "alert_below": Money(found.alert_below_micros, found.currency).decimal}


def _show(
    request: HttpRequest,
    organization: Organization,
    *,
    form: FundingForm,
    paying: TopUpForm | None = None,
    status: int,
) -> HttpResponse:
    found = _funding(organization)
    left = funding.read_means(found).left_micros
    limit = found.credit_limit_micros
    newest = TopUp.objects.filter(merchant_ref=organization.ref).order_by("-created_at")[:_NEWEST]
    return render(
        request,
        "billing/balance.html",
        {
            "organization": organization,
            "funding": found,
            "left": None if left is None else Money(left, found.currency),
            "limit": None if limit is None else Money(limit, found.currency),
            "form": form,
            "paying": paying or TopUpForm(methods=TEST_METHODS),
            "takes_cards": takes_test_cards(),
            "top_ups": [(top_up, decline_words(top_up.decline)) for top_up in newest],
            "may_change": membership_for(request.user, organization.slug).role in MANAGERS,
        },
        status=status,
    )


@require_POST
def pay_in(request: HttpRequest, slug: str) -> HttpResponse:
    """POST /merchant/<slug>/billing/balance/pay-in/: owners and admins pay into the balance by card."""
    require_signed_in(request.user)
    organization = organization_for(request.user, slug, kind="merchant", roles=MANAGERS)
    form = TopUpForm(request.POST, methods=TEST_METHODS)
    if form.is_valid():
        try:
            top_up = topups.start_top_up(
                merchant_ref=organization.ref,
                amount=Money.from_decimal(form.cleaned_data["amount"], settings.STORE_CURRENCY),
                by=f"user:{request.user.pk}",
            )
            top_up = topups.try_card(top_up_id=top_up.pk, payment_method=form.cleaned_data["payment_method"])
        except StoreError as refused:
            form.add_error("amount", f"{refused.message} {refused.hint}".strip())
        else:
            if top_up.status == TopUp.Status.PAID:
                messages.success(request, f"{top_up.amount} is paid in.")
                return redirect("billing:balance", slug)
            topups.give_up_top_up(top_up_id=top_up.pk, by="balance page", reason=top_up.decline)
            form.add_error("payment_method", decline_words(top_up.decline))
    funded = FundingForm(initial=_initial(_funding(organization)))
    return _show(request, organization, form=funded, paying=form, status=422)


@require_http_methods(["GET", "POST"])
def credit(request: HttpRequest) -> HttpResponse:
    """/operator/billing/credit/: how merchants pay, and up to which limit the store lends."""
    require_operator(request.user)
    currency = settings.STORE_CURRENCY
    merchants = Organization.objects.filter(kind=Organization.Kind.MERCHANT)
    form = CreditForm(request.POST or None, merchants=merchants)
    if request.method == "POST" and form.is_valid():
        merchant = get_object_or_404(merchants, pk=uuid.UUID(form.cleaned_data["merchant"]))
        funding.set_funding(
            merchant_ref=merchant.ref,
            currency=currency,
            credit_limit=Money.from_decimal(form.cleaned_data["limit"], currency),
            reason=form.cleaned_data["reason"],
            by=f"user:{request.user.pk}",
        )
        messages.success(request, f"The limit of {merchant} is set.")
        return redirect("billing:credit")
    rows = list(MerchantFunding.objects.filter(currency=currency).order_by("merchant_ref")[:500])
    names = names_of(row.merchant_ref for row in rows)
    return render(
        request,
        "operator/credit.html",
        {"form": form, "rows": [(row, names[row.merchant_ref], funding.read_means(row)) for row in rows]},
        status=422 if form.is_bound else 200,
    )

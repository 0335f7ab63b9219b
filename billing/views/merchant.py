"""A merchant's money: its budget for PPCv and what it was charged, for what, and why."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from agentstore.identity.access import MANAGERS, membership_for, organization_for, require_signed_in
from agentstore.kit.money import Money
from billing import budgets, ledger, reports
from billing.accounts import merchant_receivable, merchant_wallet
from billing.charges.months import merchant_month
from billing.disputes import is_disputable
from billing.forms import BudgetForm
from billing.models import ChargeDispute, MerchantBudget, UsageEvent
from billing.paging import newest

CENT = Decimal("0.01")


@require_http_methods(["GET", "POST"])
def billing(request: HttpRequest, slug: str) -> HttpResponse:
    """/merchant/<slug>/billing/: members read; owners and admins set the budget."""
    require_signed_in(request.user)
    roles = MANAGERS if request.method == "POST" else None
    organization = organization_for(request.user, slug, kind="merchant", roles=roles)
    currency = settings.STORE_CURRENCY
    budget = budgets.current_budget(merchant_ref=organization.ref, currency=currency)
    form = BudgetForm(request.POST or None, initial=_initial(budget))
    if request.method == "POST" and form.is_valid():
        budgets.set_budget(
            merchant_ref=organization.ref,
            cap=form.money(currency),
            day_cap=form.day_money(currency),
            at_cap=form.cleaned_data["at_cap"],
            by=f"user:{request.user.pk}",
        )
        messages.success(request, "The budget is set.")
        return redirect("billing:merchant", slug)
    events = UsageEvent.objects.filter(merchant_ref=organization.ref)
    kind = request.GET.get("kind", "")
    if kind in UsageEvent.Kind.values:
        events = events.filter(kind=kind)
    page = newest(
        events.select_related("price_version").prefetch_related("price_version__rules"),
        by="occurred_at",
        cursor=request.GET.get("cursor"),
    )
    manages = membership_for(request.user, slug).role in MANAGERS
    disputed = {it.event_id: it for it in ChargeDispute.objects.filter(event__in=page.items)}
    return render(
        request,
        "billing/merchant.html",
        {
            "organization": organization,
            "form": form,
            "budget": budget,
            "spent": Money(budget.spent_micros if budget else 0, currency),
            "cap": Money(budget.cap_micros, currency) if budget else None,
            "owes": ledger.balance(merchant_receivable(organization.ref, currency)),
            "owed": -ledger.balance(merchant_wallet(organization.ref, currency)),
            "charges": [
                (it, reports.explain(it), disputed.get(it.pk), manages and is_disputable(it))
                for it in page.items
            ],
            "next_cursor": page.next_cursor,
            "month": merchant_month(merchant_ref=organization.ref, currency=currency),
            "kind": kind,
            "kinds": UsageEvent.Kind.choices,
            "may_change": manages,
        },
        status=422 if form.is_bound else 200,
    )


def _initial(budget: MerchantBudget | None) -> dict[str, object]:
    if budget is None:
        return {"at_cap": MerchantBudget.AtCap.ORGANIC}
    day = budget.day_cap_micros
    return {
        "cap": Money(budget.cap_micros, budget.currency).decimal.quantize(CENT),
        "day_cap": None if day is None else Money(day, budget.currency).decimal.quantize(CENT),
        "at_cap": budget.at_cap,
    }

"""A merchant's negotiation rules, and what an agent would get by them."""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from agentstore.identity.models import Organization
from marketplace.shopping.negotiation.made import Made, negotiations_of, sums_of
from marketplace.shopping.negotiation.rules import RuleExists, add_rule, change_rule, rule_of, rules_of
from marketplace.shopping.negotiation.simulator import Course, simulate
from marketplace.shopping.rule_forms import RuleForm, SimulatorForm, TermsForm
from marketplace.shopping.views.people import merchant_for, signed_in

_PER_PAGE: Final = 25
_SHOWN_CHANGES: Final = 20


@require_GET
def rules(request: HttpRequest, slug: str) -> HttpResponse:
    """The rules, and the simulator: `item`, `quantity` and `proposed` play a negotiation."""
    merchant = merchant_for(request, slug)
    asked = "quantity" in request.GET
    initial = {"item": request.GET.get("item", "")[:120], "quantity": 1}
    form = SimulatorForm(request.GET if asked else None, merchant=merchant, initial=initial)
    context = {
        "merchant": merchant,
        "page": Paginator(rules_of(merchant), _PER_PAGE).get_page(request.GET.get("page")),
        "form": form,
        "course": _course(merchant, form) if asked and form.is_valid() else None,
    }
    return render(request, "merchant/negotiation.html", context, status=422 if form.errors else 200)


@require_GET
def made(request: HttpRequest, slug: str) -> HttpResponse:
    """What agents negotiated for the merchant's items."""
    merchant = merchant_for(request, slug)
    page = Paginator(negotiations_of(merchant), _PER_PAGE).get_page(request.GET.get("page"))
    sums = sums_of(merchant, currency=settings.STORE_CURRENCY)
    context = {
        "merchant": merchant,
        "page": page,
        "negotiations": [Made(row, list(row.rounds.all())) for row in page],
        "sums": sums,
        "rounds_note": f"in {sums.rounds} round{pluralize(sums.rounds)}",
        "bought_note": f"{sums.bought} bought",
        "crumbs": _crumbs(merchant, "Negotiations made"),
    }
    return render(request, "merchant/negotiations.html", context)


def _course(merchant: Organization, form: SimulatorForm) -> Course:
    return simulate(
        merchant=merchant,
        offer_id=form.cleaned_data["item"],
        quantity=form.cleaned_data["quantity"],
        proposed=form.proposal(),
    )


@require_http_methods(["GET", "POST"])
def new_rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Another rule."""
    merchant = merchant_for(request, slug)
    initial = {"item": request.GET.get("item", "")[:120]}
    form = RuleForm(request.POST if request.method == "POST" else None, merchant=merchant, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            add_rule(
                merchant=merchant, target=form.target, terms=form.terms, by=signed_in(request),
                active=form.cleaned_data["active"], reason=form.cleaned_data["reason"],
            )  # fmt: skip
        except RuleExists as refused:
            form.add_error(None, f"{refused.message} {refused.hint}")
        else:
            messages.success(request, "The rule is kept. Try what an agent would get by it.")
            return redirect("shopping:negotiation", merchant.slug)
    context = {"merchant": merchant, "form": form, "crumbs": _crumbs(merchant, "New rule")}
    return render(request, "merchant/negotiation_rule.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def rule(request: HttpRequest, slug: str, rule_id: uuid.UUID) -> HttpResponse:
    """One rule with its history; a POST changes it."""
    merchant = merchant_for(request, slug)
    found = rule_of(merchant, rule_id)
    form = TermsForm(request.POST) if request.method == "POST" else TermsForm.of(found)
    if request.method == "POST" and form.is_valid():
        change_rule(
            rule_id=found.pk, merchant=merchant, terms=form.terms, by=signed_in(request),
            active=form.cleaned_data["active"], reason=form.cleaned_data["reason"],
        )  # fmt: skip
        messages.success(request, "Saved. Try what an agent would get by it.")
        return redirect("shopping:negotiation-rule", merchant.slug, found.pk)
    context = {
        "merchant": merchant,
        "rule": found,
        "form": form,
        "changes": found.changes.select_related("by")[:_SHOWN_CHANGES],
        "crumbs": _crumbs(merchant, found.about),
    }
    return render(request, "merchant/negotiation_rule.html", context, status=422 if form.errors else 200)


def _crumbs(merchant: Organization, here: str) -> list[tuple[str, str]]:
    return [
        (merchant.name, reverse("catalog:workspace", args=[merchant.slug])),
        ("Negotiation", reverse("shopping:negotiation", args=[merchant.slug])),
        (here, ""),
    ]

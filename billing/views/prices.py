"""The operator's prices: drafted, looked at with their effect, announced, withdrawn."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.access import require_operator
from agentstore.kit.clock import now
from agentstore.kit.errors import StoreError
from billing import pricing
from billing.models import PriceVersion
from billing.periods import Month, day_of, start_of
from billing.price_effects import effects_on
from billing.price_forms import AnnounceForm, CategoryTermsFormSet, NameForm, initial_terms, terms_of
from billing.price_notices import line_of


@require_GET
def prices(request: HttpRequest) -> HttpResponse:
    """/operator/prices/: every price version, drafts included."""
    require_operator(request.user)
    versions = PriceVersion.objects.filter(currency=settings.STORE_CURRENCY).order_by("-created_at")
    return render(request, "operator/prices.html", {"versions": versions, "notice_days": pricing.NOTICE.days})


@require_http_methods(["GET", "POST"])
def draft(request: HttpRequest, version_id: uuid.UUID | None = None) -> HttpResponse:
    """/operator/prices/draft/ and /operator/prices/<id>/draft/: new prices; a draft's fees."""
    require_operator(request.user)
    version = get_object_or_404(PriceVersion, pk=version_id) if version_id else None
    base = version or pricing.predecessor_of(PriceVersion(currency=settings.STORE_CURRENCY))
    name = NameForm(request.POST or None) if version is None else None
    rows = CategoryTermsFormSet(request.POST or None, initial=initial_terms(base))
    refusal = ""
    if request.method == "POST" and rows.is_valid() and (name is None or name.is_valid()):
        by = f"user:{request.user.pk}"
        try:
            if version is not None:
                version = pricing.redraft_prices(version_id=version.pk, terms=terms_of(rows), by=by)
            elif name is not None:
                version = pricing.draft_prices(name=name.cleaned_data["name"], terms=terms_of(rows), by=by)
        except StoreError as refused:
            refusal = refused.message
        else:
            messages.success(request, "The draft is saved.")
            return (
                redirect("billing:prices")
                if version is None
                else redirect("billing:price_version", version.pk)
            )
    return render(
        request,
        "operator/price_draft.html",
        {"version": version, "name": name, "rows": rows, "refusal": refusal},
        status=422 if request.method == "POST" else 200,
    )


@require_GET
def version(request: HttpRequest, version_id: uuid.UUID) -> HttpResponse:
    """/operator/prices/<id>/: what changes, what it would have made of the last month, and what to do next."""
    require_operator(request.user)
    return _show(request, get_object_or_404(PriceVersion.objects.prefetch_related("rules"), pk=version_id))


def _show(request: HttpRequest, found: PriceVersion, form: AnnounceForm | None = None) -> HttpResponse:
    before = pricing.predecessor_of(found)
    changes = pricing.compare(before, found) if before else []
    month = Month.of(now()).previous()
    return render(
        request,
        "operator/price_version.html",
        {
            "version": found,
            "before": before,
            "rules": sorted(found.rules.all(), key=lambda rule: (rule.kind, rule.category)),
            "changes": [(line_of(change, found.currency), change.worse) for change in changes],
            "rises": any(change.worse for change in changes),
            "effects": effects_on(month, found)
            if found.status == PriceVersion.Status.DRAFT and before
            else None,
            "form": form or AnnounceForm(initial={"day": day_of(now() + pricing.NOTICE)}),
            "notice_days": pricing.NOTICE.days,
            "history": found.changes.all(),
        },
        status=200 if form is None else 422,
    )


@require_POST
def announce(request: HttpRequest, version_id: uuid.UUID) -> HttpResponse:
    """POST /operator/prices/<id>/announce/: fix a draft and its day; a rise without notice is refused."""
    require_operator(request.user)
    found = get_object_or_404(PriceVersion, pk=version_id)
    form = AnnounceForm(request.POST)
    if form.is_valid():
        try:
            pricing.announce_prices(
                version_id=found.pk,
                effective_at=start_of(form.cleaned_data["day"]),
                by=f"user:{request.user.pk}",
                reason=form.cleaned_data["reason"],
            )
        except StoreError as refused:
            form.add_error("day", f"{refused.message} {refused.hint}".strip())
        else:
            messages.success(request, "The prices are announced. Merchants and developers are told.")
            return redirect("billing:price_version", found.pk)
    return _show(request, found, form)


@require_POST
def withdraw(request: HttpRequest, version_id: uuid.UUID) -> HttpResponse:
    """POST /operator/prices/<id>/withdraw/: take a draft or announced prices back, with a reason."""
    require_operator(request.user)
    found = get_object_or_404(PriceVersion, pk=version_id)
    reason = request.POST.get("reason", "").strip()
    pricing.withdraw_prices(version_id=found.pk, by=f"user:{request.user.pk}", reason=reason[:200])
    messages.success(request, "The prices are withdrawn.")
    return redirect("billing:price_version", found.pk)

"""Disputed charges: the merchant says what is wrong with one, the operator decides."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from agentstore.identity.access import MANAGERS, organization_for, require_operator, require_signed_in
from agentstore.kit.errors import NotFound
from billing import disputes, reports
from billing.forms import DisputeForm, VerdictForm
from billing.models import ChargeDispute, UsageEvent
from billing.names import names_of
from billing.paging import PER_PAGE


@require_http_methods(["GET", "POST"])
def dispute(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """/merchant/<slug>/billing/charges/<id>/dispute/, for owners and admins."""
    require_signed_in(request.user)
    organization = organization_for(request.user, slug, kind="merchant", roles=MANAGERS)
    event = (
        UsageEvent.objects.select_related("price_version")
        .filter(pk=event_id, merchant_ref=organization.ref)
        .first()
    )
    if event is None:
        raise NotFound("There is no such charge.")
    form = DisputeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        disputes.open_dispute(
            event_id=event.pk,
            owner_ref=organization.ref,
            reason=form.cleaned_data["reason"],
            by=f"user:{request.user.pk}",
        )
        messages.success(request, "An operator will look at it. Until then its invoice is not reminded of.")
        return redirect("billing:dispute", slug, event.pk)
    return render(
        request,
        "billing/dispute.html",
        {
            "organization": organization,
            "event": event,
            "why": reports.explain(event),
            "dispute": ChargeDispute.objects.filter(event=event).first(),
            "form": form,
        },
        status=422 if form.is_bound else 200,
    )


@require_http_methods(["GET"])
def queue(request: HttpRequest) -> HttpResponse:
    """/operator/billing/disputes/: what waits first, then what was decided."""
    require_operator(request.user)
    rows = ChargeDispute.objects.select_related("event").order_by("decided_at", "opened_at")
    status = request.GET.get("status", ChargeDispute.Status.OPEN.value)
    if status in ChargeDispute.Status.values:
        rows = rows.filter(status=status)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    names = names_of(ref for it in page for ref in (it.owner_ref, it.event.developer_ref))
    return render(
        request,
        "operator/disputes.html",
        {
            "page": page,
            "rows": [(it, names[it.owner_ref], names[it.event.developer_ref]) for it in page],
            "status": status,
            "statuses": ChargeDispute.Status.choices,
        },
    )


@require_http_methods(["GET", "POST"])
def decide(request: HttpRequest, dispute_id: uuid.UUID) -> HttpResponse:
    """/operator/billing/disputes/<id>/: credit the charge, or let it stand, and say why."""
    require_operator(request.user)
    found = get_object_or_404(
        ChargeDispute.objects.select_related("event__price_version", "event__journal"), pk=dispute_id
    )
    form = VerdictForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        disputes.decide_dispute(
            dispute_id=found.pk,
            uphold=request.POST.get("verdict") == "uphold",
            by=f"user:{request.user.pk}",
            note=form.cleaned_data["note"],
        )
        messages.success(request, "Decided; the merchant is told.")
        return redirect("billing:disputes")
    names = names_of([found.owner_ref, found.event.developer_ref])
    return render(
        request,
        "operator/dispute.html",
        {
            "dispute": found,
            "event": found.event,
            "why": reports.explain(found.event),
            "merchant": names[found.owner_ref],
            "developer": names[found.event.developer_ref],
            "form": form,
            "note": getattr(found, "credit_note", None),
        },
        status=422 if form.is_bound else 200,
    )

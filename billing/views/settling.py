"""The operator's invoices and payouts: what is open, what waits and why, what can be done about it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from agentstore.identity.access import require_operator
from agentstore.kit.clock import now
from billing import dunning, payouts
from billing.dashboard.open_items import AGES, of_age
from billing.invoice_rows import rows_of
from billing.models import Invoice, Payout, PayoutHold
from billing.names import names_of
from billing.paging import newest


@require_GET
def invoices(request: HttpRequest) -> HttpResponse:
    """/operator/billing/invoices/: by `status`, or open ones of an `age`; the newest first."""
    require_operator(request.user)
    rows = Invoice.objects.prefetch_related("dunning")
    status = request.GET.get("status", "")
    if status in Invoice.Status.values:
        rows = rows.filter(status=status)
    age = request.GET.get("age", "")
    if age in AGES:
        rows = rows.filter(of_age(age, now()))
    page = newest(rows, cursor=request.GET.get("cursor"))
    names = names_of(invoice.owner_ref for invoice in page.items)
    return render(
        request,
        "operator/invoices.html",
        {
            "next_cursor": page.next_cursor,
            "rows": [
                (row, names[row.invoice.owner_ref], list(row.invoice.dunning.all()))
                for row in rows_of(page.items)
            ],
            "status": status,
            "statuses": Invoice.Status.choices,
            "age": age,
            "ages": AGES.items(),
        },
    )


@require_POST
def write_off(request: HttpRequest, invoice_id: uuid.UUID) -> HttpResponse:
    """POST /operator/billing/invoices/<id>/write-off/"""
    require_operator(request.user)
    invoice = get_object_or_404(Invoice, pk=invoice_id)
    reason = request.POST.get("reason", "").strip() or "not paid"
    dunning.write_off(invoice=invoice, by=f"user:{request.user.pk}", reason=reason)
    messages.success(request, f"{invoice.number} is written off.")
    return redirect("billing:invoices")


@require_GET
def payout_list(request: HttpRequest) -> HttpResponse:
    """/operator/billing/payouts/: by `status`, the newest first, and who is on hold."""
    require_operator(request.user)
    rows = Payout.objects.all()
    status = request.GET.get("status", "")
    if status in Payout.Status.values:
        rows = rows.filter(status=status)
    page = newest(rows, cursor=request.GET.get("cursor"))
    holds = list(PayoutHold.objects.filter(lifted_at=None).order_by("-placed_at"))
    names = names_of([*(it.owner_ref for it in page.items), *(hold.owner_ref for hold in holds)])
    return render(
        request,
        "operator/payouts.html",
        {
            "next_cursor": page.next_cursor,
            "rows": [(payout, names[payout.owner_ref]) for payout in page.items],
            "holds": [(hold, names[hold.owner_ref]) for hold in holds],
            "status": status,
            "statuses": Payout.Status.choices,
            "minimum": payouts.smallest_payout(settings.STORE_CURRENCY),
        },
    )


@require_POST
def hold(request: HttpRequest) -> HttpResponse:
    """POST /operator/billing/payouts/hold/: place a hold on an owner, or lift it."""
    require_operator(request.user)
    owner_ref, by = request.POST.get("owner_ref", ""), f"user:{request.user.pk}"
    if request.POST.get("lift"):
        payouts.lift_hold(owner_ref=owner_ref, by=by)
        messages.success(request, "Payouts go on.")
    else:
        reason = request.POST.get("reason", "").strip() or "an operator looks at it"
        payouts.place_hold(owner_ref=owner_ref, reason=reason, by=by)
        messages.success(request, "Payouts are on hold.")
    return redirect("billing:payouts")


@require_POST
def cancel_payout(request: HttpRequest, payout_id: uuid.UUID) -> HttpResponse:
    """POST /operator/billing/payouts/<id>/cancel/"""
    require_operator(request.user)
    payout = get_object_or_404(Payout, pk=payout_id)
    payouts.cancel_payout(
        payout_id=payout.pk, by=f"user:{request.user.pk}", reason=request.POST.get("reason", "")
    )
    messages.success(request, f"{payout.amount} is available again, and the studio's payouts are on hold.")
    return redirect("billing:payouts")

"""A merchant pays an invoice again whose payment a bank took back: on to the processor's page, and back from it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from agentstore.identity.access import MANAGERS, organization_for, require_signed_in
from agentstore.kit.errors import NotFound
from billing import repayments
from billing.models import Invoice


def _invoice(request: HttpRequest, slug: str, invoice_id: uuid.UUID) -> Invoice:
    require_signed_in(request.user)
    organization = organization_for(request.user, slug, kind="merchant", roles=MANAGERS)
    found = Invoice.objects.filter(pk=invoice_id, owner_ref=organization.ref).first()
    if found is None:
        raise NotFound("There is no such invoice.")
    return found


@require_GET
def pay(request: HttpRequest, slug: str, invoice_id: uuid.UUID) -> HttpResponse:
    """/merchant/<slug>/statements/invoices/<id>/pay/: on to the page where what is owed again is paid."""
    invoice = _invoice(request, slug, invoice_id)
    url = repayments.open_page(
        invoice_id=invoice.pk,
        paid_url=request.build_absolute_uri(reverse("billing:repaid", args=[slug, invoice.pk])),
        back_url=request.build_absolute_uri(reverse("billing:merchant_statements", args=[slug])),
        by=f"user:{request.user.pk}",
    )
    return redirect(url or reverse("billing:repaid", args=[slug, invoice.pk]))


@require_GET
def paid(request: HttpRequest, slug: str, invoice_id: uuid.UUID) -> HttpResponse:
    """/merchant/<slug>/statements/invoices/<id>/paid/: back from there; the processor says whether it is paid."""
    invoice = repayments.settle_started(invoice_id=_invoice(request, slug, invoice_id).pk)
    if invoice.status == Invoice.Status.PAID:
        messages.success(request, f"{invoice.number} is paid.")
    else:
        messages.info(request, f"{invoice.number} is not paid yet. Payments of some banks take days.")
    return redirect("billing:merchant_statements", slug)

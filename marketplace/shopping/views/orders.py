"""Orders, as the shopper sees theirs and as a merchant sees its own."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.access import MANAGERS, organization_for
from agentstore.identity.models import Organization
from agentstore.kit.errors import NotFound
from marketplace.shopping import disclosures, refunds
from marketplace.shopping import orders as service
from marketplace.shopping.forms import RefundForm
from marketplace.shopping.models import Order, Refund
from marketplace.shopping.views.people import merchant_for, signed_in

_PER_PAGE = 20


@require_GET
def orders(request: HttpRequest) -> HttpResponse:
    """The shopper's orders, newest first."""
    page = Paginator(service.orders_of(signed_in(request)), _PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "shop/orders.html", {"page": page})


@require_http_methods(["GET", "POST"])
def order(request: HttpRequest, order_id: uuid.UUID) -> HttpResponse:
    """One order: what was bought, who brought it about, what the store earned. POST asks for a refund."""
    user = signed_in(request)
    found = service.order_of(user, order_id)
    form = _refund_form(request, found)
    if request.method == "POST" and form is not None and form.is_valid():
        refunds.request_refund(
            order_id=found.pk, by=user, reason=form.cleaned_data["reason"], quantities=form.quantities()
        )
        messages.success(request, f"{found.merchant} has your request. You will see the answer here.")
        return redirect("shopping:order", found.pk)
    context = {
        "order": found,
        "lines": disclosures.disclosed_lines(found),
        "refunds": found.refunds.prefetch_related("lines__line", "status_changes"),
        "changes": found.status_changes.all(),
        "form": form,
    }
    return render(request, "shop/order.html", context)


@require_GET
def merchant_orders(request: HttpRequest, slug: str) -> HttpResponse:
    """What a merchant has sold, newest first; open refund requests on top."""
    merchant = merchant_for(request, slug)
    page = Paginator(service.orders_to(merchant), _PER_PAGE).get_page(request.GET.get("page"))
    asked = Refund.objects.filter(order__merchant=merchant, status=Refund.Status.REQUESTED).select_related(
        "order"
    )
    context = {"merchant": merchant, "page": page, "asked": asked[:50]}
    return render(request, "shop/order_merchant_list.html", context)


@require_http_methods(["GET", "POST"])
def merchant_order(request: HttpRequest, slug: str, order_id: uuid.UUID) -> HttpResponse:
    """One order with where to send it. POST refunds."""
    merchant = merchant_for(request, slug)
    found = service.order_to(merchant, order_id)
    form = _refund_form(request, found)
    if request.method == "POST" and form is not None and form.is_valid():
        refunds.issue_refund(
            order_id=found.pk,
            by=signed_in(request),
            reason=form.cleaned_data["reason"],
            quantities=form.quantities(),
        )
        messages.success(request, "The refund is on its way.")
        return redirect("shopping:merchant-order", slug, found.pk)
    context = {
        "merchant": merchant,
        "order": found,
        "lines": disclosures.disclosed_lines(found),
        "refunds": found.refunds.prefetch_related("lines__line", "status_changes"),
        "changes": found.status_changes.all(),
        "form": form,
    }
    return render(request, "shop/order_merchant.html", context)


@require_POST
def decide_refund(request: HttpRequest, slug: str, order_id: uuid.UUID, refund_id: uuid.UUID) -> HttpResponse:
    """Grant a refund that was asked for, or decline it with a reason."""
    by = signed_in(request)
    merchant = organization_for(by, slug, kind=Organization.Kind.MERCHANT, roles=MANAGERS)
    if not Refund.objects.filter(pk=refund_id, order_id=order_id, order__merchant=merchant).exists():
        raise NotFound("There is no such refund.")
    if request.POST.get("decision") == "grant":
        refunds.grant_refund(refund_id=refund_id, by=by, reason="granted")
        messages.success(request, "Granted: the refund is on its way.")
    else:
        refunds.decline_refund(refund_id=refund_id, by=by, reason=request.POST.get("reason", ""))
        messages.success(request, "Declined: the shopper sees your reason.")
    return redirect("shopping:merchant-order", slug, order_id)


def _refund_form(request: HttpRequest, found: Order) -> RefundForm | None:
    """The form, or None where nothing is left to refund."""
    left = refunds.refundable(found)
    if found.status not in service.REFUNDABLE or not any(left.values()):
        return None
    return RefundForm(request.POST or None, order=found, left=left)

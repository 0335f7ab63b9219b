"""Statements, for the members of the merchant or studio that they are of: pages, PDF, CSV, invoices."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from agentstore.identity.access import MANAGERS, membership_for, organization_for, require_signed_in
from agentstore.identity.models import Organization
from agentstore.kit.errors import NotFound
from billing import statement_files
from billing.forms import BillingPartyForm
from billing.invoice_rows import rows_of
from billing.models import BillingParty, ChargeDispute, Invoice, Statement, StatementLine
from billing.paging import PER_PAGE
from billing.statement_rules import sign_of
from billing.statement_words import describe, sections_of, shown, unit_price, words_of
from billing.statements import line_items


def _member_of(request: HttpRequest, slug: str, kind: str) -> Organization:
    require_signed_in(request.user)
    return organization_for(request.user, slug, kind=kind)


def _statement(organization: Organization, statement_id: uuid.UUID) -> Statement:
    found = (
        Statement.objects.select_related("period", "invoice")
        .filter(pk=statement_id, owner_ref=organization.ref)
        .first()
    )
    if found is None:
        raise NotFound("There is no such statement.")
    return found


@require_http_methods(["GET", "POST"])
def index(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """/merchant/<slug>/statements/, /developer/<slug>/statements/; owners and admins set the address."""
    organization = _member_of(request, slug, kind)
    party = BillingParty.objects.filter(owner_ref=organization.ref).first()
    form = None
    if kind == "merchant" and membership_for(request.user, slug).role in MANAGERS:
        form = BillingPartyForm(
            request.POST or None, instance=party or BillingParty(owner_ref=organization.ref)
        )
        if request.method == "POST" and form.is_valid():
            form.save()
            messages.success(request, "Invoices go to this address from now on.")
            return redirect("billing:merchant_statements", slug)
    elif request.method == "POST":
        organization_for(request.user, slug, kind="merchant", roles=MANAGERS)
    rows = Statement.objects.filter(owner_ref=organization.ref).select_related("invoice")
    page = Paginator(rows.order_by("-period_id", "currency"), PER_PAGE).get_page(request.GET.get("page"))
    invoices = Invoice.objects.filter(owner_ref=organization.ref).prefetch_related("taxes")
    return render(
        request,
        "billing/statements.html",
        {
            "organization": organization,
            "kind": kind,
            "page": page,
            "invoices": rows_of(invoices.order_by("-pk")[:PER_PAGE]),
            "may_pay": membership_for(request.user, slug).role in MANAGERS,
            "form": form,
            "party": party,
        },
        status=422 if form is not None and form.is_bound else 200,
    )


@require_GET
def statement(request: HttpRequest, slug: str, kind: str, statement_id: uuid.UUID) -> HttpResponse:
    """…/statements/<id>/: one month, account by account."""
    organization = _member_of(request, slug, kind)
    found = _statement(organization, statement_id)
    return render(
        request,
        "billing/statement.html",
        {
            "organization": organization,
            "kind": kind,
            "statement": found,
            "sections": [
                (section, [(line, describe(line), unit_price(line), shown(line)) for line in section.lines])
                for section in sections_of(found)
            ],
            "carried": found.carried_in if found.carried_in_minor else None,
        },
    )


@require_GET
def line(request: HttpRequest, slug: str, kind: str, statement_id: uuid.UUID, number: int) -> HttpResponse:
    """…/statements/<id>/lines/<number>/: the movements that a line adds up."""
    organization = _member_of(request, slug, kind)
    found = _statement(organization, statement_id)
    row = StatementLine.objects.select_related("statement__period", "price_version").filter(
        statement=found, number=number
    )
    chosen = row.first()
    if chosen is None:
        raise NotFound("There is no such line.")
    page = Paginator(range(chosen.quantity), PER_PAGE).get_page(request.GET.get("page"))
    sign = sign_of(chosen.account_kind)
    items = line_items(chosen, limit=PER_PAGE, offset=max(0, page.start_index() - 1))
    disputable = kind == "merchant" and chosen.kind == "ppcv"
    disputed: dict[uuid.UUID | None, ChargeDispute] = {
        it.event_id: it
        for it in ChargeDispute.objects.filter(event__in=[item.event_id for item in items if disputable])
    }
    return render(
        request,
        "billing/statement_line.html",
        {
            "organization": organization,
            "kind": kind,
            "statement": found,
            "line": chosen,
            "words": describe(chosen),
            "items": [
                (item, words_of(item.kind), sign * item.amount, disputed.get(item.event_id)) for item in items
            ],
            "disputable": disputable,
            "may_change": membership_for(request.user, slug).role in MANAGERS,
            "page": page,
        },
    )


@require_GET
def as_pdf(request: HttpRequest, slug: str, kind: str, statement_id: uuid.UUID) -> HttpResponse:
    """…/statements/<id>/statement.pdf"""
    organization = _member_of(request, slug, kind)
    found = _statement(organization, statement_id)
    body = statement_files.pdf_of(found, owner=organization.name, store=settings.SITE_NAME)
    return HttpResponse(body, content_type="application/pdf", headers=_named(found, "pdf"))


@require_GET
def as_csv(request: HttpRequest, slug: str, kind: str, statement_id: uuid.UUID) -> StreamingHttpResponse:
    """…/statements/<id>/statement.csv; `?items=1` for every movement behind the lines."""
    organization = _member_of(request, slug, kind)
    found = _statement(organization, statement_id)
    rows = statement_files.items_csv_of(found) if request.GET.get("items") else statement_files.csv_of(found)
    return StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8", headers=_named(found, "csv"))


def _named(found: Statement, ending: str) -> dict[str, str]:
    name = f"statement-{found.period_id}-{found.currency.lower()}.{ending}"
    return {"Content-Disposition": f'attachment; filename="{name}"'}

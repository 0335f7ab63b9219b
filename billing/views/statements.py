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
from agentstore.kit.pagination import MalformedCursor, decode_cursor, encode_cursor
from agentstore.kit.tables import stream_csv
from billing import statement_files
from billing.forms import BillingPartyForm
from billing.invoice_rows import rows_of
from billing.models import BillingParty, ChargeDispute, Invoice, Statement, StatementLine
from billing.paging import PER_PAGE
from billing.statement_rules import FIRST, Place, sign_of
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
    sign = sign_of(chosen.account_kind)
    found_items = line_items(chosen, limit=PER_PAGE + 1, after=_place(request.GET.get("cursor")))
    items = found_items[:PER_PAGE]
    more = len(found_items) > PER_PAGE
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
            "next_cursor": encode_cursor([items[-1].xid, str(items[-1].journal_id)]) if more else None,
        },
    )


def _place(cursor: str | None) -> Place:
    if not cursor:
        return FIRST
    xid, journal_id = decode_cursor(cursor, parts=2)
    try:
        return str(_transaction(xid)), uuid.UUID(journal_id)
    except (TypeError, ValueError, AttributeError) as broken:
        raise MalformedCursor("this cursor is of another listing") from broken


def _transaction(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 64:
        raise ValueError("no transaction")
    return number


@require_GET
def as_pdf(request: HttpRequest, slug: str, kind: str, statement_id: uuid.UUID) -> HttpResponse:
    """…/statements/<id>/statement.pdf"""
    organization = _member_of(request, slug, kind)
    found = _statement(organization, statement_id)
    body = statement_files.pdf_of(found, owner=organization.name, store=settings.SITE_NAME)
    headers = {"Content-Disposition": f'attachment; filename="{_name(found, "pdf")}"'}
    return HttpResponse(body, content_type="application/pdf", headers=headers)


@require_GET
def as_csv(request: HttpRequest, slug: str, kind: str, statement_id: uuid.UUID) -> StreamingHttpResponse:
    """…/statements/<id>/statement.csv; `?items=1` for every movement behind the lines."""
    organization = _member_of(request, slug, kind)
    found = _statement(organization, statement_id)
    name = _name(found, "csv")
    if request.GET.get("items"):
        header, read = statement_files.ITEM_COLUMNS, statement_files.read_items(found)
    else:
        header, read = statement_files.LINE_COLUMNS, statement_files.read_lines(found)
    # Amounts below zero are numbers; names are made harmless by the rows.
    return stream_csv(request, filename=name, header=header, read=read, exact=True)


def _name(found: Statement, ending: str) -> str:
    return f"statement-{found.period_id}-{found.currency.lower()}.{ending}"

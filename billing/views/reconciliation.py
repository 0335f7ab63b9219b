"""The operator's view of what was compared: day by day, and each incident with the lines that cause it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.access import require_operator
from agentstore.kit.errors import NotFound
from agentstore.kit.money import Money
from agentstore.kit.tables import Row, in_batches, stream_csv
from billing.forms import ReasonForm
from billing.models import Incident, IncidentLine, Reconciliation
from billing.paging import PER_PAGE
from billing.processor.client import dashboard_search
from billing.reconciliation import incidents, runs, state
from billing.reconciliation.words import PROBLEMS, SIDES

COLUMNS = (
    *("day", "check", "problem", "reference", "detail", "currency", "expected", "found"),
    *("journal", "event", "processor_object", "found_at", "gone_at"),
)


@require_GET
def reconciliation(request: HttpRequest) -> HttpResponse:
    """/operator/billing/reconciliation/: every day that was looked at, the newest first, and what is open."""
    require_operator(request.user)
    days = Reconciliation.objects.prefetch_related("balances")
    page = Paginator(days, PER_PAGE).get_page(request.GET.get("page"))
    by_day: dict[date, list[Incident]] = {row.day: [] for row in page}
    for found in Incident.objects.filter(day__in=by_day):
        by_day[found.day].append(found)
    return render(
        request,
        "operator/reconciliation.html",
        {
            "page": page,
            "rows": [(row, by_day[row.day], list(row.balances.all())) for row in page],
            "open": list(state.open_incidents()[:PER_PAGE]),
            "open_count": state.open_incidents().count(),
        },
    )


@require_POST
def again(request: HttpRequest, day: str) -> HttpResponse:
    """POST /operator/billing/reconciliation/<day>/again/: have a day made again by the next worker."""
    require_operator(request.user)
    found = get_object_or_404(Reconciliation, day=_day(day))
    runs.ask_again(day=found.day, by=f"user:{request.user.pk}")
    messages.success(request, f"{found.day:%-d %B %Y} is being reconciled again.")
    return redirect("billing:reconciliation")


@require_http_methods(["GET", "POST"])
def incident(request: HttpRequest, incident_id: uuid.UUID) -> HttpResponse:
    """/operator/billing/incidents/<id>/: its lines with where each leads; resolved by hand with a reason."""
    require_operator(request.user)
    found = get_object_or_404(Incident, pk=incident_id)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        incidents.resolve_incident(
            incident_id=found.pk, by=f"user:{request.user.pk}", reason=form.cleaned_data["reason"]
        )
        messages.success(request, "Resolved.")
        return redirect("billing:incident", found.pk)
    lines = found.lines.order_by(F("gone_at").asc(nulls_first=True), "pk")
    page = Paginator(lines, PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "operator/incident.html",
        {
            "incident": found,
            "page": page,
            "rows": [(line, PROBLEMS.get(line.problem, line.problem)) for line in page],
            "sides": SIDES[found.kind],
            "actions": [("Lines as CSV", reverse("billing:incident_csv", args=[found.pk]), "btn-outline")],
            "dashboard": dashboard_search(),
            "changes": found.changes.all(),
            "form": form,
        },
        status=422 if form.is_bound else 200,
    )


@require_GET
def lines_csv(request: HttpRequest, incident_id: uuid.UUID) -> StreamingHttpResponse:
    """/operator/billing/incidents/<id>/lines.csv: every line, those that are gone included."""
    require_operator(request.user)
    found = get_object_or_404(Incident, pk=incident_id)
    filename = f"incident-{found.day:%Y-%m-%d}-{found.kind}.csv"
    read = in_batches(IncidentLine.objects.filter(incident=found).select_related("incident"), _rows)
    return stream_csv(request, filename=filename, header=COLUMNS, read=read)


def _rows(lines: list[IncidentLine]) -> Sequence[Row]:
    return [
        [
            line.incident.day, line.incident.kind, line.problem, line.reference, line.detail, line.currency,
            _decimal(line.expected), _decimal(line.found), line.journal_id or "", line.event_id or "",
            line.processor_ref, line.found_at.isoformat(), line.gone_at.isoformat() if line.gone_at else "",
        ]
        for line in lines
    ]  # fmt: skip


def _decimal(amount: Money | None) -> object:
    return "" if amount is None else amount.decimal


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as broken:
        raise NotFound("There is no such day.") from broken

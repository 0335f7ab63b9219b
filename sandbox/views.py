"""The operator's pages on sandboxes. They read rows and never speak to the engine."""

from __future__ import annotations

import uuid

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agentstore.identity.access import require_operator
from agentstore.kit.errors import NotFound
from sandbox import reports
from sandbox.models import Sandbox

_PAGE = 25
_FILTERS = {
    "live": "Running",
    "agent": "Failed by the agent",
    "platform": "Failed by the platform",
    "stopped": "Ended",
}


@require_GET
def pool(request: HttpRequest) -> HttpResponse:
    """/operator/sandboxes/"""
    require_operator(request.user)
    show = request.GET.get("show", "")
    rows = Sandbox.objects.all()
    if show == "live":
        rows = rows.filter(status__in=Sandbox.LIVE)
    elif show in ("agent", "platform"):
        rows = rows.filter(fault=show)
    elif show == "stopped":
        rows = rows.filter(status=Sandbox.Status.STOPPED)
    hours, failures = reports.failures_by_fault()
    context = {
        "figures": reports.overview(),
        "hosts": reports.host_states(),
        "waiting": reports.waiting_claims()[:_PAGE],
        "failure_hours": hours,
        "failures": failures,
        "targets": reports.targets(),
        "page": Paginator(rows, _PAGE).get_page(request.GET.get("page")),
        "show": show,
        "filters": _FILTERS.items(),
    }
    return render(request, "operator/sandbox_pool.html", context)


@require_GET
def detail(request: HttpRequest, sandbox_id: uuid.UUID) -> HttpResponse:
    """/operator/sandboxes/<id>/"""
    require_operator(request.user)
    row = Sandbox.objects.filter(pk=sandbox_id).first()
    if row is None:
        raise NotFound("There is no such sandbox.")
    spec = row.run_spec
    facts = [
        ("Tenant", row.tenant),
        ("Bound to", row.claim_key or "nobody"),
        ("Image", row.image_id),
        ("Runtime", f"{row.runtime or 'not started'} ({spec.trust}) on {row.host or 'no host'}"),
        ("Memory", f"{spec.memory_bytes // 2**20} MiB"),
        ("CPU", f"{spec.cpus:g} cores"),
        ("Processes, open files", f"{spec.pids}, {spec.nofile}"),
        ("Disk", f"{spec.tmp_bytes // 2**20} MiB"),
        ("Start and turn", f"{spec.start_seconds:g} s, {spec.turn_seconds:g} s"),
        ("Largest answer", f"{spec.answer_bytes // 1024} KiB"),
    ]
    context = {"sandbox": row, "facts": facts, "changes": row.changes.all()}
    return render(request, "operator/sandbox_detail.html", context)

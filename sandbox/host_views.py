"""The operator's page on one host, and what machines ask about all of them."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.views.decorators.http import require_GET, require_POST
from prometheus_client import CONTENT_TYPE_LATEST

from agentstore.identity.access import require_operator, signed_in_user
from agentstore.kit.errors import NotFound
from sandbox import dispatch, hosts, reports
from sandbox.exposition import exposition
from sandbox.models import Host


@require_GET
def host(request: HttpRequest, name: str) -> HttpResponse:
    """/operator/sandboxes/hosts/<name>/"""
    require_operator(request.user)
    state = next((state for state in reports.host_states() if state.host.name == name), None)
    if state is None:
        raise NotFound("There is no such host.")
    found = state.host
    runtimes = ", ".join(f"{runtime} for {trust} code" for trust, runtime in found.runtimes.items())
    facts = [
        ("Driver", found.driver or "none is proven"),
        ("Why this driver", found.driver_reason or "it is the first whose isolation was proven"),
        ("Runtimes", runtimes or "none"),
        ("Places", f"{state.held} of {found.places}, {state.busy} in a turn"),
        ("Memory", f"{filesizeformat(state.memory_bytes)} of {filesizeformat(found.memory_bytes)} set aside"),
        ("Door server", found.address or "none: only this machine reaches its sandboxes"),
        ("Last heard of", f"{found.heartbeat_at:%d %b %Y, %H:%M:%S}"),
        ("Last proven", f"{found.proven_at:%d %b %Y, %H:%M:%S}" if found.proven_at else "never"),
    ]
    context = {"host": found, "facts": facts, "changes": found.changes.order_by("-at", "-id")[:25]}
    return render(request, "operator/sandbox_host.html", context)


@require_POST
def drain(request: HttpRequest, name: str) -> HttpResponse:
    """/operator/sandboxes/hosts/<name>/drain/: out of service, or back into it with `back`."""
    require_operator(request.user)
    by = signed_in_user(request).email
    if "back" in request.POST:
        hosts.undrain_host(name=name, by=by)
        messages.success(request, f"{name} takes sandboxes again.")
    else:
        hosts.drain_host(name=name, by=by)
        messages.success(request, f"{name} drains: running turns finish, nothing new is started there.")
    dispatch.enqueue_tending()
    return redirect("sandbox:host", name=name)


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """/metrics, for who has METRICS_TOKEN; for everybody else, and without one, there is no such page."""
    given = request.headers.get("Authorization", "").encode()
    wanted = f"Bearer {settings.METRICS_TOKEN}".encode()
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given, wanted):
        raise NotFound("There is no such page.")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


@require_GET
def ready(request: HttpRequest) -> JsonResponse:
    """/readyz/sandboxes: 503 in live mode while a host that should take sandboxes can't, or none does."""
    found = [host for host in Host.objects.all() if host.status == Host.Status.UP]
    usable = [host for host in found if not host.refusal and host.proven_at is not None]
    is_ready = bool(usable) and len(usable) == len(found)
    status = 503 if settings.LIVE and not is_ready else 200
    return JsonResponse({"ready": is_ready, "hosts": len(found), "usable": len(usable)}, status=status)

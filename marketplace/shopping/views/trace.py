"""What an agent did: for its developer, and for operators who review a rehearsal."""

from __future__ import annotations

import uuid

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from agentstore.identity.access import organization_for, require_operator, require_signed_in
from agentstore.identity.models import Organization
from agentstore.kit.errors import NotFound
from marketplace.publishing.limits import granted_limits
from marketplace.publishing.models import Agent
from marketplace.shopping.agent_failures import WINDOW, count_failures, failures_of, listed
from marketplace.shopping.traces import trace_for_developer, trace_of_rehearsal, traced_conversations

_PER_PAGE = 30


@require_GET
def conversations(request: HttpRequest, slug: str) -> HttpResponse:
    """The conversations with the organization's agents."""
    organization = _organization(request, slug)
    page = Paginator(traced_conversations(organization), _PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "developer/traces.html", {"organization": organization, "page": page})


@require_GET
def conversation(request: HttpRequest, slug: str, conversation_id: uuid.UUID) -> HttpResponse:
    """One conversation's tool calls, refusals, failures and timings."""
    organization = _organization(request, slug)
    context = {
        "organization": organization,
        "trace": trace_for_developer(organization, conversation_id),
        "crumbs": [
            ("Conversations", reverse("shopping:traces", args=[organization.slug])),
            (str(conversation_id)[-12:], ""),
        ],
    }
    return render(request, "developer/trace.html", context)


@require_GET
def failures(request: HttpRequest, slug: str, agent: str) -> HttpResponse:
    """How one of the organization's agents failed lately."""
    organization = _organization(request, slug)
    found = Agent.objects.filter(developer=organization, slug=agent).select_related("live_version").first()
    if found is None:
        raise NotFound("There is no such agent.")
    page = Paginator(failures_of(found), _PER_PAGE).get_page(request.GET.get("page"))
    manifest = found.live_version.manifest if found.live_version else None
    context = {
        "organization": organization,
        "agent": found,
        "counted": count_failures(found),
        "page": page,
        "rows": listed(found, page.object_list),
        "limits": granted_limits(manifest).values() if manifest else (),
        "days": WINDOW.days,
        "crumbs": [
            (found.name, reverse("publishing:agent", args=[organization.slug, found.slug])),
            ("Failures", ""),
        ],
    }
    return render(request, "developer/failures.html", context)


@require_GET
def rehearsal(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """A rehearsal, for operators."""
    require_operator(request.user)
    context = {
        "trace": trace_of_rehearsal(conversation_id),
        "crumbs": [("Rehearsals", ""), (str(conversation_id)[-12:], "")],
    }
    return render(request, "developer/trace.html", context)


def _organization(request: HttpRequest, slug: str) -> Organization:
    require_signed_in(request.user)
    return organization_for(request.user, slug, kind=Organization.Kind.DEVELOPER)

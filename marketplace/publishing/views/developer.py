"""A developer's workspace: studios, agents, versions, listing."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.access import MANAGERS, organization_for, require_signed_in
from agentstore.identity.models import Organization, User
from agentstore.identity.services import create_organization
from agentstore.kit.errors import StoreError
from marketplace.publishing import listings
from marketplace.publishing.forms import ListingForm, StudioForm
from marketplace.publishing.limits import granted_limits
from marketplace.publishing.models import Agent, StatusChange, Submission
from marketplace.publishing.permissions import in_words

PER_PAGE = 20


def person(request: HttpRequest) -> User:
    """Who is asking. Raises Unauthenticated, which leads to the sign-in form."""
    require_signed_in(request.user)
    return cast(User, request.user)


def studio_for(request: HttpRequest, slug: str) -> Organization:
    """The studio that this person is a member of. Raises Unauthenticated, NotFound."""
    return organization_for(person(request), slug, kind=Organization.Kind.DEVELOPER)


def agent_for(request: HttpRequest, org: str, agent: str) -> tuple[Organization, Agent]:
    """A studio and its agent."""
    studio = studio_for(request, org)
    found = Agent.objects.select_related("live_version", "developer")
    return studio, get_object_or_404(found, developer=studio, slug=agent)


@require_http_methods(["GET", "POST"])
def studios(request: HttpRequest) -> HttpResponse:
    """Choose a studio, or make the first one."""
    user = person(request)
    form = StudioForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            studio = create_organization(
                kind=Organization.Kind.DEVELOPER,
                name=form.cleaned_data["name"],
                owner=user,
            )
        except StoreError as refused:
            form.add_error("name", refused.message)
        else:
            return redirect("publishing:workspace", studio.slug)
    mine = Organization.objects.filter(memberships__user=user, kind=Organization.Kind.DEVELOPER)
    status = 422 if form.errors else 200
    return render(request, "developer/studios.html", {"studios": mine, "form": form}, status=status)


@require_GET
def workspace(request: HttpRequest, org: str) -> HttpResponse:
    """A studio's agents, and the submissions that were last made."""
    studio = studio_for(request, org)
    agents = Agent.objects.filter(developer=studio).select_related("live_version")
    context = {
        "studio": studio,
        "page": Paginator(agents, PER_PAGE).get_page(request.GET.get("page")),
        "recent": _submissions(studio)[:5],
        "figures": {
            "live": agents.filter(status=Agent.Status.LISTED).count(),
            "open": studio.submissions.filter(status__in=Submission.OPEN).count(),
            "in_review": studio.submissions.filter(status=Submission.Status.IN_REVIEW).count(),
        },
    }
    return render(request, "developer/workspace.html", context)


@require_GET
def submissions(request: HttpRequest, org: str) -> HttpResponse:
    """All that the studio ever submitted."""
    studio = studio_for(request, org)
    page = Paginator(_submissions(studio), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "developer/submissions.html", {"studio": studio, "page": page})


@require_http_methods(["GET", "POST"])
def agent(request: HttpRequest, org: str, agent: str) -> HttpResponse:
    """An agent's versions, history and listing; posting changes the listing's words."""
    studio, found = agent_for(request, org, agent)
    form = ListingForm(
        request.POST if request.method == "POST" else None,
        initial={"tagline": found.tagline, "description": found.description},
    )
    if request.method == "POST" and form.is_valid():
        listings.edit_listing(agent=found, by=request.user, **form.cleaned_data)
        messages.success(request, "The listing was saved.")
        return redirect("publishing:agent", studio.slug, found.slug)
    versions = found.versions.select_related("submission")
    changes = StatusChange.objects.filter(agent=found) | StatusChange.objects.filter(version__agent=found)
    live = found.live_version
    manages = studio.memberships.filter(user=person(request), role__in=MANAGERS).exists()
    context = {
        "studio": studio,
        "agent": found,
        "form": form,
        "manages": manages,
        "page": Paginator(versions, PER_PAGE).get_page(request.GET.get("page")),
        "lowered": [found for found in granted_limits(live.manifest).values() if found.is_lowered]
        if live
        else [],
        "previous": listings.previous_version(found),
        "permissions": in_words(live.manifest["permissions"]) if live else [],
        "changes": changes.select_related("version", "by").order_by("-at", "-id")[:30],
    }
    return render(request, "developer/agent.html", context, status=422 if form.errors else 200)


@require_POST
def roll_back(request: HttpRequest, org: str, agent: str) -> HttpResponse:
    """Make the version before the live one live again."""
    studio, found = agent_for(request, org, agent)
    version = listings.roll_back(agent=found, by=request.user, reason=request.POST.get("reason", "").strip())
    messages.success(request, f"{version.semver} is live again.")
    return redirect("publishing:agent", studio.slug, found.slug)


def _submissions(studio: Organization) -> QuerySet[Submission]:
    return Submission.objects.filter(organization=studio).select_related("version__agent")

"""Operators: what is to be reviewed, one review, and all agents with the power to suspend them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.access import require_operator
from agentstore.kit.clock import now
from marketplace.publishing import listings, reviews
from marketplace.publishing.forms import DecisionForm
from marketplace.publishing.limits import Granted, granted_limits
from marketplace.publishing.models import Agent, ReviewItem, Submission
from marketplace.publishing.permissions import in_words
from marketplace.publishing.progress import progress_of
from marketplace.publishing.views.submission import bill_of

PER_PAGE = 25


def operators_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The page does not exist for anybody else."""

    @wraps(view)
    def guarded(request: HttpRequest, **path: Any) -> HttpResponse:
        require_operator(request.user)
        return view(request, **path)

    return guarded


@require_GET
@operators_only
def home(request: HttpRequest) -> HttpResponse:
    """Where operators land: what waits for them."""
    waiting = ReviewItem.objects.filter(exited_at=None)
    stuck = Submission.objects.filter(status__in=Submission.OPEN).exclude(trouble="")
    figures = {
        "waiting": waiting.count(),
        "overdue": waiting.filter(due_at__lt=now()).count(),
        "checking": Submission.objects.filter(status__in=Submission.OPEN).count(),
        "stuck": stuck.count(),
        "live": Agent.objects.filter(status=Agent.Status.LISTED).count(),
        "suspended": Agent.objects.filter(status=Agent.Status.SUSPENDED).count(),
    }
    context = {"figures": figures, "stuck": stuck.select_related("organization").order_by("due_at")[:10]}
    return render(request, "operator/home.html", context)


@require_GET
@operators_only
def review_queue(request: HttpRequest) -> HttpResponse:
    """Submissions by due date: those that wait, or those that were decided."""
    shown = request.GET.get("show", "waiting")
    items = ReviewItem.objects.select_related(
        "submission__version__agent", "submission__organization", "decided_by"
    )
    if shown == "decided":
        items = items.exclude(exited_at=None).order_by("-exited_at")
    else:
        shown = "waiting"
        items = items.filter(exited_at=None).order_by("due_at")
    page = Paginator(items, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "operator/review_queue.html", {"page": page, "shown": shown, "now": now()})


@require_http_methods(["GET", "POST"])
@operators_only
def review(request: HttpRequest, submission: uuid.UUID) -> HttpResponse:
    """Everything an operator needs to decide, and the decision."""
    found = get_object_or_404(
        Submission.objects.select_related(
            "organization",
            "submitted_by",
            "version__agent__live_version",
            "verdict",
            "review_item__decided_by",
        ),
        pk=submission,
        review_item__isnull=False,
    )
    form = DecisionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        note = form.cleaned_data["note"]
        if form.cleaned_data["decision"] == DecisionForm.APPROVE:
            version = reviews.approve(submission_id=found.pk, by=request.user, note=note)
            messages.success(request, f"{version} is live.")
        else:
            reviews.reject(submission_id=found.pk, by=request.user, note=note)
            messages.success(request, f"{found.version} was rejected; its developer gets your note.")
        return redirect("publishing:review_queue")
    return render(
        request, "operator/review.html", _facts(found) | {"form": form}, status=422 if form.errors else 200
    )


@require_GET
@operators_only
def bill(request: HttpRequest, submission: uuid.UUID) -> HttpResponse:
    """The bill of materials of the image that is judged."""
    return bill_of(get_object_or_404(Submission, pk=submission))


@require_GET
@operators_only
def agents(request: HttpRequest) -> HttpResponse:
    """All agents, by status."""
    found = Agent.objects.select_related("developer", "live_version")
    status = request.GET.get("status", "")
    if status in Agent.Status.values:
        found = found.filter(status=status)
    if query := request.GET.get("q", "").strip()[:100]:
        found = found.filter(name__icontains=query) | found.filter(slug__icontains=query)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "status": status, "query": query, "statuses": Agent.Status.choices}
    return render(request, "operator/agents.html", context)


@require_POST
@operators_only
def suspend(request: HttpRequest, agent: str) -> HttpResponse:
    """Take an agent out of the store at once."""
    found = get_object_or_404(Agent, slug=agent)
    listings.suspend_agent(agent=found, by=request.user, reason=request.POST.get("reason", ""))
    messages.success(request, f"{found.name} is suspended; nobody is served by it any more.")
    return redirect("publishing:operator_agents")


@require_POST
@operators_only
def reinstate(request: HttpRequest, agent: str) -> HttpResponse:
    """Put a suspended agent back."""
    found = get_object_or_404(Agent, slug=agent)
    listings.reinstate_agent(agent=found, by=request.user, reason=request.POST.get("reason", ""))
    messages.success(request, f"{found.name} is live again.")
    return redirect("publishing:operator_agents")


def _facts(submission: Submission) -> dict[str, Any]:
    version = submission.version
    manifest = version.manifest if version else {}
    evidence = {check.name: check.evidence for check in submission.checks.all()}
    granted = granted_limits(manifest).values() if manifest else ()
    return {
        "submission": submission,
        "progress": progress_of(submission),
        "permissions": in_words(manifest.get("permissions", [])),
        "manifest": [
            ("Slug", manifest.get("slug", "")),
            ("Tagline", manifest.get("tagline", "")),
            ("Categories", ", ".join(manifest.get("categories", [])) or "All"),
            ("Protocol", manifest.get("protocol", "")),
            ("Skills", ", ".join(manifest.get("skills", []))),
            *((found.limit.label, _limit_words(found)) for found in granted),
        ],
        "image": _image_facts(evidence.get("image_inspected", {}), submission),
        "rehearsal": evidence.get("answers_request", {}).get("conversation"),
    }


def _limit_words(found: Granted) -> str:
    return f"{found.words}. {found.note}" if found.note else found.words


def _image_facts(evidence: dict[str, Any], submission: Submission) -> list[tuple[str, str]]:
    facts = [
        ("Image", str(evidence.get("image_id", ""))),
        ("Size", f"{evidence.get('size', 0) / 2**20:,.0f} MiB"),
        ("Command", " ".join(map(str, evidence.get("command", [])))),
        ("Bundle", f"sha256:{submission.bundle_sha256}"),
    ]
    known = {"image_id", "size", "command", "log"}
    facts += [
        (key.replace("_", " ").capitalize(), str(value))
        for key, value in sorted(evidence.items())
        if key not in known and isinstance(value, str | int | float)
    ]
    return facts

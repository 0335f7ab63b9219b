"""The operator's queue of flagged fees: why each waits, and what is decided of it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from agentstore.identity.access import require_operator
from agentstore.kit.errors import Invalid
from billing.models import UsageEvent, UsageFlag
from billing.names import names_of
from billing.paging import newest
from billing.review import reject_event, release_event

_DECISIONS = {"release": (release_event, "released"), "reject": (reject_event, "rejected")}


@require_http_methods(["GET", "POST"])
def review(request: HttpRequest) -> HttpResponse:
    """/operator/billing/review/: fees that a rule has flagged; chosen ones are released or rejected with a reason."""
    require_operator(request.user)
    if request.method == "POST":
        return _decide(request)
    waiting = UsageEvent.objects.filter(
        status__in=[UsageEvent.Status.REVIEW, UsageEvent.Status.QUARANTINED], flags__isnull=False
    ).distinct()
    rule = request.GET.get("rule", "")
    if rule in UsageFlag.Rule.values:
        waiting = waiting.filter(flags__rule=rule)
    page = newest(waiting.prefetch_related("flags"), cursor=request.GET.get("cursor"))
    names = names_of(ref for event in page.items for ref in (event.merchant_ref, event.developer_ref))
    return render(
        request,
        "operator/fee_review.html",
        {
            "events": [
                (it, names[it.merchant_ref], names[it.developer_ref], it.flags.all()) for it in page.items
            ],
            "next_cursor": page.next_cursor,
            "rule": rule,
            "rules": UsageFlag.Rule.choices,
        },
    )


def _decide(request: HttpRequest) -> HttpResponse:
    decide, done = _DECISIONS.get(request.POST.get("decision", ""), (None, ""))
    if decide is None:
        raise Invalid("Release or reject the fees.")
    try:
        chosen = [uuid.UUID(event_id) for event_id in request.POST.getlist("event")]
    except ValueError as broken:
        raise Invalid("This is no fee.") from broken
    if not chosen:
        raise Invalid("No fee is chosen.", hint="Tick the ones that you decide on.")
    for event_id in sorted(chosen):
        decide(event_id=event_id, reason=request.POST.get("reason", ""), by=f"user:{request.user.pk}")
    messages.success(request, f"{len(chosen)} {'fee was' if len(chosen) == 1 else 'fees were'} {done}.")
    return redirect("billing:review")

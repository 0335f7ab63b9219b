"""A fee's own page: for its merchant, for its developer, for operators."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agentstore.identity.access import (
    MANAGERS,
    membership_for,
    organization_for,
    require_operator,
    require_signed_in,
)
from agentstore.identity.models import Organization
from agentstore.kit.errors import NotFound
from billing.charges.explained import RESERVE_RATE, explain_fee
from billing.charges.words import Reader, subjects_of
from billing.disputes import is_disputable
from billing.models import UsageEvent
from billing.names import names_of
from billing.reports import explain


@require_GET
def charge(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """/merchant/<slug>/billing/charges/<id>/, for the merchant's members."""
    require_signed_in(request.user)
    organization = organization_for(request.user, slug, kind="merchant")
    event = _event(event_id, merchant_ref=organization.ref)
    return _page(request, event, "merchant", organization)


@require_GET
def earning(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """/developer/<slug>/earnings/<id>/, for the studio's members."""
    require_signed_in(request.user)
    organization = organization_for(request.user, slug, kind="developer")
    event = _event(event_id, developer_ref=organization.ref)
    return _page(request, event, "developer", organization)


@require_GET
def fee(request: HttpRequest, event_id: uuid.UUID) -> HttpResponse:
    """/operator/billing/usage/<id>/"""
    require_operator(request.user)
    return _page(request, _event(event_id), "operator", None)


def _event(event_id: uuid.UUID, **owner: str) -> UsageEvent:
    found = (
        UsageEvent.objects.select_related("price_version", "journal", "reverses")
        .prefetch_related("price_version__rules", "changes", "flags")
        .filter(pk=event_id, **owner)
        .first()
    )
    if found is None:
        raise NotFound("There is no such charge.")
    return found


def _page(
    request: HttpRequest, event: UsageEvent, reader: Reader, organization: Organization | None
) -> HttpResponse:
    refs = [ref for ref in (event.merchant_ref, event.developer_ref, event.agent_ref) if ref]
    names = names_of(refs)
    manages = organization is not None and membership_for(request.user, organization.slug).role in MANAGERS
    return render(
        request,
        "billing/charge.html",
        {
            "reader": reader,
            "organization": organization,
            "event": event,
            "why": explain(event),
            "it": explain_fee(event, reader=reader),
            "subjects": subjects_of(event, reader=reader),
            "merchant": names[event.merchant_ref],
            "developer": names[event.developer_ref],
            "agent": names.get(event.agent_ref, ""),
            "may_dispute": reader == "merchant" and manages and is_disputable(event),
            "reserve_rate": RESERVE_RATE,
        },
    )

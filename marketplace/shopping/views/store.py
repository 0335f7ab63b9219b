"""The store's front and an agent's page."""

from __future__ import annotations

import secrets

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from marketplace.publishing.listings import get_live_agent
from marketplace.publishing.models import Version
from marketplace.ranking.statistics import agent_statistics
from marketplace.shopping import storefront
from marketplace.shopping.agent_words import category_words, permission_words, skill_words
from marketplace.shopping.shoppers import find_shopper

_VISIT = "visit"


@require_GET
def store(request: HttpRequest) -> HttpResponse:
    """All agents, best first; `q` and `category` narrow them."""
    query, category = request.GET.get("q", "").strip()[:100], request.GET.get("category", "").strip()[:60]
    front = storefront.show_store(
        viewer=_viewer(request), query=query, category=category, page_number=request.GET.get("page")
    )
    context = {
        "front": front,
        "page": front.page,
        "query": query,
        "category": category,
        "category_words": category_words(category),
        "categories": storefront.categories(),
    }
    return render(request, "shop/store.html", context)


@require_GET
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    """What there is to know of an agent before talking to it."""
    found = get_live_agent(slug)
    versions = found.versions.filter(status__in=[Version.Status.LIVE, Version.Status.RETIRED])
    context = {
        "agent": found,
        "statistics": agent_statistics(found.pk),
        "skills": skill_words(found),
        "permissions": permission_words(found),
        "categories": [(slug, category_words(slug)) for slug in found.categories],
        "category_words": category_words,
        "versions": versions[:10],
        "exposure": storefront.exposure_for(viewer=_viewer(request), agent=found),
    }
    return render(request, "shop/agent.html", context)


def _viewer(request: HttpRequest) -> storefront.Viewer:
    """The session's own mark, not its key:

    The key opens the session, and this is stored beside what was seen.
    """
    mark = request.session.get(_VISIT)
    if mark is None:
        mark = request.session[_VISIT] = secrets.token_hex(16)
    shopper = find_shopper(request)
    return storefront.viewer_of(
        user=request.user if request.user.is_authenticated else None,
        session_ref=mark,
        shopper_ref=str(shopper.pk) if shopper else "",
    )

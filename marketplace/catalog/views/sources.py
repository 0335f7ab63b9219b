"""Addresses that a merchant's feeds are fetched from."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from agentstore.kit.errors import Conflict, Refused
from marketplace.catalog.feeds.pulling import add_source, pause_source, pull_now, remove_source
from marketplace.catalog.forms import SourceForm
from marketplace.catalog.models import FeedSource
from marketplace.catalog.views.merchant import merchant_for, person

SHOWN_PULLS: Final = 5


@require_http_methods(["GET", "POST"])
def sources(request: HttpRequest, slug: str) -> HttpResponse:
    """The addresses with what came of them lately, and the form for another; a POST adds one."""
    merchant = merchant_for(request, slug)
    form = SourceForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            add_source(merchant=merchant, by=person(request), **form.cleaned_data)
        except (Conflict, Refused) as refused:
            form.add_error("url", f"{refused.message} {refused.hint}".strip())
        else:
            messages.success(request, "The feed is being fetched now, and from now on by its schedule.")
            return redirect("catalog:feed-sources", merchant.slug)
    context = {
        "merchant": merchant,
        "form": form,
        "sources": [
            (source, source.pulls.select_related("feed_import")[:SHOWN_PULLS])
            for source in FeedSource.objects.filter(merchant=merchant)
        ],
        "crumbs": [
            (merchant.name, reverse("catalog:workspace", args=[merchant.slug])),
            ("Imports", reverse("catalog:imports", args=[merchant.slug])),
            ("Fetched feeds", ""),
        ],
    }
    return render(request, "merchant/sources.html", context, status=422 if form.errors else 200)


@require_POST
def change(request: HttpRequest, slug: str, source_id: UUID) -> HttpResponse:
    """Fetch an address now, pause it or remove it, as `do` says."""
    merchant = merchant_for(request, slug)
    what = {"pull": pull_now, "pause": pause_source, "remove": remove_source}.get(request.POST.get("do", ""))
    if what is not None:
        what(source_id=source_id, merchant=merchant)
    return redirect("catalog:feed-sources", merchant.slug)

"""Feeds in a merchant's workspace: upload, progress, report."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.models import Organization
from agentstore.kit.tables import in_batches, stream_csv
from marketplace.catalog import shelf
from marketplace.catalog.feeds import import_dry_run, start_import, start_roll_back
from marketplace.catalog.feeds.describe import described
from marketplace.catalog.feeds.undo import may_roll_back
from marketplace.catalog.forms import FeedForm
from marketplace.catalog.hostile.lists import marks_of_import
from marketplace.catalog.models import FeedRefusal
from marketplace.catalog.views.merchant import PER_PAGE, merchant_for, person

SHOWN_CHANGES: Final = 10


@require_http_methods(["GET", "POST"])
def imports(request: HttpRequest, slug: str) -> HttpResponse:
    """The imports so far, and the form for another; a POST uploads a feed."""
    merchant = merchant_for(request, slug)
    form = FeedForm(request.POST, request.FILES) if request.method == "POST" else FeedForm()
    if request.method == "POST" and form.is_valid():
        started = start_import(
            merchant=merchant,
            source=form.cleaned_data["file"],
            format=form.cleaned_data["format"],
            dry_run=form.cleaned_data["dry_run"],
            by=person(request),
        )
        return redirect("catalog:import", merchant.slug, started.pk)
    context = {
        "merchant": merchant,
        "form": form,
        "page": Paginator(shelf.imports_of(merchant), PER_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "merchant/imports.html", context, status=422 if form.errors else 200)


@require_GET
def report(request: HttpRequest, slug: str, import_id: UUID) -> HttpResponse:
    """One import: how far it is, and then what came of every line."""
    merchant = merchant_for(request, slug)
    found = shelf.import_of(merchant, import_id)
    page = Paginator(shelf.refusals_of(found), PER_PAGE).get_page(request.GET.get("page"))
    marks = marks_of_import(found)
    context = {
        "merchant": merchant,
        "import": found,
        "page": page,
        "reasons": shelf.refusal_counts(found),
        "changes": described(shelf.changes_of(found)[:SHOWN_CHANGES]),
        "may_roll_back": may_roll_back(found),
        "marks": marks[:SHOWN_CHANGES],
        "marks_count": marks.count(),
        "crumbs": [*_crumbs(merchant), (found.filename, "")],
    }
    return render(request, "merchant/import.html", context)


def _crumbs(merchant: Organization) -> list[tuple[str, str]]:
    return [
        (merchant.name, reverse("catalog:workspace", args=[merchant.slug])),
        ("Imports", reverse("catalog:imports", args=[merchant.slug])),
    ]


@require_GET
def changes(request: HttpRequest, slug: str, import_id: UUID) -> HttpResponse:
    """Every item that an import changed, or a dry run would, from what to what."""
    merchant = merchant_for(request, slug)
    found = shelf.import_of(merchant, import_id)
    page = Paginator(shelf.changes_of(found), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "merchant": merchant,
        "import": found,
        "page": page,
        "changes": described(page.object_list),
        "crumbs": [
            *_crumbs(merchant),
            (found.filename, reverse("catalog:import", args=[merchant.slug, found.pk])),
            ("Changes", ""),
        ],
    }
    return render(request, "merchant/import_changes.html", context)


@require_POST
def go_ahead(request: HttpRequest, slug: str, import_id: UUID) -> HttpResponse:
    """Import what a dry run has read."""
    merchant = merchant_for(request, slug)
    started = import_dry_run(import_id=import_id, merchant=merchant, by=person(request))
    return redirect("catalog:import", merchant.slug, started.pk)


@require_POST
def roll_back(request: HttpRequest, slug: str, import_id: UUID) -> HttpResponse:
    """Take back what an import changed."""
    merchant = merchant_for(request, slug)
    start_roll_back(import_id=import_id, merchant=merchant, by=person(request))
    return redirect("catalog:import", merchant.slug, import_id)


@require_GET
def progress(request: HttpRequest, slug: str, import_id: UUID) -> HttpResponse:
    """The moving part of an import's page; when the import has ended, the page is loaded anew."""
    merchant = merchant_for(request, slug)
    found = shelf.import_of(merchant, import_id)
    response = render(request, "merchant/_progress.html", {"merchant": merchant, "import": found})
    if not found.is_open:
        response["HX-Refresh"] = "true"
    return response


@require_GET
def refusals(request: HttpRequest, slug: str, import_id: UUID) -> StreamingHttpResponse:
    """The refused lines as CSV."""
    found = shelf.import_of(merchant_for(request, slug), import_id)

    def rows(refused: list[FeedRefusal]) -> list[list[object]]:
        return [[row.line, row.item_id, row.code, row.message] for row in refused]

    return stream_csv(
        request, filename=f"refused-{found.pk}.csv", header=["line", "id", "code", "message"],
        read=in_batches(shelf.refusals_of(found), rows),
    )  # fmt: skip

"""The description assistant: a draft from a product's own data, which the merchant publishes, or not."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from agentstore.kit.errors import Conflict
from agentstore.kit.threads import in_thread, release_request_thread
from marketplace.catalog.drafting.drafts import (
    discard_draft,
    make_draft,
    product_of,
    publish_draft,
    take_back,
)
from marketplace.catalog.drafting.facts import facts_of
from marketplace.catalog.drafting.model import is_wanted
from marketplace.catalog.forms import DescriptionForm
from marketplace.catalog.models import DescriptionDraft
from marketplace.catalog.views.merchant import merchant_for, person

_SHOWN = 10


@require_GET
def description(request: HttpRequest, slug: str, product_id: int) -> HttpResponse:
    """A product's description, the open draft of another, and what became of earlier ones."""
    return _page(request, slug, product_id, None)


@require_POST
async def draft(request: HttpRequest, slug: str, product_id: int) -> HttpResponse:
    """Draft a description; while a language model is asked, the request keeps no thread and no connection."""
    merchant, by = await in_thread(lambda: (merchant_for(request, slug), person(request)))
    await release_request_thread()
    await make_draft(product_id=product_id, merchant=merchant, by=by)
    return redirect("catalog:description", slug, product_id)


@require_POST
def decide(request: HttpRequest, slug: str, product_id: int, draft_id: uuid.UUID) -> HttpResponse:
    """Publish a draft, discard it or take it back, as `do` says."""
    merchant, by, do = merchant_for(request, slug), person(request), request.POST.get("do", "")
    if do == "publish":
        form = DescriptionForm(request.POST)
        if not form.is_valid():
            return _page(request, slug, product_id, form)
        publish_draft(draft_id=draft_id, merchant=merchant, text=form.cleaned_data["text"], by=by)
        messages.success(request, "Published. Shoppers and agents read it from now on.")
    elif do == "discard":
        discard_draft(draft_id=draft_id, merchant=merchant, by=by)
    elif do == "undo":
        try:
            take_back(draft_id=draft_id, merchant=merchant, by=by)
        except Conflict as refused:
            messages.error(request, f"{refused.message} {refused.hint}".strip())
        else:
            messages.success(request, "The description is as it was before.")
    return redirect("catalog:description", slug, product_id)


def _page(request: HttpRequest, slug: str, product_id: int, form: DescriptionForm | None) -> HttpResponse:
    merchant = merchant_for(request, slug)
    product = product_of(merchant, product_id)
    drafts = product.drafts.prefetch_related("changes__by")
    open_draft = drafts.filter(status=DescriptionDraft.Status.DRAFT).first()
    if form is None and open_draft is not None:
        form = DescriptionForm(initial={"text": open_draft.drafted})
    facts = facts_of(product)
    context = {
        "merchant": merchant,
        "product": product,
        "facts": facts.listed(),
        "say_little": facts.say_little,
        "by_model": is_wanted(),
        "draft": open_draft,
        "form": form,
        "earlier": drafts.exclude(status=DescriptionDraft.Status.DRAFT)[:_SHOWN],
        "crumbs": [
            (merchant.name, reverse("catalog:workspace", args=[merchant.slug])),
            ("Catalogue", reverse("catalog:catalogue", args=[merchant.slug])),
            (product.title, ""),
        ],
    }
    status = 422 if form is not None and form.errors else 200
    return render(request, "merchant/description.html", context, status=status)

"""Marked texts: the operator's queue and decisions, and what a merchant sees of its own."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.access import require_operator, signed_in_user
from agentstore.kit.errors import StoreError
from marketplace.catalog.forms import TextDecisionForm
from marketplace.catalog.hostile import lists
from marketplace.catalog.hostile.decisions import ask_for_review, decide_text
from marketplace.catalog.hostile.readings import reveal
from marketplace.catalog.hostile.signals import Kind
from marketplace.catalog.models import MarkedText, Product
from marketplace.catalog.views.merchant import PER_PAGE, merchant_for, person


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """What the detector has reported, by state and kind."""
    require_operator(request.user)
    show = request.GET.get("show", "")
    show = show if show in lists.SHOWS else "open"
    kind = request.GET.get("kind", "")
    kind = kind if kind in list(Kind) else ""
    page = Paginator(lists.texts_to_show(show, kind=kind), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "show": show,
        "shows": [(key, label) for key, (label, _) in lists.SHOWS.items()],
        "kind": kind,
        "kinds": [("", "All kinds"), *((kind, kind.capitalize()) for kind in Kind)],
        "backlog": lists.backlog(),
        "failed": Paginator(lists.failed_examinations(), PER_PAGE).get_page(1),
    }
    return render(request, "operator/marked_texts.html", context)


@require_http_methods(["GET", "POST"])
def review(request: HttpRequest, text_id: int) -> HttpResponse:
    """One text with its evidence and history; a POST decides."""
    require_operator(request.user)
    found = lists.text_to_review(text_id)
    form = TextDecisionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            decide_text(
                text_id=found.pk,
                decision=form.cleaned_data["decision"],
                by=signed_in_user(request),
                reason=form.cleaned_data["reason"],
            )
        except StoreError as refused:
            form.add_error(None, f"{refused.message} {refused.hint}".strip())
        else:
            messages.success(request, "Decided. Agents see it from their next answer on.")
            return redirect("catalog:marked-texts")
    context = {
        "text": found,
        "shown": reveal(found.text),
        "meanings": lists.meanings(found.kinds),
        "witnesses": found.witnesses,
        "changes": found.changes.select_related("by"),
        "actions": _actions(found),
        "open": found.status != MarkedText.Status.GONE,
        "form": form,
    }
    return render(request, "operator/marked_text.html", context, status=422 if form.errors else 200)


def _actions(text: MarkedText) -> list[tuple[str, str, str]]:
    if text.product.status == Product.Status.WITHHELD:
        return []
    address = reverse("catalog:product", args=[text.product.public_id])
    return [("See it as shoppers do", address, "btn-outline")]


@require_GET
def of_merchant(request: HttpRequest, slug: str) -> HttpResponse:
    """A merchant's own marked texts."""
    merchant = merchant_for(request, slug)
    context = {
        "merchant": merchant,
        "page": Paginator(lists.marks_of(merchant), PER_PAGE).get_page(request.GET.get("page")),
        "crumbs": [
            (merchant.name, reverse("catalog:workspace", args=[merchant.slug])),
            ("Catalogue", reverse("catalog:catalogue", args=[merchant.slug])),
            ("Marked texts", ""),
        ],
    }
    return render(request, "merchant/marked_texts.html", context)


@require_POST
def ask(request: HttpRequest, slug: str, text_id: int) -> HttpResponse:
    """Have the store's operator look at a mark."""
    merchant = merchant_for(request, slug)
    reason = request.POST.get("reason", "")
    ask_for_review(text_id=text_id, merchant=merchant, by=person(request), reason=reason)
    messages.success(request, "Asked. An operator will look at the text; until then it stays marked.")
    back = request.POST.get("back", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("catalog:marked-texts-of-merchant", args=[merchant.slug])
    return redirect(back)

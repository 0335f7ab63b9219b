"""A merchant's workspace: shops, overview, catalogue and single offers."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agentstore.identity.access import organization_for, require_signed_in
from agentstore.identity.models import Organization, User
from agentstore.identity.services import create_organization
from agentstore.kit.errors import StoreError
from marketplace.catalog import shelf
from marketplace.catalog.forms import MerchantForm, OfferForm, PhotoForm
from marketplace.catalog.hostile.lists import marks_of
from marketplace.catalog.media import UnreadablePhoto, attach_photo
from marketplace.catalog.models import PhotoLink
from marketplace.catalog.offers import InvalidOffer, change_offer

PER_PAGE = 25


def person(request: HttpRequest) -> User:
    """Who is asking. Raises Unauthenticated, which leads to the sign-in form."""
    require_signed_in(request.user)
    return cast(User, request.user)


def merchant_for(request: HttpRequest, slug: str) -> Organization:
    """The merchant that this person is a member of. Raises Unauthenticated, NotFound."""
    return organization_for(person(request), slug, kind=Organization.Kind.MERCHANT)


@require_http_methods(["GET", "POST"])
def merchants(request: HttpRequest) -> HttpResponse:
    """Choose a shop, or open the first one."""
    user = person(request)
    form = MerchantForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            merchant = create_organization(
                kind=Organization.Kind.MERCHANT, name=form.cleaned_data["name"], owner=user
            )
        except StoreError as refused:
            form.add_error("name", refused.message)
        else:
            return redirect("catalog:workspace", merchant.slug)
    mine = Organization.objects.filter(memberships__user=user, kind=Organization.Kind.MERCHANT)
    status = 422 if form.errors else 200
    return render(request, "merchant/merchants.html", {"merchants": mine, "form": form}, status=status)


@require_GET
def workspace(request: HttpRequest, slug: str) -> HttpResponse:
    """What the merchant has in the store, and what was imported last."""
    merchant = merchant_for(request, slug)
    context = {
        "merchant": merchant,
        "figures": shelf.shelf_figures(merchant),
        "imports": shelf.imports_of(merchant)[:5],
        "missing": shelf.offers_of(merchant, show="out")[:5],
    }
    return render(request, "merchant/workspace.html", context)


@require_GET
def catalogue(request: HttpRequest, slug: str) -> HttpResponse:
    """The merchant's offers, by words, state and page."""
    merchant = merchant_for(request, slug)
    text, show = request.GET.get("q", "")[:200], request.GET.get("show", "")
    offers = shelf.offers_of(merchant, text=text, show=show)
    context = {
        "merchant": merchant,
        "page": Paginator(offers, PER_PAGE).get_page(request.GET.get("page")),
        "text": text,
        "show": show,
        "shows": [("", "All"), ("out", "Out of stock"), ("off", "Switched off")],
    }
    return render(request, "merchant/catalogue.html", context)


@require_http_methods(["GET", "POST"])
def offer(request: HttpRequest, slug: str, offer_id: int) -> HttpResponse:
    """One offer: its price, stock and history; a POST changes it."""
    merchant = merchant_for(request, slug)
    found = shelf.offer_of(merchant, offer_id)
    form = OfferForm(request.POST) if request.method == "POST" else OfferForm.of(found)
    if request.method == "POST" and form.is_valid():
        price = form.money("price", found.currency)
        if price is None:
            raise InvalidOffer("A price is needed.")
        try:
            change_offer(
                offer_id=found.pk,
                merchant=merchant,
                by=person(request),
                price=price if form.has_new_price else None,
                list_price=form.money("list_price", found.currency),
                stock=form.cleaned_data["stock"],
                shown_stock=form.shown_stock,
                active=form.cleaned_data["active"],
                reason=form.cleaned_data["reason"],
            )
        except InvalidOffer as refused:
            form.add_error(None, refused.message)
        else:
            messages.success(request, "Saved. The new price and stock are in force.")
            return redirect("catalog:offer", merchant.slug, found.pk)
    return _offer_page(request, merchant, offer_id, form, PhotoForm())


@require_POST
def add_photo(request: HttpRequest, slug: str, offer_id: int) -> HttpResponse:
    """Put a photograph to the product of one of the merchant's own offers."""
    merchant = merchant_for(request, slug)
    found = shelf.offer_of(merchant, offer_id)
    product = found.variant.product
    form = PhotoForm(request.POST, request.FILES)
    if product.owner_id != merchant.pk:
        form.add_error(None, "Another merchant describes this product.")
    elif form.is_valid():
        try:
            attach_photo(
                product=product,
                source=form.cleaned_data["photo"],
                alt=product.title,
                position=product.media.count(),
            )
        except UnreadablePhoto as refused:
            form.add_error("photo", f"{refused.message} {refused.hint}")
        else:
            messages.success(request, "The photograph is on the product's page.")
            return redirect("catalog:offer", merchant.slug, found.pk)
    return _offer_page(request, merchant, offer_id, OfferForm.of(found), form)


def _offer_page(
    request: HttpRequest, merchant: Organization, offer_id: int, form: OfferForm, photo_form: PhotoForm
) -> HttpResponse:
    found = shelf.offer_of(merchant, offer_id)
    context = {
        "merchant": merchant,
        "offer": found,
        "form": form,
        "photo_form": photo_form,
        "photos": found.variant.product.media.all(),
        "photo_links": found.variant.product.photo_links.exclude(status=PhotoLink.Status.DONE),
        "changes": found.changes.all()[:20],
        "marks": marks_of(merchant).filter(product=found.variant.product_id),
        "crumbs": [
            (merchant.name, reverse("catalog:workspace", args=[merchant.slug])),
            ("Catalogue", reverse("catalog:catalogue", args=[merchant.slug])),
            (found.variant.product.title, ""),
        ],
    }
    status = 422 if form.errors or photo_form.errors else 200
    return render(request, "merchant/offer.html", context, status=status)

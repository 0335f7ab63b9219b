"""The cart's page and what changes it."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from agentstore.kit.errors import Invalid
from agentstore.kit.ids import parse_public_id
from marketplace.shopping import carts
from marketplace.shopping.models import Checkout
from marketplace.shopping.shoppers import find_shopper, get_shopper


@require_GET
def cart(request: HttpRequest) -> HttpResponse:
    """What is in the cart, at the prices of now."""
    return _page(request)


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Put so many of an offer into the cart; `recommendation` names the card that it came from."""
    line = carts.add_to_cart(
        shopper=get_shopper(request),
        offer_id=_offer_id(request.POST.get("offer_id", "")),
        quantity=_number(request.POST.get("quantity", "1")),
        recommendation_id=_uuid_or_none(request.POST.get("recommendation", "")),
    )
    if request.htmx:  # type: ignore[attr-defined]  # set by django_htmx's middleware
        return render(request, "shop/cart_added.html", {"line": line})
    return redirect("shopping:cart")


@require_POST
def update(request: HttpRequest, line_id: int) -> HttpResponse:
    """Set how many."""
    carts.change_quantity(
        shopper=get_shopper(request), line_id=line_id, quantity=_number(request.POST.get("quantity", ""))
    )
    return redirect("shopping:cart")


@require_POST
def remove(request: HttpRequest, line_id: int) -> HttpResponse:
    """Take a line out; the page offers to put it back."""
    removed = carts.remove_line(shopper=get_shopper(request), line_id=line_id)
    return _page(request, removed=removed)


def _page(request: HttpRequest, **more: object) -> HttpResponse:
    shopper = find_shopper(request)
    waiting = (
        Checkout.objects.filter(shopper=shopper, status=Checkout.Status.OPEN).first() if shopper else None
    )
    return render(request, "shop/cart.html", {"cart": carts.read_cart(shopper), "waiting": waiting, **more})


def _offer_id(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else parse_public_id("off", text)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as broken:
        raise Invalid("A quantity is a whole number.") from broken


def _uuid_or_none(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError as broken:
        raise Invalid("That is no card.") from broken

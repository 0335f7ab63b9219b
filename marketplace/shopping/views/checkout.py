"""Checking out: address, payment, and waiting for the processor's word."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from agentstore.kit.errors import Conflict, Refused
from agentstore.kit.money import Money
from billing.processor.test_methods import TEST_METHODS, takes_test_cards
from marketplace.shopping import carts, checkouts, paying
from marketplace.shopping.forms import AddressForm
from marketplace.shopping.models import Checkout, Order
from marketplace.shopping.shoppers import get_shopper
from marketplace.shopping.views.people import signed_in


@require_http_methods(["GET", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    """Where to send the cart to; a good answer opens the checkout and leads to its payment."""
    user = signed_in(request)
    shopper = get_shopper(request)
    cart = carts.read_cart(shopper)
    form = AddressForm(request.POST or None, initial={"name": user.name, "country": shopper.country})
    refusal: Conflict | Refused | None = None
    if request.method == "POST" and form.is_valid():
        try:
            opened = checkouts.start_checkout(
                shopper=shopper,
                by=user,
                address=form.address(),
                agreed_total=Money(form.cleaned_data["agreed_micros"], cart.total.currency),
            )
            return redirect("shopping:checkout-pay", opened.pk)
        except (Conflict, Refused) as refused:
            refusal, cart = refused, carts.read_cart(shopper)
    elif not cart.ready:
        return redirect("shopping:cart")
    context = {"form": form, "cart": cart, "refusal": refusal}
    return render(request, "shop/checkout.html", context, status=refusal.status if refusal else 200)


@never_cache
@require_GET
def pay(request: HttpRequest, checkout_id: uuid.UUID) -> HttpResponse:
    """Choose a card; or, once one was taken, wait."""
    return _pay_page(request, checkouts.checkout_of(signed_in(request), checkout_id))


@require_POST
def try_card(request: HttpRequest, checkout_id: uuid.UUID) -> HttpResponse:
    """Try a card; the answer is the waiting page or the same page with the bank's no in plain words."""
    found = checkouts.checkout_of(signed_in(request), checkout_id)
    attempt = paying.try_card(checkout_id=found.pk, payment_method=request.POST.get("payment_method", ""))
    if attempt.taken:
        return redirect(f"{reverse('shopping:checkout-pay', args=[found.pk])}?waiting=1")
    found.refresh_from_db()
    return _pay_page(request, found, status=402)


@require_POST
def give_up(request: HttpRequest, checkout_id: uuid.UUID) -> HttpResponse:
    """Leave the checkout; the cart is as it was."""
    user = signed_in(request)
    found = checkouts.checkout_of(user, checkout_id)
    if not checkouts.give_up_checkout(checkout_id=found.pk, by=user, reason="given up by the shopper"):
        return redirect("shopping:checkout-pay", found.pk)
    messages.info(request, "Checkout left. Nothing was charged; your cart is as it was.")
    return redirect("shopping:cart")


@never_cache
@require_GET
def status(request: HttpRequest, checkout_id: uuid.UUID) -> HttpResponse:
    """What the waiting page asks every second: still waiting, or where to go."""
    found = checkouts.checkout_of(signed_in(request), checkout_id)
    if found.status == Checkout.Status.OPEN and not found.decline:
        return render(request, "shop/checkout_waiting.html", {"checkout": found})
    if found.status == Checkout.Status.PAID:
        return HttpResponseClientRedirect(_after(found))
    return HttpResponseClientRedirect(reverse("shopping:checkout-pay", args=[found.pk]))


def _pay_page(request: HttpRequest, found: Checkout, status: int = 200) -> HttpResponse:
    if found.status == Checkout.Status.PAID:
        return redirect(_after(found))
    context = {
        "checkout": found,
        "orders": found.orders.select_related("merchant").prefetch_related("lines"),
        "waiting": found.status == Checkout.Status.OPEN and "waiting" in request.GET and not found.decline,
        "methods": TEST_METHODS.items() if takes_test_cards() else None,
        "decline": paying.decline_words(found.decline),
    }
    return render(request, "shop/checkout_pay.html", context, status=status)


def _after(found: Checkout) -> str:
    """The order, where there is one; the list, where the cart was of several merchants."""
    orders = list(Order.objects.filter(checkout=found)[:2])
    return reverse("shopping:order", args=[orders[0].pk]) if len(orders) == 1 else reverse("shopping:orders")

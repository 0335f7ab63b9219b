"""Two pages for the buyer behind a platform: going on in the store, and looking at an order."""

from __future__ import annotations

from collections import Counter

from django.contrib import messages
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound, StoreError
from marketplace.shopping.carts import add_to_cart, total_of
from marketplace.shopping.models import Order, UcpCheckout
from marketplace.shopping.quotes import NONE, quotes_for, split_line
from marketplace.shopping.shoppers import find_shopper, get_shopper
from marketplace.shopping.ucp.lines import loaded, price_lines
from marketplace.shopping.ucp.shown import ORDER_SALT


@never_cache
@require_http_methods(["GET", "POST"])
def continue_checkout(request: HttpRequest, checkout_id: str) -> HttpResponse:
    """What a platform prepared; a press of the button puts it into the visitor's own cart.

    Only the goods go over: the platform learns nothing of what the visitor does with them. Prices are those of that
    cart: what was negotiated counts for its own shopper, whatever codes the platform sent.
    """
    open_ones = UcpCheckout.objects.filter(
        status__in=(UcpCheckout.Status.OPEN, UcpCheckout.Status.ESCALATED), expires_at__gt=now()
    )
    found = open_ones.filter(pk=checkout_id).first() if "\0" not in checkout_id else None
    if found is None:
        raise NotFound(
            "There is nothing to go on with here.", hint="It may have expired. Search the store instead."
        )
    priced = price_lines(loaded(found.lines))
    if request.method == "GET":
        shopper = find_shopper(request)
        facts = {fact.offer_id: fact for _, fact in priced.lines}
        quotes = quotes_for(shopper, facts) if shopper else {}
        # As the cart will have them: an offer once.
        wanted = Counter[int]()
        for line, _ in priced.lines:
            wanted[line.offer] += line.quantity
        rows = [
            (fact, split_line(wanted[offer], fact.price, quotes.get(offer, NONE).live))
            for offer, fact in facts.items()
        ]
        parts = [part for _, of_line in rows for part in of_line]
        lost = bool(found.codes) and not any(part.quote for part in parts)
        total = total_of(parts, priced.total.currency)
        return render(request, "shop/ucp_continue.html", {"rows": rows, "total": total, "lost": lost})
    shopper = get_shopper(request)
    for line, fact in priced.lines:
        try:
            add_to_cart(shopper=shopper, offer_id=line.offer, quantity=line.quantity)
        except StoreError as refused:
            messages.warning(request, f"{fact.title}: {refused.message}")
    return redirect("shopping:cart")


@never_cache
@require_GET
def order(request: HttpRequest, token: str) -> HttpResponse:
    """An order for whoever has its address: goods and status, no name and no address."""
    try:
        order_id = Signer(salt=ORDER_SALT).unsign(token)
    except BadSignature as forged:
        raise NotFound("There is no such order.") from forged
    found = Order.objects.select_related("merchant").prefetch_related("lines").filter(pk=order_id).first()
    if found is None:
        raise NotFound("There is no such order.")
    return render(request, "shop/ucp_order.html", {"order": found})

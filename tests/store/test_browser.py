"""The store, cart, checkout and orders in a real browser: accessible in both themes, at phone and desk width."""

import pytest
from django.urls import reverse

from marketplace.shopping import carts, refunds
from marketplace.shopping.models import Order
from tests.look.axe import session_cookies, walk
from tests.orders.world import check_out, list_agent, pay, sell

pytestmark = pytest.mark.django_db(transaction=True)


def test_pages_are_accessible(
    browser, live_server, client, sam, mia, shopper, card, processor, merchant, studio
):
    for name in ("Fit and Find", "Pantry Pilot", "Gift Whisperer"):
        list_agent(
            studio, name, tagline="Asks three questions, then builds a full outfit.", categories=["home"]
        )
    pay(check_out(shopper, card, sell(merchant, "Kettle", "20.00")))
    processor.deliver()
    order = Order.objects.get()
    refunds.request_refund(
        order_id=order.pk, by=sam, reason="Too loud.", quantities={order.lines.all()[0].pk: 1}
    )
    waiting = check_out(shopper, card)
    carts.add_to_cart(shopper=shopper, offer_id=sell(merchant, "Last one", "5", stock=1).pk)
    paths = [
        "/",
        "/?q=nothing+like+it",
        reverse("shopping:agent", args=["bargain-scout"]),
        reverse("shopping:cart"),
        reverse("shopping:checkout"),
        reverse("shopping:checkout-pay", args=[waiting.pk]),
        reverse("shopping:orders"),
        reverse("shopping:order", args=[order.pk]),
    ]
    client.force_login(sam)
    _walk(browser, live_server, client, paths)
    client.force_login(mia)
    theirs = [
        reverse("shopping:merchant-orders", args=[merchant.slug]),
        reverse("shopping:merchant-order", args=[merchant.slug, order.pk]),
    ]
    _walk(browser, live_server, client, theirs)


def _walk(browser, live_server, client, paths):
    walk(browser, live_server.url, paths, cookies=session_cookies(client, live_server.url))


def test_the_waiting_page_goes_on_by_itself(browser, live_server, client, sam, shopper, card, processor):
    checkout = check_out(shopper, card)
    client.force_login(sam)
    context = browser.new_context()
    context.add_cookies(session_cookies(client, live_server.url))
    page = context.new_page()
    page.goto(live_server.url + reverse("shopping:checkout-pay", args=[checkout.pk]))
    page.get_by_role("button", name="Pay $99.00").click()
    page.get_by_text("Waiting for the payment service").wait_for()
    processor.deliver()
    page.wait_for_url("**/orders/*/")
    page.get_by_text("Brought about by").wait_for()
    context.close()

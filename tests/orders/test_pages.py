"""Cart, checkout and orders through their pages; Charlie is refused on each."""

import re

import pytest
from django.urls import reverse

from marketplace.catalog.models import Offer
from marketplace.shopping import refunds
from marketplace.shopping.models import CartLine, Checkout, Order, Shopper
from tests.orders.world import FORM, check_out, pay, sell, usd


@pytest.fixture
def page(client, sam, shopper):
    client.force_login(sam)
    return client


@pytest.fixture
def order(shopper, card, processor) -> Order:
    pay(check_out(shopper, card))
    processor.deliver()
    return Order.objects.get()


def text(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_from_card_to_order(page, card, processor):
    answer = page.post(
        reverse("shopping:cart-add"), {"offer_id": card.offer.public_id, "recommendation": str(card.pk)}
    )
    assert answer.url == reverse("shopping:cart")
    cart = page.get(answer.url)
    assert "$99.00" in text(cart)
    assert "Check out" in text(cart)

    start = reverse("shopping:checkout")
    assert 'name="agreed_micros" value="99000000"' in page.get(start).content.decode()
    answer = page.post(start, {**FORM, "agreed_micros": 99_000_000})
    checkout = Checkout.objects.get()
    assert answer.url == reverse("shopping:checkout-pay", args=[checkout.pk])
    payment = page.get(answer.url)
    assert "test mode" in text(payment)
    assert "Pay $99.00" in text(payment)

    try_card = reverse("shopping:checkout-card", args=[checkout.pk])
    refused = page.post(try_card, {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"})
    assert refused.status_code == 402
    assert "not enough funds" in text(refused)
    answer = page.post(try_card, {"payment_method": "pm_card_visa"})
    waiting = page.get(answer.url)
    assert "Waiting for the payment service" in text(waiting)
    status = reverse("shopping:checkout-status", args=[checkout.pk])
    assert "Waiting" in text(page.get(status))

    processor.deliver()
    order = Order.objects.get()
    where = reverse("shopping:order", args=[order.pk])
    assert page.get(status).headers["HX-Redirect"] == where
    assert page.get(answer.url).url == where
    shown = text(page.get(where))
    assert "Brought about by Bargain Scout (bought from the agent's card)" in shown.replace("&#x27;", "'")
    assert "The store earned $4.455 and the developer of Bargain Scout $10.395 on this sale." in shown
    assert order.number in text(page.get(reverse("shopping:orders")))
    assert "Your cart is empty" in text(page.get(reverse("shopping:cart")))


def test_a_cart_without_an_account_comes_along_to_sign_in(client, headphones, sam):
    client.post(reverse("shopping:cart-add"), {"offer_id": headphones.pk, "quantity": 2})
    assert "You sign in first" in text(client.get(reverse("shopping:cart")))
    answer = client.get(reverse("shopping:checkout"))
    assert answer.status_code == 302
    assert reverse("account_login") in answer.url
    client.force_login(sam)
    assert "2 ×" in text(client.get(reverse("shopping:checkout")))


def test_remove_and_undo(page, shopper, card):
    page.post(
        reverse("shopping:cart-add"), {"offer_id": card.offer_id, "quantity": 2, "recommendation": card.pk}
    )
    line = CartLine.objects.get()
    page.post(reverse("shopping:cart-update", args=[line.pk]), {"quantity": 3})
    answer = page.post(reverse("shopping:cart-remove", args=[line.pk]))
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.content.decode()))
    assert "Undo" in text(answer)
    page.post(reverse("shopping:cart-add"), fields)
    line = CartLine.objects.get()
    assert (line.quantity, line.recommendation_id) == (3, card.pk)


def test_adding_by_htmx_tells_the_count(page, headphones):
    answer = page.post(
        reverse("shopping:cart-add"), {"offer_id": headphones.pk}, headers={"HX-Request": "true"}
    )
    assert 'id="cart-count"' in answer.content.decode()
    assert "Added to your cart" in text(answer)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"offer_id": "x"},
        {"offer_id": "off_1", "quantity": "many"},
        {"offer_id": "1", "recommendation": "x"},
    ],
)
def test_malformed_additions_are_refused_kindly(page, fields):
    assert page.post(reverse("shopping:cart-add"), fields).status_code in (400, 422)


def test_a_price_that_changed_between_page_and_click_is_shown_first(page, shopper, headphones):
    page.post(reverse("shopping:cart-add"), {"offer_id": headphones.pk})
    Offer.objects.update(price_micros=usd("120").micros)
    answer = page.post(reverse("shopping:checkout"), {**FORM, "agreed_micros": 99_000_000})
    assert answer.status_code == 409
    assert "Your cart has changed" in text(answer)
    assert 'name="agreed_micros" value="120000000"' in answer.content.decode()
    assert not Checkout.objects.exists()


def test_an_address_is_needed(page, headphones):
    page.post(reverse("shopping:cart-add"), {"offer_id": headphones.pk})
    answer = page.post(reverse("shopping:checkout"), {**FORM, "country": "USA", "agreed_micros": 99_000_000})
    assert "two letters" in text(answer)
    assert not Checkout.objects.exists()


def test_leaving_the_checkout_keeps_the_cart(page, shopper, headphones, processor):
    checkout = check_out(shopper, headphones)
    answer = page.post(reverse("shopping:checkout-give-up", args=[checkout.pk]), follow=True)
    assert "Nothing was charged" in text(answer)
    assert Offer.objects.get().stock == 5
    assert "This checkout is over" in text(page.get(reverse("shopping:checkout-pay", args=[checkout.pk])))
    assert page.post(
        reverse("shopping:checkout-card", args=[checkout.pk]), {"payment_method": "pm_card_visa"}
    ).status_code == 409  # fmt: skip


def test_refund_from_page_to_page(page, order, client, mia, merchant, processor):
    (line,) = order.lines.all()
    own = reverse("shopping:order", args=[order.pk])
    page.post(own, {f"line_{line.pk}": 1, "reason": "Too loud."})
    assert "Asked for" in text(page.get(own))

    client.force_login(mia)
    theirs = reverse("shopping:merchant-order", args=[merchant.slug, order.pk])
    assert "Too loud." in text(client.get(reverse("shopping:merchant-orders", args=[merchant.slug])))
    shown = text(client.get(theirs))
    assert "Springfield" in shown
    assert "sam@example.com" not in shown
    refund = order.refunds.get()
    decide = reverse("shopping:merchant-refund", args=[merchant.slug, order.pk, refund.pk])
    assert client.post(decide, {"decision": "decline", "reason": "a\x00"}).status_code == 400
    client.post(decide, {"decision": "grant"})
    refunds.send_refund(refund_id=refund.pk)
    processor.deliver()
    assert "Sent back" in text(client.get(theirs))


def test_lists_say_what_to_do_when_they_are_empty(page, client, mia, merchant):
    assert "No orders yet" in text(page.get(reverse("shopping:orders")))
    client.force_login(mia)
    assert "No orders yet" in text(client.get(reverse("shopping:merchant-orders", args=[merchant.slug])))


def test_charlie_is_refused_everywhere(client, order, charlie, merchant, mia, sam):
    checkout, refund = order.checkout, refunds.request_refund(order_id=order.pk, by=sam, reason="x")
    shoppers = [
        ("get", reverse("shopping:order", args=[order.pk])),
        ("post", reverse("shopping:order", args=[order.pk])),
        ("get", reverse("shopping:checkout-pay", args=[checkout.pk])),
        ("get", reverse("shopping:checkout-status", args=[checkout.pk])),
        ("post", reverse("shopping:checkout-card", args=[checkout.pk])),
        ("post", reverse("shopping:checkout-give-up", args=[checkout.pk])),
    ]
    merchants = [
        ("get", reverse("shopping:merchant-orders", args=[merchant.slug])),
        ("get", reverse("shopping:merchant-order", args=[merchant.slug, order.pk])),
        ("post", reverse("shopping:merchant-order", args=[merchant.slug, order.pk])),
        ("post", reverse("shopping:merchant-refund", args=[merchant.slug, order.pk, refund.pk])),
    ]
    for method, url in [*shoppers, *merchants]:
        answer = getattr(client, method)(url)
        assert (answer.status_code, reverse("account_login") in answer.url) == (302, True), url
    client.force_login(charlie)
    for method, url in [*shoppers, *merchants]:
        assert getattr(client, method)(url).status_code == 404, url
    # The merchant sees its orders, and not the shopper's pages; another merchant sees neither.
    client.force_login(mia)
    for method, url in shoppers:
        assert getattr(client, method)(url).status_code == 404, url


def test_another_merchants_order_is_not_there(client, order, charlie):
    from agentstore.identity.services import create_organization

    other = create_organization(kind="merchant", name="Other", owner=charlie)
    client.force_login(charlie)
    assert client.get(reverse("shopping:merchant-order", args=[other.slug, order.pk])).status_code == 404
    refund = refunds.request_refund(order_id=order.pk, by=order.shopper.user, reason="x")
    url = reverse("shopping:merchant-refund", args=[other.slug, order.pk, refund.pk])
    assert client.post(url, {"decision": "grant"}).status_code == 404
    refund.refresh_from_db()
    assert refund.status == "requested"


def test_charlies_cart_is_his_own(client, charlie, shopper, merchant):
    kettle = sell(merchant, "Kettle")
    from marketplace.shopping import carts

    line = carts.add_to_cart(shopper=shopper, offer_id=kettle.pk)
    client.force_login(charlie)
    assert "Kettle" not in text(client.get(reverse("shopping:cart")))
    for name in ("cart-update", "cart-remove"):
        assert client.post(reverse(f"shopping:{name}", args=[line.pk]), {"quantity": 2}).status_code == 404
    assert Shopper.objects.count() == 2

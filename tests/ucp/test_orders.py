"""What became of a purchase, as its platform sees it; and who sees nothing of it."""

from __future__ import annotations

import uuid

from django.test import Client
from ucp_sdk.models.schemas.shopping.order import Order as UcpOrderModel

from agentstore.kit.clock import now
from marketplace.shopping import refunds
from marketplace.shopping.models import Checkout, Order, Shopper, UcpCart
from marketplace.shopping.ucp.confirming import send_confirmation
from tests.ucp.world import SOMEBODY_ELSE, Platform, card, variant


def test_another_platform_finds_nothing(platform, goods, processor):
    line = {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}]}
    cart = platform.rest("POST", "carts", line, status=201)
    checkout = platform.checkout(variant(goods.kettle))
    bought = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    charlie = Platform(SOMEBODY_ELSE)
    for method, path, body in (
        ("GET", f"carts/{cart['id']}", None),
        ("PUT", f"carts/{cart['id']}", line),
        ("POST", f"carts/{cart['id']}/cancel", {}),
        ("POST", "checkout-sessions", {"cart_id": cart["id"]}),
        ("GET", f"checkout-sessions/{checkout['id']}", None),
        ("PUT", f"checkout-sessions/{checkout['id']}", line),
        ("POST", f"checkout-sessions/{checkout['id']}/complete", card()),
        ("POST", f"checkout-sessions/{checkout['id']}/cancel", {}),
        ("GET", f"orders/{bought['order']['id']}", None),
        ("GET", f"orders/{uuid.uuid4()}", None),
        ("GET", "orders/nonsense", None),
    ):
        answer = charlie.rest(method, path, body)
        assert answer["ucp"]["status"] == "error", (method, path)
        assert answer["messages"][0]["code"] == "not_found"
    assert UcpCart.objects.get().canceled_at is None


def test_a_persons_own_order_is_no_platforms(platform, goods, sam):
    shopping = Order.objects.create(
        number="AS-1", merchant=goods.tea, currency="USD", total_micros=1, status=Order.Status.PAID,
        **bought_by(sam),
    )  # fmt: skip
    assert platform.rest("GET", f"orders/{shopping.pk}")["messages"][0]["code"] == "not_found"


def bought_by(user):
    shopper = Shopper.objects.create(user=user)
    checkout = Checkout.objects.create(
        shopper=shopper, currency="USD", total_micros=1, status=Checkout.Status.PAID, expires_at=now()
    )
    return {"shopper": shopper, "checkout": checkout}


def test_who_does_not_say_who_they_are_can_only_read_the_catalogue(db, client, goods):
    line = {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}]}
    for agent in ({}, {"UCP-Agent": 'profile="http://agent.example/"'}, {"UCP-Agent": "profile="}):
        answer = client.post("/ucp/carts", line, content_type="application/json", headers=agent)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_profile_url")
    found = client.post(
        "/ucp/catalog/lookup", {"ids": [variant(goods.kettle)]}, content_type="application/json"
    )
    assert found.json()["products"]


def test_an_order_page_shows_goods_but_no_address(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle))
    done = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    page = "/ucp/orders/" + done["order"]["permalink_url"].split("/ucp/orders/")[1]
    shown = Client().get(page).content.decode()
    assert "Kettle" in shown
    assert "Main St" not in shown
    assert "Doe" not in shown
    assert Client().get(page.replace("/view/", "x/view/")).status_code == 404
    order = platform.rest("GET", f"orders/{done['order']['id']}")
    assert order["fulfillment"]["expectations"][0]["destination"] == {"address_country": "US"}


def test_a_refund_is_an_adjustment_with_negative_amounts(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle), quantity=2)
    done = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    processor.deliver()
    order = Order.objects.get()
    refund = refunds.refund_whole(order=order, reason="It leaks.")
    refunds.send_refund(refund_id=refund.pk)
    processor.deliver()
    shown = platform.rest("GET", f"orders/{done['order']['id']}")
    UcpOrderModel.model_validate(shown)
    [line] = shown["line_items"]
    assert (line["status"], line["quantity"]) == ("removed", {"original": 2, "total": 0, "fulfilled": 0})
    [adjustment] = shown["adjustments"]
    assert adjustment["status"] == "completed"
    assert adjustment["line_items"][0]["quantity"] == -2
    assert adjustment["totals"][0]["amount"] == -7100


def test_the_buyer_is_mailed_once(platform, goods, processor, mailoutbox):
    buyer = {"first_name": "Sam", "email": "sam@example.com"}
    checkout = platform.checkout(variant(goods.headphones), variant(goods.kettle), buyer=buyer)
    assert not send_confirmation(checkout_id=checkout["id"])
    platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    assert send_confirmation(checkout_id=checkout["id"])
    assert not send_confirmation(checkout_id=checkout["id"])
    [mail] = mailoutbox
    assert mail.to == ["sam@example.com"]
    assert "1 × Kettle" in mail.body
    assert mail.body.count("/view/") == 2
    assert "Main St" not in mail.body

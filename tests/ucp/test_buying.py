"""Programs buy: carts, checkouts and orders over REST and MCP, one platform's never another's."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from ucp_sdk.models.schemas.shopping.cart import Cart as UcpCartModel
from ucp_sdk.models.schemas.shopping.fulfillment import Checkout as UcpCheckoutModel
from ucp_sdk.models.schemas.shopping.order import Order as UcpOrderModel

from agentstore.kit.clock import now
from marketplace.catalog.hostile.examining import examine_products
from marketplace.catalog.models import Offer, Product
from marketplace.shopping import paying
from marketplace.shopping.checkouts import CartChanged, give_up_checkout
from marketplace.shopping.models import Checkout, Order, UcpCheckout
from marketplace.shopping.ucp import completing, settling
from marketplace.shopping.ucp.sessions import SessionClosed
from tests.catalog.lamps import ORDER
from tests.orders.world import books_balance
from tests.ucp.world import ADDRESS, SHIPPING, SOMEBODY_ELSE, Platform, card, variant


def test_goods_of_two_merchants_are_one_checkout_and_an_order_for_each(platform, goods, processor):
    checkout = platform.checkout(variant(goods.headphones), variant(goods.kettle), quantity=2)
    UcpCheckoutModel.model_validate(checkout)
    assert checkout["status"] == "ready_for_complete"
    subtotal, shipping, total = checkout["totals"]
    assert [(part["display_text"], part["amount"]) for part in subtotal["lines"]] == [
        ("Audio Haus", 19800), ("Tea House", 7100),
    ]  # fmt: skip
    assert (subtotal["amount"], shipping["amount"], total["amount"]) == (26900, 0, 26900)

    done = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    UcpCheckoutModel.model_validate(done)
    assert done["status"] == "completed"
    assert done["totals"][-1]["amount"] == 26900
    assert done["order"] == done["orders"][0]
    orders = {one["merchant"]: platform.rest("GET", f"orders/{one['id']}") for one in done["orders"]}
    assert set(orders) == {"Audio Haus", "Tea House"}
    tea = UcpOrderModel.model_validate(orders["Tea House"])
    assert tea.line_items[0].quantity.total == 2
    assert orders["Tea House"]["totals"][-1]["amount"] == 7100
    assert orders["Tea House"]["checkout_id"] == checkout["id"]

    purchase = Checkout.objects.get()
    assert purchase.status == Checkout.Status.PAID
    assert Offer.objects.get(pk=goods.kettle.pk).stock == 498
    assert books_balance()
    # The processor's own word comes later and finds all of it done.
    processor.deliver()
    assert Order.objects.filter(status=Order.Status.PAID).count() == 2


def test_a_bought_checkout_changes_no_more(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle))
    path = f"checkout-sessions/{checkout['id']}"
    platform.rest("POST", f"{path}/complete", card())
    for method, below, body in (
        ("PUT", "", {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 9}]}),
        ("POST", "/cancel", {}),
        ("POST", "/complete", card()),
    ):
        refused = platform.rest(method, path + below, body, status=409)
        assert refused["code"] == "checkout_closed"
    assert platform.rest("GET", path)["status"] == "completed"
    assert Order.objects.count() == 1


def test_a_declined_card_can_be_followed_by_another(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle))
    path = f"checkout-sessions/{checkout['id']}/complete"
    declined = platform.rest("POST", path, card("pm_card_chargeDeclinedInsufficientFunds"))
    assert declined["status"] == "ready_for_complete"
    assert declined["messages"][0]["code"] == "payment_declined"
    assert "enough funds" in declined["messages"][0]["content"]
    assert Offer.objects.get(pk=goods.kettle.pk).stock == 500
    done = platform.rest("POST", path, card())
    assert done["status"] == "completed"
    assert "messages" not in done
    assert Offer.objects.get(pk=goods.kettle.pk).stock == 499


def test_an_attempt_that_lost_its_claim_buys_nothing(platform, goods, processor):
    """As when its process stood still for minutes: the checkout was opened again, and another attempt is paying."""
    checkout = UcpCheckout.objects.get(pk=platform.checkout(variant(goods.kettle))["id"])
    slow = completing.claim_payment(checkout, billing={}, buyer={})
    assert slow.status == "paying"
    UcpCheckout.objects.filter(pk=checkout.pk).update(paying_since=now() - timedelta(minutes=3))
    assert settling.refresh(UcpCheckout.objects.get(pk=checkout.pk)).status == "open"
    with pytest.raises(SessionClosed):
        completing.open_purchase(slow)
    quick = completing.claim_payment(checkout, billing={}, buyer={})
    with pytest.raises(SessionClosed):
        completing.open_purchase(slow)
    completing.open_purchase(quick)
    with pytest.raises(SessionClosed):
        completing.open_purchase(slow)
    assert Offer.objects.get(pk=goods.kettle.pk).stock == 499


@pytest.mark.parametrize(
    "method", ["pm_card_chargeDeclinedInsufficientFunds", "pm_card_authenticationRequired"]
)
def test_a_slow_refusal_undoes_no_newer_attempt(platform, goods, processor, monkeypatch, method):
    path = f"checkout-sessions/{platform.checkout(variant(goods.kettle))['id']}"
    try_card = paying.try_card

    def slowly(*, checkout_id, payment_method):
        """The processor's answer comes when the claim was given up and another attempt has bought."""
        monkeypatch.setattr(paying, "try_card", try_card)
        attempt = try_card(checkout_id=checkout_id, payment_method=payment_method)
        give_up_checkout(checkout_id=checkout_id, by=None, reason="its time is up")
        assert platform.rest("GET", path)["status"] == "ready_for_complete"
        assert platform.rest("POST", f"{path}/complete", card())["status"] == "completed"
        return attempt

    monkeypatch.setattr(paying, "try_card", slowly)
    assert platform.rest("POST", f"{path}/complete", card(method))["status"] == "completed"
    assert platform.rest("GET", path)["status"] == "completed"
    assert Checkout.objects.get(ucp__isnull=False).status == Checkout.Status.PAID
    assert Offer.objects.get(pk=goods.kettle.pk).stock == 499


def test_a_flood_of_calls_is_refused(platform, goods, monkeypatch):
    monkeypatch.setattr("marketplace.shopping.ucp.rest.CALLS_PER_MINUTE", 2)
    with time_machine.travel("2026-03-01T12:00:10Z", tick=False):
        for _ in range(2):
            platform.rest("POST", "catalog/search", {"query": "kettle"})
        refused = platform.rest("POST", "catalog/search", {"query": "kettle"}, status=429)
        assert refused["code"] == "too_many_calls"
    with time_machine.travel("2026-03-01T12:01:00Z", tick=False):
        platform.rest("POST", "catalog/search", {"query": "kettle"})


def test_a_question_of_the_bank_is_handed_to_the_buyer(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle), quantity=2)
    answer = platform.rest(
        "POST", f"checkout-sessions/{checkout['id']}/complete", card("pm_card_authenticationRequired")
    )
    assert answer["status"] == "requires_escalation"
    assert answer["messages"][0]["severity"] == "requires_buyer_input"
    assert Offer.objects.get(pk=goods.kettle.pk).stock == 500

    buyer = Client()
    page = "/ucp/continue/" + answer["continue_url"].split("/ucp/continue/")[1]
    assert b"Kettle" in buyer.get(page).content
    assert buyer.post(page).status_code == 302
    assert b"Kettle" in buyer.get("/cart/").content
    # The platform sees nothing of it.
    assert platform.rest("GET", f"checkout-sessions/{checkout['id']}")["status"] == "requires_escalation"


def test_without_test_mode_the_buyer_pays_on_the_stores_pages(platform, goods, settings):
    settings.STRIPE_API_KEY = "sk_live_x"
    checkout = platform.checkout(variant(goods.kettle))
    assert checkout["ucp"]["payment_handlers"] == {}
    answer = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    assert answer["status"] == "requires_escalation"
    assert not Checkout.objects.exists()


@pytest.mark.parametrize(
    ("instrument", "code"),
    [
        ({}, "payment_instrument_invalid"),
        ({"payment": {"instruments": [{"handler_id": "other", "credential": {"token": "pm_card_visa"}}]}},
         "payment_instrument_invalid"),
        (card("tok_unheard_of"), "payment_instrument_invalid"),
    ],
)  # fmt: skip
def test_only_the_offered_handler_is_taken(platform, goods, instrument, code):
    checkout = platform.checkout(variant(goods.kettle))
    path = f"checkout-sessions/{checkout['id']}"
    assert platform.rest("POST", f"{path}/complete", instrument, status=422)["code"] == code
    assert platform.rest("GET", path)["status"] == "ready_for_complete"


def test_an_address_is_asked_for_and_may_come_with_the_card(platform, goods, processor):
    line = {"item": {"id": variant(goods.kettle)}, "quantity": 1}
    to = {"methods": [{"type": "shipping", "destinations": [{"id": "d", "address_country": "us"}],
                       "selected_destination_id": "d"}]}  # fmt: skip
    checkout = platform.rest(
        "POST", "checkout-sessions", {"line_items": [line], "fulfillment": to}, status=201
    )
    assert checkout["status"] == "incomplete"
    paths = {told["path"].rsplit(".", 1)[1] for told in checkout["messages"]}
    assert paths == {"street_address", "address_locality", "postal_code", "last_name"}
    path = f"checkout-sessions/{checkout['id']}/complete"
    assert platform.rest("POST", path, card())["status"] == "incomplete"
    paid = card()
    paid["payment"]["instruments"][0]["billing_address"] = {**ADDRESS, "id": "billing"}
    assert platform.rest("POST", path, paid)["status"] == "completed"
    assert Order.objects.get().ship_to["street"] == "1 Main St"


def test_an_address_abroad_takes_nothing_from_the_card(platform, goods):
    line = {"item": {"id": variant(goods.kettle)}, "quantity": 1}
    to = {"methods": [{"type": "shipping", "destinations": [{"id": "d", "address_country": "FR"}]}]}
    body = {"line_items": [line], "fulfillment": to, "buyer": {"last_name": "Doe"}}
    checkout = platform.rest("POST", "checkout-sessions", body, status=201)
    paid = card()
    paid["payment"]["instruments"][0]["billing_address"] = ADDRESS
    answer = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", paid)
    assert answer["status"] == "incomplete"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"ships_to": ["DE"]}, "not_shippable"), ({"price_micros": 400_000}, "payment_too_small")],
)
def test_what_the_store_refuses_is_told(platform, goods, processor, change, code):
    Offer.objects.filter(pk=goods.kettle.pk).update(**change)
    checkout = platform.checkout(variant(goods.kettle))
    answer = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    assert answer["messages"][0]["code"] == code
    assert answer["status"] in ("incomplete", "ready_for_complete")
    assert Offer.objects.get(pk=goods.kettle.pk).stock == 500


def test_age_limits_hold_for_guests(platform, goods, processor):
    checkout = platform.checkout(variant(goods.wine))
    answer = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    assert answer["messages"][0]["code"] == "age_restricted"
    assert not Order.objects.exists()


def test_what_is_sold_out_is_left_out_and_told(platform, goods):
    checkout = platform.checkout(variant(goods.kettle), variant(goods.sold_out))
    assert [line["item"]["id"] for line in checkout["line_items"]] == [variant(goods.kettle)]
    assert checkout["messages"][0]["code"] == "out_of_stock"
    body = {"line_items": [{"item": {"id": variant(goods.sold_out)}, "quantity": 1}]}
    for path in ("checkout-sessions", "carts"):
        none = platform.rest("POST", path, body)
        assert none["ucp"]["status"] == "error"
        assert none["messages"][0]["code"] == "out_of_stock"
        assert "id" not in none
    gone = platform.rest("POST", "carts", {"line_items": [{"item": {"id": "var_999999999"}, "quantity": 1}]})
    assert gone["messages"][0]["code"] == "item_unavailable"


def test_a_price_that_changes_is_the_price_that_is_paid(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle))
    Offer.objects.filter(pk=goods.kettle.pk).update(price_micros=40_000_000)
    assert platform.rest("GET", f"checkout-sessions/{checkout['id']}")["totals"][-1]["amount"] == 4000
    done = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    assert done["totals"][-1]["amount"] == 4000


def test_a_price_that_rose_unseen_is_told_before_it_is_paid(platform, goods, processor):
    path = f"checkout-sessions/{platform.checkout(variant(goods.kettle))['id']}"
    Offer.objects.filter(pk=goods.kettle.pk).update(price_micros=40_000_000)
    risen = platform.rest("POST", f"{path}/complete", card())
    UcpCheckoutModel.model_validate(risen)
    assert (risen["status"], risen["totals"][-1]["amount"]) == ("ready_for_complete", 4000)
    assert [told["code"] for told in risen["messages"]] == ["total_changed"]
    assert "$40.00" in risen["messages"][0]["content"]
    assert not Checkout.objects.exists()
    # It rises once more between the claim and the purchase.
    claimed = completing.claim_payment(UcpCheckout.objects.get(), billing={}, buyer={})
    assert claimed.status == "paying"
    Offer.objects.filter(pk=goods.kettle.pk).update(price_micros=41_000_000)
    with pytest.raises(CartChanged):
        completing.open_purchase(claimed)
    settling.move(claimed, to="open", reason="test")
    Offer.objects.filter(pk=goods.kettle.pk).update(price_micros=30_000_000)
    done = platform.rest("POST", f"{path}/complete", card())
    assert (done["status"], done["totals"][-1]["amount"]) == ("completed", 3000)


def test_a_cart_is_replaced_bought_from_once_and_given_up(platform, goods):
    two = [{"item": {"id": variant(good)}, "quantity": 1} for good in (goods.headphones, goods.kettle)]
    cart = platform.rest("POST", "carts", {"line_items": two}, status=201)
    UcpCartModel.model_validate(cart)
    changed = platform.rest(
        "PUT", f"carts/{cart['id']}", {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 3}]}
    )
    assert [line["quantity"] for line in changed["line_items"]] == [3]
    assert changed["totals"][-1]["amount"] == 10650
    checkout = platform.rest(
        "POST", "checkout-sessions", {"cart_id": cart["id"], "line_items": two}, status=201
    )
    assert [line["quantity"] for line in checkout["line_items"]] == [3]
    again = platform.rest("POST", "checkout-sessions", {"cart_id": cart["id"]})
    assert again["id"] == checkout["id"]
    assert platform.rest("POST", f"carts/{cart['id']}/cancel")["line_items"] == changed["line_items"]
    assert platform.rest("GET", f"carts/{cart['id']}")["messages"][0]["code"] == "not_found"


def test_a_merchants_own_offer_can_be_named(platform, goods):
    cheaper = Offer.objects.create(
        variant=goods.kettle.variant, merchant=goods.audio, price_micros=30_000_000, currency="USD", on_hand=5
    )
    best = platform.checkout(variant(goods.kettle))
    assert best["line_items"][0]["offer_id"] == f"off_{cheaper.pk}"
    named = platform.checkout(f"off_{goods.kettle.pk}")
    assert named["line_items"][0]["seller"] == {"name": "Tea House"}
    assert named["line_items"][0]["item"]["price"] == 3550


def test_mcp_buys_what_rest_shows(platform, goods, processor):
    line = {"item": {"id": variant(goods.kettle)}, "quantity": 1}
    cart = platform.tool("create_cart", cart={"line_items": [line]})["structuredContent"]
    assert platform.rest("GET", f"carts/{cart['id']}") == cart
    made = platform.tool("create_checkout", checkout={"cart_id": cart["id"]})["structuredContent"]
    assert made["status"] == "incomplete"
    updated = platform.tool(
        "update_checkout", id=made["id"], checkout={"line_items": [line], "fulfillment": SHIPPING}
    )["structuredContent"]
    assert updated == platform.rest("GET", f"checkout-sessions/{made['id']}")
    done = platform.tool("complete_checkout", id=made["id"], checkout=card())["structuredContent"]
    assert done["status"] == "completed"
    order = platform.tool("get_order", id=done["order"]["id"])["structuredContent"]
    assert order == platform.rest("GET", f"orders/{done['order']['id']}")
    refused = platform.tool("cancel_checkout", id=made["id"])
    assert (refused["isError"], refused["structuredContent"]["code"]) == (True, "checkout_closed")
    stranger = Platform(SOMEBODY_ELSE).tool("get_checkout", id=made["id"])
    assert stranger["structuredContent"]["messages"][0]["code"] == "not_found"


def test_claims_that_change_no_price_do_not_stand_in_the_way(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle), context={"eligibility": ["org.example.student"]})
    assert checkout["messages"][0]["code"] == "eligibility_not_accepted"
    assert checkout["status"] == "ready_for_complete"
    done = platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", card())
    assert done["status"] == "completed"


def test_both_versions_are_spoken_side_by_side(platform, goods):
    line = {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}], "fulfillment": SHIPPING}
    old = platform.rest("POST", "checkout-sessions", line, status=201)
    assert old["ucp"]["version"] == "2026-04-08"
    new = platform.rest("GET", f"2026-08-25/checkout-sessions/{old['id']}")
    assert new["ucp"]["version"] == "2026-08-25"
    assert {**new, "ucp": None} == {**old, "ucp": None}
    agent = f'profile="{platform.profile}"; version="2026-08-25"'
    asked = platform.client.get(f"/ucp/checkout-sessions/{old['id']}", headers={"UCP-Agent": agent}).json()
    assert asked == new
    later = platform.client.get(
        "/ucp/carts/x", headers={"UCP-Agent": f'profile="{platform.profile}"; version="2031-01-01"'}
    )
    assert (later.status_code, later.json()["code"]) == (422, "version_unsupported")
    profile = platform.client.get("/.well-known/ucp").json()
    leaf = platform.client.get("/ucp/2026-08-25/.well-known/ucp").json()
    assert profile["ucp"]["supported_versions"]["2026-08-25"].endswith("/ucp/2026-08-25/.well-known/ucp")
    assert leaf["ucp"]["version"] == "2026-08-25"
    assert "supported_versions" not in leaf["ucp"]
    assert leaf["keys"] == profile["signing_keys"]


def test_titles_that_give_orders_are_marked_in_carts_and_checkouts(platform, goods):
    Product.objects.filter(pk=goods.kettle.variant.product_id).update(title=ORDER, description=ORDER)
    assert examine_products()
    items = variant(goods.headphones), variant(goods.kettle)
    lines = [{"item": {"id": item}, "quantity": 1} for item in items]
    cart = platform.rest("POST", "carts", {"line_items": lines}, status=201)
    checkout = platform.checkout(*items)
    for answer in (cart, checkout, platform.rest("GET", f"carts/{cart['id']}")):
        [told] = answer["messages"]
        assert (told["code"], told["path"]) == ("untrusted_content", "$.line_items[1]")
        assert "title" in told["content"]
        assert "description" not in told["content"], "a line has no description"
    assert checkout["status"] == "ready_for_complete"
    UcpCartModel.model_validate(cart)
    UcpCheckoutModel.model_validate(checkout)

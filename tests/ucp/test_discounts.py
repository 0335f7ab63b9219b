"""UCP's discount extension: a negotiated price is a code that its shopper hands to a platform."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from ucp_sdk.models.schemas.shopping.discount import Cart as DiscountCart
from ucp_sdk.models.schemas.shopping.discount import Checkout as DiscountCheckout
from ucp_sdk.models.schemas.shopping.order import Order as UcpOrderModel

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.models import UsageEvent
from marketplace.catalog.models import Offer
from marketplace.catalog.offers import OfferFact
from marketplace.catalog.ucp.versions import APRIL
from marketplace.ranking.conversions import BUYER_CAP
from marketplace.ranking.models import Conversion
from marketplace.shopping.models import (
    Attribution,
    Checkout,
    Conversation,
    Negotiation,
    OrderLine,
    Quote,
    Shopper,
    UcpCheckout,
)
from marketplace.shopping.shoppers import SESSION_KEY
from marketplace.shopping.ucp.completing import claim_payment, open_purchase
from marketplace.shopping.ucp.discounts import Offered, take_off
from marketplace.shopping.ucp.lines import Line, Priced, line_objects, total_objects
from marketplace.shopping.ucp.negotiation import CAPABILITIES, DISCOUNT
from tests.cast import person
from tests.orders.bargains import agree, allow
from tests.orders.world import books_balance, list_agent, pay, show, talk
from tests.ucp.world import PROFILE, SHIPPING, Platform, card, introduce, variant


@pytest.fixture
def conversation(goods, studio, prices) -> Conversation:
    """A visitor's, of whom the store knows no address."""
    return talk(Shopper.objects.create(), list_agent(studio), prices)


@pytest.fixture
def quote(conversation, goods) -> Quote:
    """Two pairs of headphones at $90.00 instead of $99.00."""
    allow(goods.headphones)
    return agree(conversation, goods.headphones, 9000, 2)


def codes(*names: str) -> dict[str, Any]:
    return {"discounts": {"codes": list(names)}}


def amounts(answer) -> dict[str, int]:
    return {row["type"]: row["amount"] for row in answer["totals"]}


def told(answer) -> list[str]:
    return [row["code"] for row in answer.get("messages", [])]


def complete(platform, checkout, **more):
    return platform.rest("POST", f"checkout-sessions/{checkout['id']}/complete", {**card(), **more})


def test_from_a_code_to_a_paid_order(platform, goods, quote, conversation, processor):
    shown = show(conversation, goods.headphones)
    checkout = platform.checkout(
        variant(goods.headphones), variant(goods.kettle), quantity=3, **codes(quote.code)
    )
    DiscountCheckout.model_validate(checkout)
    assert DISCOUNT in checkout["ucp"]["capabilities"]
    assert checkout["discounts"] == {
        "codes": [quote.code],
        "applied": [
            {
                "code": quote.code, "title": "Negotiated price: Headphones", "amount": 1800, "method": "each",
                "allocations": [{"path": "$.line_items[0]", "amount": 1800}],
            }
        ],
    }  # fmt: skip
    everything = 3 * 9900 + 3 * 3550
    assert amounts(checkout) == {
        "subtotal": everything, "items_discount": -1800, "fulfillment": 0, "total": everything - 1800,
    }  # fmt: skip
    first = checkout["line_items"][0]
    assert first["item"]["price"] == 9900
    assert amounts(first) == {"subtotal": 29700, "items_discount": -1800, "total": 27900}

    done = complete(platform, checkout)
    DiscountCheckout.model_validate(done)
    assert done["status"] == "completed"
    assert amounts(done) == amounts(checkout)
    assert [(each["code"], each["amount"]) for each in done["discounts"]["applied"]] == [(quote.code, 1800)]
    place = done["discounts"]["applied"][0]["allocations"][0]["path"]
    assert amounts(done["line_items"][int(place[-2])])["items_discount"] == -1800
    audio = next(one for one in done["orders"] if one["merchant"] == "Audio Haus")
    order = platform.rest("GET", f"orders/{audio['id']}")
    UcpOrderModel.model_validate(order)
    assert amounts(order) == {"subtotal": 29700, "items_discount": -1800, "fulfillment": 0, "total": 27900}
    quote.refresh_from_db()
    assert quote.used_at is not None
    # The agent that negotiated it brought the sale about.
    line = OrderLine.objects.get(quote=quote)
    assert (line.attribution.rule, line.attribution.recommendation) == (Attribution.Rule.QUOTE, shown)
    assert UsageEvent.objects.get(line_ref=line.ref).base_micros == 180_000_000
    assert books_balance()


def test_what_a_code_is_refused_for_is_a_warning_and_no_failure(platform, goods, quote, conversation, prices):
    lower = agree(conversation, goods.headphones, 8950)
    many = agree(conversation, goods.headphones, 8000, 5)
    allow(goods.kettle)
    other = agree(conversation, goods.kettle, 3300)
    old = agree(talk(Shopper.objects.create(), conversation.agent, prices), goods.kettle, 3300)
    Quote.objects.filter(pk=old.pk).update(expires_at=now() - timedelta(minutes=1))
    sent = ["SAVE10", quote.code, old.code, many.code, other.code, quote.code.lower(), lower.code]
    answer = platform.checkout(variant(goods.headphones), **codes(*sent))
    assert answer["status"] == "ready_for_complete"
    assert answer["discounts"]["codes"] == sent
    assert [each["code"] for each in answer["discounts"]["applied"]] == [lower.code]
    warnings = {row["path"]: (row["type"], row["code"]) for row in answer["messages"]}
    assert warnings == {
        "$.discounts.codes[0]": ("warning", "discount_code_invalid"),
        "$.discounts.codes[1]": ("warning", "discount_code_combination_disallowed"),
        "$.discounts.codes[2]": ("warning", "discount_code_expired"),
        "$.discounts.codes[3]": ("warning", "discount_code_combination_disallowed"),
        "$.discounts.codes[4]": ("warning", "discount_code_invalid"),
        "$.discounts.codes[5]": ("warning", "discount_code_already_applied"),
    }
    assert "SAVE10" in answer["messages"][0]["content"]


def test_charlie_is_refused_a_code_that_is_not_his(platform, goods, conversation, quote, sam):
    """A signed-in shopper's code counts for their own address alone, whichever platform brings it."""
    Shopper.objects.filter(pk=conversation.shopper_id).update(user=sam)
    person("Charlie")
    door = Platform("https://charlie.example/ucp")
    for buyer, code in (({}, "user_not_logged_in"), ({"email": "charlie@example.com"}, "user_ineligible")):
        answer = door.checkout(variant(goods.headphones), **codes(quote.code), buyer=buyer)
        assert told(answer) == [f"discount_code_{code}"]
        assert answer["discounts"]["applied"] == []
        assert amounts(answer)["total"] == 9900
    answer = platform.checkout(
        variant(goods.headphones), **codes(quote.code), buyer={"email": "Sam@Example.com"}
    )
    assert amounts(answer)["total"] == 9000
    # Nor does a deleted conversation's code count for anybody.
    Conversation.objects.update(shopper=None, status="deleted")
    assert told(platform.rest("GET", f"checkout-sessions/{answer['id']}")) == ["discount_code_invalid"]


def test_a_platforms_guest_is_the_shopper_whose_quote_it_was(
    platform, goods, conversation, prices, alice, processor
):
    """Else a studio's own people lift their agent in the ranking, and nobody has a cap."""
    allow(goods.headphones)
    show(conversation, goods.headphones)

    def buy(email: str = "") -> None:
        """One at a price of a negotiation of its own."""
        other = talk(Shopper.objects.create(), conversation.agent, prices)
        Negotiation.objects.filter(conversation=conversation).update(conversation=other)
        code = agree(conversation, goods.headphones, 9000).code
        assert code
        answer = platform.checkout(variant(goods.headphones), **codes(code), buyer={"email": email})
        assert amounts(complete(platform, answer))["total"] == 9000

    for _ in range(BUYER_CAP + 1):
        buy()
    counted = list(Conversion.objects.order_by("pk").values_list("buyer_ref", "reason"))
    buyer = str(conversation.shopper_id)
    assert counted == [(buyer, "")] * BUYER_CAP + [(buyer, "over the buyer's cap")]
    Shopper.objects.filter(pk=conversation.shopper_id).update(user=alice)
    buy(alice.email)
    assert Conversion.objects.latest("pk").reason == "own organization"


def test_it_is_used_once_whoever_pays_first(platform, goods, quote, processor):
    first = platform.checkout(variant(goods.headphones), **codes(quote.code))
    second = platform.checkout(variant(goods.headphones), **codes(quote.code))
    assert complete(platform, first)["status"] == "completed"
    beaten = complete(platform, second)
    assert beaten["status"] == "ready_for_complete"
    assert told(beaten) == ["discount_code_already_applied", "total_changed"]
    assert amounts(beaten)["total"] == 9900
    # The buyer was told the new total; now it is theirs to pay.
    assert amounts(complete(platform, second)) == {"subtotal": 9900, "fulfillment": 0, "total": 9900}


def test_while_it_is_paid_it_shows_what_is_paid(platform, goods, quote, processor):
    """The purchase has the stock and the quote: asked in between, neither was sold out, nor used by somebody else."""
    Offer.objects.filter(pk=goods.headphones.pk).update(on_hand=2)
    sent = codes(quote.code, quote.code.lower())
    path = f"checkout-sessions/{platform.checkout(variant(goods.headphones), quantity=2, **sent)['id']}"
    claimed = claim_payment(UcpCheckout.objects.get(), billing={}, buyer={})
    purchase = open_purchase(claimed)
    answer = platform.rest("GET", path)
    DiscountCheckout.model_validate(answer)
    assert answer["status"] == "complete_in_progress"
    assert [line["quantity"] for line in answer["line_items"]] == [2]
    assert amounts(answer) == {
        "subtotal": 19800, "items_discount": -1800, "fulfillment": 0, "total": 18000,
    }  # fmt: skip
    assert (told(answer), "orders" in answer) == ([], False)
    pay(Checkout.objects.get(pk=purchase))
    processor.deliver()
    done = platform.rest("GET", path)
    assert (done["status"], amounts(done)) == ("completed", amounts(answer))
    assert [each["code"] for each in done["discounts"]["applied"]] == [quote.code]


def test_an_expired_price_is_told_before_it_is_paid(platform, goods, quote, processor):
    checkout = platform.checkout(variant(goods.headphones), **codes(quote.code))
    Quote.objects.update(expires_at=now() - timedelta(seconds=1))
    answer = complete(platform, checkout)
    assert told(answer) == ["discount_code_expired", "total_changed"]
    assert not OrderLine.objects.exists()
    assert complete(platform, checkout)["status"] == "completed"
    assert OrderLine.objects.get().unit_price_micros == 99_000_000


def test_what_was_read_is_not_told_again(platform, goods, quote, processor):
    path = f"checkout-sessions/{platform.checkout(variant(goods.headphones), **codes(quote.code))['id']}"
    Quote.objects.update(expires_at=now() - timedelta(seconds=1))
    assert amounts(platform.rest("GET", path))["total"] == 9900
    assert platform.rest("POST", f"{path}/complete", card())["status"] == "completed"


def test_a_declined_card_gives_it_back(platform, goods, quote, processor):
    checkout = platform.checkout(variant(goods.headphones), **codes(quote.code))
    complete(platform, checkout, **card("pm_card_chargeDeclined"))
    quote.refresh_from_db()
    assert quote.checkout is None
    assert amounts(complete(platform, checkout))["total"] == 9000


def test_who_goes_on_in_the_store_sees_what_their_cart_will_cost(platform, goods, quote, conversation):
    checkout = platform.checkout(variant(goods.headphones), quantity=3, **codes(quote.code))
    page = f"/ucp/continue/{checkout['continue_url'].split('/ucp/continue/')[1]}"
    shopper, charlie = Client(), Client()
    session = shopper.session
    session[SESSION_KEY] = str(conversation.shopper_id)
    session.save()
    mine = shopper.get(page).content.decode()
    assert ("negotiated for you" in mine, "$279.00" in mine, "$297.00" in mine) == (True, True, False)
    assert "A negotiated price counts where" not in mine
    shopper.post(page)
    assert "$279.00" in shopper.get("/cart/").content.decode()
    his = charlie.get(page).content.decode()
    assert ("negotiated for you" in his, "$279.00" in his, "$297.00" in his) == (False, False, True)
    assert "A negotiated price counts where" in his


def test_codes_are_replaced_kept_and_cleared(platform, goods, quote):
    line = {"line_items": [{"item": {"id": variant(goods.headphones)}, "quantity": 2}]}
    cart = platform.rest("POST", "carts", {**line, **codes(quote.code)}, status=201)
    DiscountCart.model_validate(cart)
    assert amounts(cart) == {"subtotal": 19800, "items_discount": -1800, "total": 18000}
    checkout = platform.rest(
        "POST", "checkout-sessions", {"cart_id": cart["id"], "fulfillment": SHIPPING}, status=201
    )
    assert checkout["discounts"]["codes"] == [quote.code]

    def update(**more):
        return platform.rest(
            "PUT", f"checkout-sessions/{checkout['id']}", {**line, "fulfillment": SHIPPING, **more}
        )

    assert amounts(update())["total"] == 18000
    assert amounts(update(**codes("OTHER")))["total"] == 19800
    assert amounts(update(**codes(quote.code.lower())))["total"] == 18000
    cleared = update(**codes())
    assert amounts(cleared)["total"] == 19800
    assert "discounts" not in cleared


@pytest.mark.parametrize(
    "given_", [[], {"codes": "NEG"}, {"codes": [1]}, {"codes": [""]}, {"codes": ["x"] * 21}]
)
def test_what_are_no_codes_is_refused(platform, goods, given_):
    body = {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}], "discounts": given_}
    assert platform.rest("POST", "carts", body, status=400)["code"] == "invalid_request"


def test_without_the_capability_there_are_no_discounts(platform, goods, quote, processor):
    introduce(PROFILE, capabilities={name: [APRIL] for name in CAPABILITIES if name != DISCOUNT})
    checkout = platform.checkout(variant(goods.headphones), **codes(quote.code))
    assert DISCOUNT not in checkout["ucp"]["capabilities"]
    assert "discounts" not in checkout
    assert told(checkout) == []
    assert amounts(complete(platform, checkout))["total"] == 9900


def fact(offer: int, price: Money) -> OfferFact:
    return OfferFact(
        offer, offer, offer, uuid.UUID(int=offer), f"Shop {offer % 2}", "Thing", {}, "", "other", price, None, 999,
        (), 0, True, False, "",
    )  # fmt: skip


cents = st.integers(1, 500_00)


@st.composite
def carts(draw):
    prices = draw(st.lists(cents, min_size=1, max_size=3))
    facts = [fact(number + 1, Money.from_minor(price, "USD")) for number, price in enumerate(prices)]
    lines = draw(st.lists(st.tuples(st.sampled_from(facts), st.integers(1, 9)), min_size=1, max_size=5))
    quotes = []
    for place in range(draw(st.integers(0, 4))):
        least = draw(st.integers(1, 6))
        quotes.append(
            Offered(
                f"C{place}", place,
                Quote(
                    offer_id=draw(st.integers(1, 4)), unit_price_micros=draw(cents) * 10_000, currency="USD",
                    least_quantity=least, quantity=least + draw(st.integers(0, 9)), made_at=now(),
                ),
            )
        )  # fmt: skip
    told = tuple((Line(f"li_{n}", "x", f.offer_id, q), f) for n, (f, q) in enumerate(lines))
    return Priced(told, ()), quotes


@settings(max_examples=150, deadline=None)
@given(carts())
def test_all_amounts_add_up_to_the_minor_unit(given_):
    priced, offered = given_
    applied, rejected = take_off(priced, offered)
    shown = Priced(priced.lines, (), tuple(applied))
    lines, totals = (
        line_objects(shown),
        {row["type"]: row["amount"] for row in total_objects(shown, shipping=True)},
    )
    assert len(applied) + len(rejected) == len(offered)
    assert totals["subtotal"] + totals.get("items_discount", 0) == totals["total"] == shown.total.minor
    for line in lines:
        one = amounts(line)
        assert one["subtotal"] == line["item"]["price"] * line["quantity"]
        assert one["subtotal"] + one.get("items_discount", 0) == one["total"] > 0
    assert sum(amounts(line).get("items_discount", 0) for line in lines) == totals.get("items_discount", 0)
    for each in applied:
        bought = sum(line.quantity for line, _ in priced.lines if line.offer == each.quote.offer_id)
        price = next(f.price for _, f in priced.lines if f.offer_id == each.quote.offer_id)
        pieces = min(bought, each.quote.quantity)
        assert each.quote.least_quantity <= pieces
        assert each.amount == sum(off.minor for _, off in each.off) > 0
        assert each.amount == (price - each.quote.unit_price).minor * pieces

"""The main job, by hand in a browser: publish, review, talk, buy; then the books, to the micro-unit."""

from __future__ import annotations

import re
from typing import Any

from agentstore.kit.money import apply_rate
from tests.e2e.conftest import DEVELOPER, OPERATOR, SHOPPER, packed, publish_by_hand, sign_in, wait
from tests.look.axe import assert_accessible
from tests.stack import StoreUnderTest

SHARE_PPM = 700_000


def test_an_agent_is_published_sells_something_and_everybody_gets_their_part(
    people: Any, store: StoreUnderTest, tmp_path: Any
):
    developer, operator, shopper = people(DEVELOPER), people(OPERATOR), people(None)
    # The store is the session's: other tests may have left events and balances.
    earlier = store.call("tests.e2e.world.books")

    submission = publish_by_hand(developer, packed("concierge", tmp_path))
    assert_accessible(developer)
    operator.goto("/operator/review/")
    operator.goto(f"/operator/review/{submission}/")
    assert_accessible(operator)
    operator.get_by_role("button", name="Approve").click()
    operator.wait_for_load_state()

    shopper.goto("/")
    shopper.get_by_role("link", name="Concierge").first.click()
    assert_accessible(shopper)
    shopper.get_by_role("button", name="Start a conversation").click()
    shopper.wait_for_url("**/chat/**")
    say(shopper, "Chocolate for a present, under $30")
    cards = shopper.locator("[data-card]")
    cards.first.wait_for()
    until_done(shopper)
    assert cards.count() >= 1
    sponsored = cards.filter(has_text="Sponsored")
    assert sponsored.count() >= 1
    assert_accessible(shopper)
    shopper_conversation = conversation_of(shopper)
    shown = store.sql(
        "SELECT r.merchant_id, r.price_micros, r.sponsored, o.price_micros FROM shopping_recommendation r"
        " JOIN catalog_offer o ON o.id = r.offer_id WHERE r.status = 'shown' AND r.conversation_id = %s",
        [shopper_conversation],
    )
    assert shown
    assert all(claimed == true for _, claimed, _, true in shown)
    assert all(price <= 30_000_000 for _, price, _, _ in shown)

    cards.first.get_by_role("button", name=re.compile("Add to cart")).click()
    shopper.get_by_text(re.compile("cart", re.I)).first.wait_for()
    wait_for_cart(store, shopper_conversation)
    shopper.goto("/cart/")
    take_three(shopper)
    assert_accessible(shopper)
    shopper.get_by_role("link", name="Check out").click()
    sign_in(shopper, SHOPPER)
    if "/checkout" not in shopper.url:
        shopper.goto("/checkout/")
    fill_address(shopper)
    assert_accessible(shopper)
    shopper.get_by_role("button", name="Go on to payment").click()
    checkout = checkout_of(shopper)
    decline_once(shopper)
    shopper.locator("input[value=pm_card_visa]").check()
    shopper.get_by_role("button", name=re.compile("^Pay")).click()
    wait(lambda: is_paid(store, checkout), "the webhook settled the order")
    shopper.goto("/orders/")
    assert_accessible(shopper)

    [(order, total, merchant)] = store.sql(
        "SELECT id, total_micros, merchant_id FROM shopping_order WHERE status = 'paid' AND checkout_id = %s",
        [checkout],
    )
    wait(
        lambda: all(event["status"] == "posted" for event in store.call("tests.e2e.world.books")["events"]),
        "every fee is posted",
    )
    books = store.call("tests.e2e.world.books")
    assert books["sum"] == 0
    events = [event for event in books["events"] if event["conversation_ref"].endswith(shopper_conversation)]
    ppcv = [event for event in events if event["kind"] == "ppcv"]
    assert len(ppcv) == len({row[0] for row in shown if row[2]})
    [tax] = [event for event in events if event["kind"] == "agent_tax"]
    assert tax["base_micros"] == total
    assert tax["amount_micros"] in {apply_rate(total, 150_000), apply_rate(total, 80_000)}
    for event in events:
        assert event["developer_share_micros"] == apply_rate(event["amount_micros"], SHARE_PPM)
    fees = sum(event["amount_micros"] for event in events)
    shares = sum(event["developer_share_micros"] for event in events)
    moved = {name: amount - earlier["balances"].get(name, 0) for name, amount in books["balances"].items()}
    assert total_of(moved, "platform_revenue") == -(fees - shares)
    assert total_of(moved, "developer_pending") == -shares
    assert moved[f"merchant_wallet org:{merchant}"] == -(total - tax["amount_micros"])
    assert total_of(moved, "merchant_receivable") == sum(event["amount_micros"] for event in ppcv)

    shopper.goto(f"/orders/{order}/")
    shopper.get_by_text("Concierge").first.wait_for()
    for path in ("/operator/billing/", "/operator/ledger/"):
        operator.goto(path)
        assert_accessible(operator)
    developer.goto("/developer/northwind-labs/earnings/")
    assert_accessible(developer)


def test_a_liar_gets_nothing_shown_and_nothing_billed(people: Any, agents: StoreUnderTest):
    shopper = people(None)
    shopper.goto("/agents/liar/")
    shopper.get_by_role("button", name="Start a conversation").click()
    shopper.wait_for_url("**/chat/**")
    say(shopper, "Something nice under $20")
    until_done(shopper)
    shopper.get_by_text("lies were taken").first.wait_for()
    assert shopper.locator("[data-card]").count() == 0
    refused = agents.sql(
        "SELECT status, refusal FROM shopping_recommendation WHERE conversation_id = %s",
        [conversation_of(shopper)],
    )
    assert refused
    assert {status for status, _ in refused} == {"refused"}
    assert (
        agents.sql(
            "SELECT 1 FROM billing_usageevent WHERE conversation_ref LIKE %s",
            ["%" + conversation_of(shopper)],
        )
        == []
    )


def say(page: Any, text: str) -> None:
    """Send a message."""
    page.locator("#chat-text").fill(text)
    page.get_by_role("button", name="Send").click()


def until_done(page: Any) -> None:
    """Wait until the agent's turn is over: the send button is back."""
    page.get_by_role("button", name="Stop").wait_for(state="hidden", timeout=90_000)
    page.get_by_role("button", name="Send").wait_for(state="visible")


def conversation_of(page: Any) -> str:
    """The conversation's id, from the address."""
    return str(page.url).split("/chat/")[1].split("/")[0]


def take_three(page: Any) -> None:
    """More of the first thing in the cart: a single one may cost less than a card can be charged."""
    page.get_by_label("Quantity").first.fill("3")
    page.get_by_role("button", name=re.compile("^Update")).first.click()
    page.wait_for_load_state()


def wait_for_cart(store: StoreUnderTest, conversation: str) -> None:
    """Until a card of the conversation is in a cart."""
    wait(
        lambda: (
            store.sql(
                "SELECT count(*) FROM shopping_cartline l JOIN shopping_recommendation r ON r.id = l.recommendation_id"
                " WHERE r.conversation_id = %s",
                [conversation],
            )
            == [(1,)]
        ),
        "it is in the cart",
    )


def checkout_of(page: Any) -> str:
    """The checkout's id, from the address."""
    page.wait_for_url(re.compile("/checkout/[0-9a-f-]{36}/"))
    return str(page.url).split("/checkout/")[1].split("/")[0]


def is_paid(store: StoreUnderTest, checkout: str) -> bool:
    """Whether the store holds the checkout for paid."""
    return store.sql("SELECT status FROM shopping_checkout WHERE id = %s", [checkout]) == [("paid",)]


def fill_address(page: Any) -> None:
    """Whatever the form asks for."""
    values = {
        "name": "Sam Shopper", "street": "1 Main Street", "line1": "1 Main Street", "city": "Springfield",
        "postal_code": "62701", "region": "IL", "state": "IL",
    }  # fmt: skip
    for name, value in values.items():
        field = page.locator(f"input[name={name}]")
        if field.count():
            field.first.fill(value)


def decline_once(page: Any) -> None:
    """A card is declined in plain words, and the checkout goes on."""
    page.locator("input[value=pm_card_chargeDeclined]").check()
    page.get_by_role("button", name=re.compile("^Pay")).click()
    page.wait_for_load_state()
    assert "Not paid" in page.locator("main").inner_text()


def total_of(balances: dict[str, int], kind: str) -> int:
    """The sum over all owners of a kind of account."""
    return sum(amount for name, amount in balances.items() if name.startswith(f"{kind} "))

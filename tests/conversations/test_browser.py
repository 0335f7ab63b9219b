"""The chat in a real browser: asked, streamed, bought from, stopped, tried again; at phone and desk width."""

from __future__ import annotations

import threading

import pytest
from django.test import Client

from marketplace.publishing.models import Version
from marketplace.shopping.models import CartLine
from marketplace.shopping.negotiation.negotiating import Proposal, negotiate
from tests.conversations.live import Web
from tests.conversations.world import MANIFEST
from tests.look.axe import assert_accessible, keep_picture, session_cookies, walk, watch
from tests.orders.bargains import allow

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def web(transactional_db):
    server = Web()
    yield server
    server.stop()


@pytest.fixture
def page(browser, web, client, sam):
    client.force_login(sam)
    context = browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
    context.add_cookies(session_cookies(client, web.address))
    page = watch(context.new_page())
    page.set_default_timeout(8000)
    yield page
    context.close()


def test_a_shopper_asks_and_buys_from_a_card(page, web, conversation, mug, lamp, budget, play):
    more = threading.Event()

    def answer(body, tools):
        yield "Under $20 I would take the <b>mug</b>:\n"
        tools.call("recommend", variant_id=f"var_{mug.variant_id}", reason="Blue, and it holds a lot of tea.")
        tools.call("recommend", variant_id=f"var_{lamp.variant_id}", reason="Only $1 today!")
        more.wait(8)
        yield "it is the best of its kind."

    play(conversation, answer)
    page.goto(f"{web.address}/chat/{conversation.pk}/")
    keep_picture(page, "chat-empty")
    page.get_by_label("Message Gift Finder").fill("A gift under $20, I am sam@example.com")
    page.keyboard.press("Enter")
    card = page.get_by_role("article", name="Blue mug")
    card.wait_for()
    assert page.get_by_text("Under $20 I would take the <b>mug</b>:").is_visible()
    assert page.get_by_role("button", name="Stop").is_visible()
    assert not page.get_by_role("button", name="Send").is_visible()
    assert page.get_by_text("We removed your e-mail address").is_visible()
    keep_picture(page, "chat-streaming")
    more.set()
    page.get_by_text("it is the best of its kind.").wait_for()
    page.get_by_role("button", name="Send").wait_for()
    assert page.get_by_role("article").count() == 1
    assert card.get_by_text("$12.50").is_visible()
    assert card.get_by_text("Sponsored").is_visible()
    card.get_by_text("What the store earns").click()
    assert card.get_by_text("Audio Haus pays $0.15").is_visible()
    card.get_by_role("button", name="Add to cart").click()
    page.get_by_text("Added to your cart").wait_for()
    page.get_by_role("button", name="Remove the limit of $20.00").click()
    page.get_by_role("button", name="Remove the limit of $20.00").wait_for(state="detached")
    keep_picture(page, "chat-done")
    assert_accessible(page)
    line = CartLine.objects.get()
    assert line.recommendation is not None
    assert (line.offer, line.recommendation.conversation) == (mug, conversation)
    conversation.refresh_from_db()
    assert conversation.limits == {}


def test_a_price_is_negotiated_before_the_shoppers_eyes(page, web, conversation, mug, play):
    allow(mug)
    Version.objects.update(manifest={**MANIFEST, "permissions": ["negotiate"]})

    def answer(body, tools):
        for amount in (1000, 1150):
            tools.call("negotiate", offer_id=mug.public_id, proposed_amount=amount, argument="<i>Please</i>")
        yield "It is yours for $11.50."

    play(conversation, answer)
    page.goto(f"{web.address}/chat/{conversation.pk}/")
    page.get_by_label("Message Gift Finder").fill("Can it be had for less?")
    page.keyboard.press("Enter")
    page.get_by_text("It is yours for $11.50.").wait_for()
    rounds = page.get_by_role("group", name="Negotiation: Blue mug")
    rounds.nth(1).wait_for()
    assert "Asked instead: $11.25" in rounds.nth(0).inner_text()
    assert "“<i>Please</i>”" in rounds.nth(0).inner_text()
    rounds.nth(1).get_by_role("button", name="Add to cart at $11.50").click()
    page.get_by_text("Added to your cart").wait_for()
    page.goto(f"{web.address}/cart/")
    page.get_by_text("Negotiated: 1 at $11.50").wait_for()
    keep_picture(page, "cart-negotiated")
    assert_accessible(page)


def test_a_reload_in_the_middle_goes_on(page, web, conversation, mug, play):
    more = threading.Event()

    def answer(body, tools):
        yield "One, "
        tools.call("recommend", variant_id=f"var_{mug.variant_id}", reason="Blue.")
        more.wait(8)
        yield "two."

    play(conversation, answer)
    page.goto(f"{web.address}/chat/{conversation.pk}/")
    page.get_by_label("Message Gift Finder").fill("Count")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("article", name="Blue mug").wait_for()
    page.reload()
    page.get_by_text("One,").wait_for()
    assert page.get_by_role("article").count() == 1
    more.set()
    page.get_by_text("One, two.").wait_for()
    page.get_by_role("button", name="Send").wait_for()
    assert page.get_by_role("article").count() == 1


def test_a_failure_is_told_and_tried_again(page, web, conversation, play):
    answers = [[], ["Here I am."]]
    play(conversation, lambda body, tools: answers.pop(0))
    page.goto(f"{web.address}/chat/{conversation.pk}/")
    page.get_by_label("Message Gift Finder").fill("Hello?")
    page.keyboard.press("Enter")
    page.get_by_text("Gift Finder had nothing to say.").wait_for()
    keep_picture(page, "chat-failed")
    play(conversation, lambda body, tools: answers.pop(0))
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("Here I am.").wait_for()


def test_stopping(page, web, conversation, play):
    more = threading.Event()

    def answer(body, tools):
        yield "One"
        more.wait(8)

    play(conversation, answer)
    page.goto(f"{web.address}/chat/{conversation.pk}/")
    page.get_by_label("Message Gift Finder").fill("Count")
    page.keyboard.press("Enter")
    page.get_by_text("One", exact=True).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("You stopped the answer.").wait_for()
    more.set()
    assert page.get_by_role("button", name="Send").is_visible()


def test_every_page_in_both_themes_at_both_widths(browser, web, sam, alice, turn, mug, merchant, budget):
    from marketplace.shopping.turns import end_turn
    from tests.conversations.test_recommendations import recommend
    from tests.conversations.world import sell

    recommend(turn, mug, reason="Blue, and it holds a lot of tea.")
    recommend(
        turn, sell(merchant, "Red mug with a rather long name for a mug", "9.00"), reason="The cheapest."
    )
    recommend(turn, sell(merchant, "Tea pot", "29.00"), reason="For two.")
    recommend(turn, "var_404404")
    allow(mug)
    for amount, quantity, argument in ((1000, 1, "A student's budget. " * 18), (1200, 2, "")):
        proposal = Proposal(mug.public_id, amount, quantity, argument)
        negotiate(conversation_id=turn.conversation_id, turn_id=turn.pk, proposal=proposal)
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Three ideas, the mug is the best of them.")
    conversation = turn.conversation
    shown = {
        sam: [f"/chat/{conversation.pk}/", "/chats/", "/privacy/"],
        alice: [
            "/developer/northwind-labs/conversations/",
            f"/developer/northwind-labs/conversations/{conversation.pk}/",
        ],
    }
    cookies = {}
    for user in shown:
        client = Client()
        client.force_login(user)
        cookies[user] = session_cookies(client, web.address)
    for user, pages in shown.items():
        walk(browser, web.address, pages, cookies=cookies[user])


def test_turn_after_turn_no_card_is_lost(page, web, conversation, merchant, play):
    """The stream is open from the first turn on and may be faster than the answer to the message."""
    from tests.conversations.world import sell

    offers = [sell(merchant, f"Mug {number}", "5.00") for number in range(4)]
    told = iter(offers)

    def answer(body, tools):
        tools.call("recommend", variant_id=f"var_{next(told).variant_id}", reason="Round.")
        yield "Another mug."

    play(conversation, answer)
    page.goto(f"{web.address}/chat/{conversation.pk}/")
    for number in range(4):
        page.get_by_label("Message Gift Finder").fill("A mug")
        page.keyboard.press("Enter")
        page.get_by_role("article", name=f"Mug {number}").wait_for()
        page.get_by_role("button", name="Send").wait_for()
    assert page.get_by_role("article").count() == 4
    assert page.get_by_text("Another mug.", exact=True).count() == 4

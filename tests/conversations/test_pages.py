"""The pages: conversations, privacy, traces; each refuses those who may not see it."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from agentstore.kit.clock import now
from marketplace.catalog.models import Offer
from marketplace.shopping.conversations import open_rehearsal
from marketplace.shopping.models import Conversation, Quote, Shopper, ToolCall
from marketplace.shopping.pseudonyms import pseudonym
from marketplace.shopping.turns import end_turn, start_turn
from tests.cast import person
from tests.conversations.test_recommendations import recommend
from tests.orders.bargains import allow, propose


@pytest.fixture
def sams(client, sam):
    client.force_login(sam)
    return client


def as_(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_visitor_talks_first_and_signs_in_later(agent, prices):
    visitor, dana = Client(), person("Dana")
    chat = visitor.post("/chat/open/gift-finder/")["Location"]
    assert Shopper.objects.get().user is None
    assert visitor.get(chat).status_code == 200
    assert Client().get(chat).status_code == 404
    visitor.force_login(dana)
    assert visitor.get(chat).status_code == 200
    assert Shopper.objects.get().user == dana


def test_reading_pages_makes_no_shopper(db, client):
    for path in ("/chats/", "/privacy/", "/privacy/export"):
        assert client.get(path).status_code == 200
    assert not Shopper.objects.exists()


def test_a_conversation_is_drawn_from_its_rows(sams, turn, mug, budget):
    recommend(turn, mug, reason="Blue & round")
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Here is a mug.")
    page = sams.get(f"/chat/{turn.conversation_id}/").content.decode()
    for text in ("A gift for my sister", "Here is a mug.", "Blue mug", "$12.50", "Audio Haus", "Sponsored"):
        assert text in page
    assert "Blue &amp; round" in page
    assert (
        "Audio Haus pays $0.15 for this conversation, of which the agent&#x27;s developer gets $0.105" in page
    )
    assert 'name="offer_id"' in page
    listed = sams.get("/chats/").content.decode()
    assert "A gift for my sister" in listed


def test_a_card_says_when_its_price_has_changed_or_it_is_gone(sams, turn, mug):
    recommend(turn, mug)
    url = f"/chat/{turn.conversation_id}/"
    type(mug).objects.update(price_micros=15_000_000)
    page = sams.get(url).content.decode()
    assert "$12.50" in page
    assert "The price is $15.00 now." in page
    type(mug).objects.update(on_hand=0)
    page = sams.get(url).content.decode()
    assert "Not available any more" in page
    assert 'name="offer_id"' not in page


def test_a_failed_turn_says_so_in_words_and_offers_to_try_again(sams, turn):
    from marketplace.shopping.failures import LOST

    end_turn(turn_id=turn.pk, status="failed", by="reaper", failure=LOST)
    page = sams.get(f"/chat/{turn.conversation_id}/").content.decode()
    assert "We lost the connection to Gift Finder" in page
    assert "data-retry" in page


def test_ending_and_deleting_are_the_shoppers(sams, conversation):
    assert sams.post(f"/chat/{conversation.pk}/close").status_code == 302
    assert "This conversation is over" in sams.get(f"/chat/{conversation.pk}/").content.decode()
    assert sams.post(f"/chat/{conversation.pk}/delete").status_code == 302
    assert not Conversation.objects.exists()


def test_consent_facts_export_and_deletion(sams, turn, shopper, agent):
    assert sams.post("/privacy/consent", {"scope": "profile", "give": "1"}).status_code == 302
    assert sams.post("/privacy/consent", {"scope": "emotions", "give": "1"}).status_code == 400
    about = {"country": "de", "birth_year": "1990", "sizes": "M, EU 42", "likes": "linen"}
    assert sams.post("/privacy/about-you", about).status_code == 302
    assert sams.post("/privacy/about-you", {**about, "country": "Germany"}).status_code == 422
    page = sams.get("/privacy/").content.decode()
    assert pseudonym(agent_id=agent.pk, shopper_id=shopper.pk) in page
    assert "Allowed" in page
    data = json.loads(sams.get("/privacy/export").content)
    assert data["shopper"]["facts"] == {"sizes": ["M", "EU 42"], "likes": ["linen"]}
    assert data["conversations"][0]["messages"][0]["text"] == "A gift for my sister"
    assert [row["scope"] for row in data["consents"]] == ["profile"]
    assert sams.post("/privacy/delete").status_code == 302
    assert json.loads(sams.get("/privacy/export").content)["conversations"] == []


def test_a_developer_sees_what_its_agent_did_and_not_what_was_said(turn, alice, bob, mug, shopper, agent):
    recommend(turn, mug, reason="for your sister Ann")
    recommend(turn, "var_404404")
    ToolCall.objects.create(
        conversation=turn.conversation, turn=turn, tool="search_catalog", transport="mcp", outcome="ok",
        arguments={"query": "gift for my sister Ann"}, result={"products": []}, duration_ms=12,
    )  # fmt: skip
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Ann will like it.")
    for member in (alice, bob):
        page = as_(member).get(f"/developer/northwind-labs/conversations/{turn.conversation_id}/")
        text = page.content.decode()
        assert page.status_code == 200
        assert "search_catalog" in text
        assert "unknown_variant" in text
        assert pseudonym(agent_id=agent.pk, shopper_id=shopper.pk) in text
        for private in ("Ann", "sister", str(shopper.pk), "sam@"):
            assert private not in text
    assert "1" in as_(alice).get("/developer/northwind-labs/conversations/").content.decode()


def test_charlie_sees_no_trace(turn, charlie, mia, merchant):
    for user in (charlie, mia):
        for path in ("", f"{turn.conversation_id}/"):
            assert as_(user).get(f"/developer/northwind-labs/conversations/{path}").status_code == 404
    assert Client().get("/developer/northwind-labs/conversations/").status_code == 302


def test_another_studio_sees_no_trace_of_a_foreign_agent(turn, charlie):
    from agentstore.identity.services import create_organization

    create_organization(kind="developer", name="Charlie Labs", owner=charlie)
    path = f"/developer/charlie-labs/conversations/{turn.conversation_id}/"
    assert as_(charlie).get(path).status_code == 404


def test_operators_read_rehearsals_and_no_shoppers_words(agent, olivia, alice, conversation):
    rehearsal = open_rehearsal(version=agent.live_version)
    turn = start_turn(conversation=rehearsal, text="I need a gift")
    end_turn(turn_id=turn.pk, status="done", by="runner", text="A mug!")
    page = as_(olivia).get(f"/operator/rehearsals/{rehearsal.pk}/").content.decode()
    assert "I need a gift" in page
    assert "A mug!" in page
    assert as_(alice).get(f"/operator/rehearsals/{rehearsal.pk}/").status_code == 404
    assert as_(olivia).get(f"/operator/rehearsals/{conversation.pk}/").status_code == 404
    assert (
        "A mug!"
        in as_(alice).get(f"/developer/northwind-labs/conversations/{rehearsal.pk}/").content.decode()
    )


def test_a_round_is_drawn_with_its_words_as_text(sams, conversation, mug, sam):
    allow(mug)
    propose(conversation, mug, 1000, argument="<b>For</b> a student")
    heard = propose(conversation, mug, 1200)
    page = sams.get(f"/chat/{conversation.pk}/").content.decode()
    assert "“&lt;b&gt;For&lt;/b&gt; a student”" in page
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "Proposed to Audio Haus: $10.00 . Asked instead: $11.25 Before: $12.50" in shown
    assert "Agreed: $12.00 Before: $12.50" in shown
    assert "Holds until" in shown
    assert "Add to cart at $12.00" in shown
    one = f"/chat/{conversation.pk}/rounds/{heard.round.pk}"
    assert "Agreed" in sams.get(one).content.decode()
    assert as_(person("Charlie")).get(one).status_code == 404
    many = propose(conversation, mug, 1150, 5)
    # What is left of what was agreed on.
    Offer.objects.update(on_hand=3)
    drawn = sams.get(f"/chat/{conversation.pk}/rounds/{many.round.pk}").content.decode()
    assert 'name="quantity" value="3"' in drawn
    assert "Add 3 to cart at $11.50 each" in drawn
    Quote.objects.update(expires_at=now())
    assert "This price is over." in sams.get(one).content.decode()

"""`negotiate`, as a sandboxed agent calls it: rounds by the merchant's rule, and nothing that tells the floor."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agentstore.kit.clock import now
from marketplace.publishing.models import Version
from marketplace.shopping.conversations import delete_conversation, open_conversation
from marketplace.shopping.models import (
    Conversation,
    NegotiationRound,
    NegotiationRule,
    Quote,
    Shopper,
    ToolCall,
)
from marketplace.shopping.negotiation import Break, Terms
from marketplace.shopping.negotiation.rules import add_rule, change_rule
from marketplace.shopping.privacy import export_shopper
from marketplace.shopping.turns import end_turn, start_turn
from tests.cast import person
from tests.conversations.world import MANIFEST, bind_sandbox, sell
from tests.gateway.test_tools import Door

pytestmark = pytest.mark.urls("marketplace.gateway.urls")
# Asks $75.05, $71.10, $71.10 for one lamp of $79.00; from five pieces on down to $63.20.
TERMS = Terms(off_ppm=100_000, step_ppm=50_000, rounds=3, breaks=(Break(5, 200_000),))


@pytest.fixture(autouse=True)
def _gateway_process(settings):
    settings.MIDDLEWARE = settings.GATEWAY_MIDDLEWARE
    settings.GATEWAY_CALLS_PER_SECOND = 1000


@pytest.fixture
def rule(lamp, merchant, mia) -> NegotiationRule:
    return add_rule(merchant=merchant, target=lamp, terms=TERMS, active=True, by=mia)


@pytest.fixture
def door(token) -> Door:
    return may_negotiate(token)


def may_negotiate(token: str) -> Door:
    Version.objects.update(manifest={**MANIFEST, "permissions": ["catalog", "negotiate"]})
    return Door(token)


def propose(door, offer, amount, quantity=1, **more):
    return door.call(
        "negotiate", {"offer_id": offer.public_id, "proposed_amount": amount, "quantity": quantity, **more}
    )


def test_rounds_until_a_price_is_agreed_on(door, lamp, rule, turn):
    first = propose(door, lamp, 6000, argument="It is for a student.").json()
    assert (first["answer"], first["price"]["amount"], first["rounds_left"]) == ("counter", 7505, 2)
    assert first["quote"] is None
    second = propose(door, lamp, 7200).json()
    assert (second["answer"], second["price"]["amount"], second["rounds_left"]) == ("accept", 7200, 1)
    assert second["price_before"] == {"amount": 7900, "currency": "USD"}
    quote = Quote.objects.get()
    assert second["quote"]["id"] == str(quote.pk)
    assert (quote.quantity, quote.unit_price.minor, quote.price.minor) == (1, 7200, 7900)
    assert quote.expires_at - now() <= timedelta(minutes=30)
    rounds = NegotiationRound.objects.order_by("number")
    assert [(each.number, each.kind, each.argument) for each in rounds] == [
        (1, "counter", "It is for a student."),
        (2, "accept", ""),
    ]
    assert {each.rule_version for each in rounds} == {rule.changes.get()}
    assert [call.outcome for call in ToolCall.objects.all()] == ["ok", "ok"]


def test_a_round_names_the_version_that_it_was_answered_by(door, lamp, rule, mia):
    mine = rule.changes.get()
    # As when a change is committed after the rule was read.
    rule.changes.create(terms=Terms(off_ppm=1, step_ppm=1, rounds=1).as_json(), active=True, by=mia)
    propose(door, lamp, 7200)
    assert NegotiationRound.objects.get().rule_version == mine


def test_the_last_word_can_be_taken_and_nothing_more(door, lamp, rule):
    for amount in (100, 200, 300):
        told = propose(door, lamp, amount).json()
    assert (told["answer"], told["price"]["amount"], told["rounds_left"]) == ("counter", 7110, 0)
    assert "last word" in told["hint"]
    # Less than the last word, and a quantity that would be another round.
    assert propose(door, lamp, 7109).json()["code"] == "round_limit"
    assert propose(door, lamp, 7800, quantity=5).json()["code"] == "round_limit"
    assert propose(door, lamp, 7110).json()["answer"] == "accept"
    assert propose(door, lamp, 7900).json()["code"] == "round_limit"
    assert NegotiationRound.objects.count() == 4


def test_no_quantity_gives_more_rounds(door, lamp, rule):
    codes = [propose(door, lamp, 100, quantity=some).status_code for some in range(1, 6)]
    assert codes == [200, 200, 200, 422, 422]


def test_a_discount_for_many_is_not_one_for_few(door, lamp, rule):
    propose(door, lamp, 100, quantity=5)
    propose(door, lamp, 200, quantity=5)
    told = propose(door, lamp, 6800, quantity=5).json()
    assert told["answer"] == "accept"
    assert (told["quote"]["least_quantity"], told["quote"]["quantity"]) == (5, 5)


def test_a_retry_is_the_same_round(door, lamp, rule):
    first = propose(door, lamp, 6000, argument="Please").json()
    again = propose(door, lamp, 6000, argument="Please").json()
    assert again == {**first, "already_heard": True}
    propose(door, lamp, 6100, idempotency_key="one")
    propose(door, lamp, 6200)
    kept = propose(door, lamp, 6100, idempotency_key="one").json()
    assert (kept["round"], kept["already_heard"]) == (2, True)
    other = propose(door, lamp, 6300, idempotency_key="one")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert NegotiationRound.objects.count() == 3


def test_what_was_agreed_on_and_is_over_is_no_retry(door, lamp, rule):
    propose(door, lamp, 7600, idempotency_key="one")
    assert propose(door, lamp, 7600).json()["already_heard"]
    Quote.objects.update(expires_at=now() - timedelta(seconds=1))
    kept = propose(door, lamp, 7600, idempotency_key="one").json()
    assert (kept["already_heard"], "no more" in kept["hint"]) == (True, True)
    again = propose(door, lamp, 7600).json()
    assert (again["round"], again["already_heard"], again["answer"]) == (2, False, "accept")
    assert Quote.objects.filter(expires_at__gt=now()).count() == 1


def test_the_last_word_after_the_price_rose_is_told_and_can_be_taken(door, lamp, rule):
    for amount in (100, 200, 300):
        propose(door, lamp, amount)
    type(lamp).objects.update(price_micros=100_000_000)
    # $71.10 was the last counter.
    told = propose(door, lamp, 7110).json()
    assert (told["code"], told["hint"]) == ("round_limit", "Propose $90.00 each for 1 to take that.")
    assert propose(door, lamp, 9000).json()["answer"] == "accept"


def test_refusals_are_typed_and_leave_no_round(door, lamp, mug, rule, merchant):
    wine = sell(merchant, "Wine", "15.00", min_age=18)
    gone = sell(merchant, "Vase", "15.00", stock=0)
    euros = sell(merchant, "Tea", "15.00")
    type(euros).objects.filter(pk=euros.pk).update(currency="EUR")
    codes = {
        propose(door, offer, 1000, quantity=some).json()["code"]: offer
        for offer, some in ((mug, 1), (wine, 1), (gone, 1), (lamp, 6), (euros, 1))
    }
    assert set(codes) == {"no_rule", "age_restricted", "out_of_stock", "other_currency"}
    for unknown, code in (("off_404404", "unknown_offer"), ("var_1", "malformed_id")):
        answer = door.call("negotiate", {"offer_id": unknown, "proposed_amount": 1000})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    proposal = {"offer_id": lamp.public_id, "proposed_amount": 1000}
    for wrong in ({"proposed_amount": 0}, {"quantity": 0}, {"quantity": 100}, {"argument": "x" * 401}):
        assert door.call("negotiate", proposal | wrong).json()["code"] == "invalid_arguments"
    assert not NegotiationRound.objects.exists()
    assert ToolCall.objects.exclude(outcome="ok").count() == ToolCall.objects.count()


def test_a_rule_of_nothing_means_that_it_is_not_negotiated(door, lamp, rule, merchant, mia):
    def give(*breaks: Break) -> None:
        terms = Terms(off_ppm=0, step_ppm=50_000, rounds=3, breaks=breaks)
        change_rule(rule_id=rule.pk, merchant=merchant, terms=terms, active=True, by=mia)

    give()
    assert propose(door, lamp, 7000).json()["code"] == "no_rule"
    give(Break(5, 100_000))
    assert propose(door, lamp, 7000).json()["price"]["amount"] == 7900


def test_a_price_above_the_shoppers_limit_is_a_reason_to_negotiate(door, lamp, rule, turn):
    Conversation.objects.update(limits={"max_price_micros": 75_000_000})
    assert propose(door, lamp, 7400).json()["price"]["amount"] == 7505


def test_no_answer_tells_the_floor(door, lamp, rule, merchant, mia, turn):
    low = Terms(off_ppm=900_000, step_ppm=10_000, rounds=2)
    change_rule(rule_id=rule.pk, merchant=merchant, terms=low, active=True, by=mia)
    answers = [propose(door, lamp, amount) for amount in (1, 790, 7700, 8000)]
    told = b" ".join(answer.content for answer in answers).lower()
    assert not [word for word in (b"floor", b"off_ppm", b"terms", b'"rule') if word in told]
    assert [answer.json().get("answer") for answer in answers] == ["counter", "counter", None, "accept"]
    assert answers[1].json()["price"]["amount"] == 7742
    calls = json.dumps([call.result for call in ToolCall.objects.all()])
    assert "ppm" not in calls


def test_the_answer_is_the_same_whoever_asks(lamp, rule, agent, shopper, prices, conversation, turn):
    told = []
    for name in ("Dora", "Emil"):
        theirs = Shopper.objects.create(user=person(name), facts={"likes": [name]})
        asked = start_turn(
            conversation=open_conversation(shopper=theirs, agent=agent), text=f"{name} pays well"
        )
        _, token = bind_sandbox(asked.conversation)
        told.append(propose(may_negotiate(token), lamp, 7000, argument=f"{name} begs you").json())
    assert told[0] == told[1]


def test_it_needs_the_permission_and_a_turn(token, lamp, rule, turn):
    answer = propose(Door(token), lamp, 7000)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tool")
    door = may_negotiate(token)
    over = door.mcp(
        "tools/call", name="negotiate", arguments={"offer_id": lamp.public_id, "proposed_amount": 7000}
    )
    assert over.json()["result"]["structuredContent"]["answer"] == "counter"
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Bye.")
    assert propose(door, lamp, 7100).json()["code"] == "no_turn"


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_get_no_round_more(door, lamp, rule):
    answers: list[dict[str, Any]] = []

    def ask(amount: int) -> None:
        try:
            answers.append(propose(door, lamp, amount).json())
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(1000 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told["round"] for told in answers if "round" in told) == [1, 2, 3]
    assert [told["code"] for told in answers if "code" in told] == ["round_limit"] * 5
    assert [each.number for each in NegotiationRound.objects.order_by("number")] == [1, 2, 3]


def test_a_deleted_conversation_keeps_prices_and_no_words(door, lamp, rule, turn, conversation, shopper):
    propose(door, lamp, 7700, argument="Sam loves lamps")
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Bye.")
    told = export_shopper(shopper)["conversations"][0]["negotiated"]
    assert [(each["argument"], each["answered_micros"]) for each in told] == [("Sam loves lamps", 77_000_000)]
    delete_conversation(conversation=conversation)
    heard = NegotiationRound.objects.get()
    assert (heard.argument, heard.negotiation.conversation.shopper) == ("", None)

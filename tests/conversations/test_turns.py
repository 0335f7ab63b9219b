"""Conversations and turns as rows."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid, NotFound
from marketplace.publishing.models import Agent
from marketplace.shopping import events, turns
from marketplace.shopping.conversations import (
    AgentNotServing,
    ConversationClosed,
    close_conversation,
    conversation_for,
    delete_conversation,
    lift_limit,
    open_conversation,
)
from marketplace.shopping.failures import LOST
from marketplace.shopping.models import Cart, CartLine, Conversation, Message, Shopper, Turn
from marketplace.shopping.shoppers import give_consent, join_shopper, withdraw_consent
from marketplace.shopping.turns import TurnRunning, end_turn, reap_turns, renew_leases, start_turn
from tests.conversations.world import bind_sandbox


def test_opening_pins_what_later_decides(agent, prices, shopper):
    give_consent(shopper=shopper, scope="profile")
    conversation = open_conversation(shopper=shopper, agent=agent)
    assert conversation.version == agent.live_version
    assert conversation.price_version_ref == str(prices.pk)
    assert conversation.consents == ["profile"]
    assert [row.to_status for row in conversation.status_changes.all()] == ["open"]


def test_a_suspended_agent_takes_no_conversations_and_no_messages(agent, conversation, shopper):
    Agent.objects.update(status=Agent.Status.SUSPENDED)
    with pytest.raises(AgentNotServing):
        open_conversation(shopper=shopper, agent=agent)
    with pytest.raises(AgentNotServing):
        start_turn(conversation=conversation, text="hello")


def test_charlie_does_not_find_sams_conversation(conversation, charlie):
    with pytest.raises(NotFound):
        conversation_for(Shopper.objects.create(user=charlie), conversation.pk)
    with pytest.raises(NotFound):
        conversation_for(None, conversation.pk)


def test_a_message_is_stored_masked_and_its_limit_noted(conversation):
    turn = start_turn(conversation=conversation, text="Under $40, write to sam@example.com")
    message = Message.objects.get(turn=turn)
    assert message.text == "Under $40, write to [e-mail address removed]"
    assert message.masked == ["e-mail address"]
    conversation.refresh_from_db()
    assert conversation.limits == {"max_price_micros": 40_000_000}
    lift_limit(conversation=conversation)
    conversation.refresh_from_db()
    assert conversation.limits == {}


@pytest.mark.parametrize("text", ["", "  \n", "x" * 4001])
def test_what_is_no_message_is_refused(conversation, text):
    with pytest.raises(Invalid):
        start_turn(conversation=conversation, text=text)


def test_one_turn_at_a_time_and_none_after_the_end(conversation, turn):
    with pytest.raises(TurnRunning):
        start_turn(conversation=conversation, text="and?")
    close_conversation(conversation=conversation, by="shopper", reason="done")
    with pytest.raises(ConversationClosed):
        start_turn(conversation=conversation, text="and?")


def test_a_turn_ends_once(turn):
    assert end_turn(turn_id=turn.pk, status="done", by="runner", text="Here.", owner=turn.lease_owner)
    assert not end_turn(turn_id=turn.pk, status="failed", by="reaper", failure=LOST)
    turn.refresh_from_db()
    assert (turn.status, turn.failure) == ("done", "")
    assert [(c.from_status, c.to_status, c.by) for c in turn.status_changes.all()] == [
        ("", "running", "shopper"),
        ("running", "done", "runner"),
    ]


def test_a_lease_belongs_to_its_owner(turn):
    assert renew_leases(owners={turn.pk: turn.lease_owner}) == {turn.pk}
    assert renew_leases(owners={turn.pk: "another:1"}) == set()
    assert not end_turn(turn_id=turn.pk, status="done", by="runner", owner="another:1")


@pytest.mark.django_db(transaction=True)
def test_a_turn_of_a_dead_process_is_ended_and_what_it_said_stays(turn):
    row, _ = bind_sandbox(turn.conversation)
    events.tell(turn.conversation_id, events.Name.MESSAGE_DELTA, turn=str(turn.pk), text="I found ")
    events.tell(turn.conversation_id, events.Name.MESSAGE_DELTA, turn=str(turn.pk), text="a mug")
    assert reap_turns() == 0
    Turn.objects.update(lease_until=now() - timedelta(seconds=1))
    assert reap_turns() == 1
    assert reap_turns() == 0
    turn.refresh_from_db()
    assert (turn.status, turn.fault, turn.failure) == ("failed", "platform", "lease_lost")
    assert Message.objects.get(turn=turn, role="agent").text == "I found a mug"
    row.refresh_from_db()
    assert row.status == "stopped"
    assert turns.running_turn(turn.conversation_id) is None


def test_silent_sandboxes_are_given_back_but_not_in_a_turn(turn):
    row, _ = bind_sandbox(turn.conversation)
    type(row).objects.update(last_used_at=now() - timedelta(minutes=11))
    assert turns.release_idle_sandboxes() == 0
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Here.")
    assert turns.release_idle_sandboxes() == 0, "its silence begins with the turn's end"
    type(row).objects.update(last_used_at=now() - timedelta(minutes=11))
    assert turns.release_idle_sandboxes() == 1


def test_deleting_takes_the_words_and_keeps_the_record_of_what_was_shown(turn, mug):
    from tests.conversations.test_recommendations import recommend

    conversation = turn.conversation
    recommend(turn, mug)
    with pytest.raises(Conflict):
        delete_conversation(conversation=conversation)
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Here.")
    delete_conversation(conversation=conversation)
    conversation.refresh_from_db()
    assert (conversation.status, conversation.shopper) == ("deleted", None)
    assert set(conversation.messages.values_list("text", flat=True)) == {""}
    assert conversation.recommendations.get().reason == ""


def test_deleting_a_conversation_without_cards_leaves_nothing(turn):
    end_turn(turn_id=turn.pk, status="done", by="runner", text="Here.")
    delete_conversation(conversation=turn.conversation)
    assert not Conversation.objects.exists()


def test_signing_in_joins_what_was_done_before(prices, agent, sam, shopper, mug, lamp):
    guest = Shopper.objects.create()
    mine, theirs = Cart.objects.create(shopper=shopper), Cart.objects.create(shopper=guest)
    CartLine.objects.create(cart=mine, offer=mug, quantity=1, seen_price_micros=1)
    CartLine.objects.create(cart=theirs, offer=mug, quantity=2, seen_price_micros=1)
    CartLine.objects.create(cart=theirs, offer=lamp, quantity=1, seen_price_micros=1)
    talk = open_conversation(shopper=guest, agent=agent)
    assert join_shopper(shopper_id=guest.pk, user=sam) == shopper
    talk.refresh_from_db()
    assert talk.shopper == shopper
    assert dict(mine.lines.values_list("offer_id", "quantity")) == {mug.pk: 3, lamp.pk: 1}
    assert not Shopper.objects.filter(pk=guest.pk).exists()
    assert join_shopper(shopper_id=uuid.uuid4(), user=sam) == shopper


def test_nobody_takes_another_persons_shopper(shopper, charlie):
    assert join_shopper(shopper_id=shopper.pk, user=charlie) != shopper
    shopper.refresh_from_db()
    assert shopper.user.email == "sam@example.com"


def test_consent_is_given_once_and_taken_back_at_once(shopper):
    assert give_consent(shopper=shopper, scope="profile") == give_consent(shopper=shopper, scope="profile")
    withdraw_consent(shopper=shopper, scope="profile")
    assert shopper.consents.get().withdrawn_at is not None
    with pytest.raises(Invalid):
        give_consent(shopper=shopper, scope="gaze")

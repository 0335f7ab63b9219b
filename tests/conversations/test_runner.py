"""A turn from the message to its end: streamed, grounded, failed in words, stopped, lost."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from agentstore.kit.clock import now
from agentstore.kit.threads import in_thread
from marketplace.shopping import events, runner, streams, turns
from marketplace.shopping.models import Conversation, Message, Recommendation, Turn
from marketplace.shopping.turns import start_turn
from sandbox.models import Sandbox
from tests.conversations.world import until

pytestmark = pytest.mark.django_db(transaction=True)


async def told(conversation: Conversation) -> list[events.Event]:
    return await events.read_after(conversation.pk, events.BEGINNING)


async def names(conversation: Conversation) -> list[str]:
    return [event.name for event in await told(conversation)]


async def ask(conversation: Conversation, text: str = "A gift under $20") -> Turn:
    turn = await in_thread(start_turn, conversation=conversation, text=text)
    await runner.run_turn(turn.pk, owner=turn.lease_owner)
    await in_thread(turn.refresh_from_db)
    return turn


async def in_the_middle(conversation, play) -> tuple[Turn, asyncio.Task[None], threading.Event]:
    """A turn whose agent has said “One”, and says “Two” once the event is set."""
    over = threading.Event()

    def answer(body, tools):
        yield "One"
        over.wait(20)
        yield "Two"

    await in_thread(play, conversation, answer)
    turn = await in_thread(start_turn, conversation=conversation, text="A gift")
    task = runner.start(turn)
    async for event in streams.follow(conversation.pk, after=events.BEGINNING, heartbeat=10):
        assert event is not None
        if event.name == "message.delta":
            break
    return turn, task, over


@pytest.fixture(autouse=True)
async def _clients():
    yield
    await events.close_client()


async def test_an_answer_is_streamed_and_a_card_is_drawn(conversation, mug, lamp, play):
    def answer(body, tools):
        yield "I found "
        tools.call("recommend", variant_id=f"var_{mug.variant_id}", reason="Blue, as she likes.")
        tools.call("recommend", variant_id=f"var_{lamp.variant_id}", reason="Only $1!")
        yield "a mug."

    program = await in_thread(play, conversation, answer)
    turn = await ask(conversation)
    assert (turn.status, turn.failure) == ("done", "")
    assert turn.first_event_ms is not None
    stream = await told(conversation)
    said = "".join(event.data["text"] for event in stream if event.name == "message.delta")
    assert said == "I found a mug."
    cards = [event.data for event in stream if event.name == "recommendation"]
    assert [(card["title"], card["price"]) for card in cards] == [
        ("Blue mug", {"amount": 1250, "currency": "USD"})
    ]
    assert [event.name for event in stream][-2:] == ["message.done", "turn.done"]
    assert stream[-1].data == {"v": 1, "turn": str(turn.pk), "stopped": False, "cards": 1}
    asked = program.asked[0]
    assert asked["prompt"] == "A gift under $20"
    assert asked["conversation"] == str(conversation.pk)
    assert "sam" not in str(asked).lower()
    refused = await in_thread(lambda: Recommendation.objects.get(status="refused").refusal)
    assert refused == "over_limit"


async def test_an_agent_is_told_what_was_said_before(conversation, play):
    program = await in_thread(play, conversation, lambda body, tools: ["Blue or red?"])
    await ask(conversation, "A mug")
    await ask(conversation, "Blue")
    assert program.asked[1]["messages"] == [
        {"role": "user", "content": "A mug"},
        {"role": "assistant", "content": "Blue or red?"},
        {"role": "user", "content": "Blue"},
    ]


async def test_hostile_text_stays_text(conversation, play):
    await in_thread(play, conversation, lambda body, tools: ["<script>alert(1)</script>\x00 \u202e\ud800"])
    turn = await ask(conversation)
    assert turn.status == "done"
    message = await in_thread(lambda: Message.objects.get(role="agent"))
    assert message.text.startswith("<script>")


@pytest.mark.parametrize(("said", "code"), [([], "empty_answer"), (["x" * 20_000] * 2, "answer_too_large")])
async def test_an_agents_failure_is_the_agents(conversation, play, said, code):
    await in_thread(play, conversation, lambda body, tools: said)
    turn = await ask(conversation)
    assert (turn.status, turn.fault, turn.failure) == ("failed", "agent", code)
    last = (await told(conversation))[-1]
    assert (last.name, last.data["fault"], last.data["code"]) == ("turn.failed", "agent", code)
    assert last.data["message"].startswith("Gift Finder ")
    # A failed agent may still be at it: the next turn gets another sandbox.
    assert await in_thread(lambda: Sandbox.objects.get().status) == "stopped"


async def test_an_agent_that_takes_too_long_is_cut_off_and_keeps_what_it_said(conversation, play):
    resources = {**conversation.version.manifest["resources"], "turn_seconds": 1}
    conversation.version.manifest["resources"] = resources
    await in_thread(conversation.version.save)
    over = threading.Event()

    def answer(body, tools):
        yield "Let me think"
        over.wait(10)

    await in_thread(play, conversation, answer)
    turn = await ask(conversation)
    over.set()
    assert (turn.fault, turn.failure) == ("agent", "turn_timeout")
    assert await in_thread(lambda: Message.objects.get(role="agent").text) == "Let me think"


async def test_an_answer_has_the_size_that_its_manifest_asks_for(conversation, play):
    resources = {**conversation.version.manifest["resources"], "answer_kb": 2}
    conversation.version.manifest["resources"] = resources
    await in_thread(conversation.version.save)
    await in_thread(play, conversation, lambda body, tools: ["x" * 1500] * 2)
    turn = await ask(conversation)
    assert (turn.fault, turn.failure) == ("agent", "answer_too_large")


async def test_a_sandbox_by_former_limits_is_replaced(conversation, play, play_warm, settings):
    await in_thread(play, conversation, lambda body, tools: ["By the old limits."])
    assert (await ask(conversation)).status == "done"
    settings.AGENT_MAX_MEMORY_MB = 64
    await in_thread(play_warm, conversation.version, lambda body, tools: ["By the new ones."])
    assert (await ask(conversation, "And now?")).status == "done"
    said = await in_thread(lambda: list(Message.objects.filter(role="agent").values_list("text", flat=True)))
    assert said == ["By the old limits.", "By the new ones."]
    old, new = await in_thread(lambda: list(Sandbox.objects.order_by("created_at")))
    assert (old.status, new.status, new.run_spec.memory_bytes) == ("stopped", "claimed", 64 * 2**20)


async def test_no_place_is_said_honestly(conversation, run_dir, settings):
    """No host is there: the shopper reads that the store is busy, waits as long as was promised, and is told."""
    settings.SANDBOX_WAIT_SECONDS = 2
    conversation.version.manifest["resources"]["start_seconds"] = 1
    await in_thread(conversation.version.save)
    started = time.monotonic()
    turn = await ask(conversation)
    assert 2 <= time.monotonic() - started < 20
    assert (turn.fault, turn.failure) == ("platform", "no_capacity")
    stream = await told(conversation)
    assert [event.name for event in stream] == ["status", "turn.failed"]
    assert stream[0].data["state"] == "waiting"
    assert "You are next" in stream[0].data["message"]
    assert "The store is busy" in stream[1].data["message"]


async def test_a_stopped_turn_says_no_more(conversation, play):
    turn, task, over = await in_the_middle(conversation, play)
    stopped = await in_thread(turns.stop_turn, conversation=conversation)
    assert stopped == turn.pk
    runner.interrupt(stopped)
    over.set()
    await asyncio.wait({task}, timeout=10)
    assert task.done()
    stream = await told(conversation)
    assert stream[-1].name == "turn.done"
    assert stream[-1].data["stopped"] is True
    assert await in_thread(lambda: Message.objects.get(role="agent").text) == "One"


async def test_who_lost_the_lease_stops_and_changes_nothing(conversation, play, settings):
    settings.TURN_LEASE_SECONDS = 0.6
    # Else the turn's own time is over first.
    conversation.version.manifest["resources"]["turn_seconds"] = 30
    await in_thread(conversation.version.save)
    turn, task, over = await in_the_middle(conversation, play)
    await in_thread(Turn.objects.filter(pk=turn.pk).update, lease_owner="another:1")
    done, _ = await asyncio.wait({task}, timeout=10)
    over.set()
    assert done
    await in_thread(turn.refresh_from_db)
    assert (turn.status, turn.lease_owner) == ("running", "another:1")


async def test_a_lease_is_kept_while_all_threads_are_taken(conversation, play, settings):
    """A crowd's work stands in line for the threads; the leases must not stand behind it."""
    settings.TURN_LEASE_SECONDS = 0.6
    turn, task, over = await in_the_middle(conversation, play)
    crowd = [asyncio.create_task(in_thread(over.wait, 20)) for _ in range(64)]

    def renewed():
        try:
            later = now() + timedelta(seconds=1.8)
            until(lambda: Turn.objects.filter(pk=turn.pk, lease_until__gt=later).exists())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as aside:
        try:
            await asyncio.get_running_loop().run_in_executor(aside, renewed)
        finally:
            over.set()
            await asyncio.gather(*crowd)
    await asyncio.wait({task}, timeout=10)
    assert await in_thread(lambda: Turn.objects.get(pk=turn.pk).status) == "done"


async def test_a_crowd_that_speaks_at_once_is_heard(conversation):
    words = [str(number) for number in range(300)]
    await asyncio.gather(
        *(events.atell(conversation.pk, events.Name.STATUS, message=word) for word in words),
    )
    assert sorted(event.data["message"] for event in await told(conversation)) == sorted(words)

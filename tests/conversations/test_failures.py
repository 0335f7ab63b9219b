"""A failed turn in words: plain to the shopper, useful to the developer, and nobody's words given away."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.clock import now
from marketplace.publishing.models import Version
from marketplace.shopping.agent_failures import count_failures, failures_of
from marketplace.shopping.agent_logs import LETTERS, LINES, TAKEN_OUT, readable_log
from marketplace.shopping.conversations import claim_key, delete_conversation
from marketplace.shopping.failures import DEVELOPER, SHOPPER, Failure, explain_failure, failure_words
from marketplace.shopping.models import Conversation, ToolCall, Turn
from marketplace.shopping.turns import end_turn, start_turn
from sandbox.failures import Fault
from sandbox.models import Sandbox, SandboxStatusChange
from tests.conversations.test_recommendations import recommend
from tests.conversations.world import bind_sandbox, sandbox_of

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "developers.md"
JARGON = re.compile(
    r"memory|timeout|timed out|http|socket|code|status|process|sandbox|container|server|header|redirect|engine|driver|"
    r"image|\blease|stack|exception|crash|\bCPU\b|\bMB\b|_",
    re.IGNORECASE,
)


def test_every_code_has_words_for_shoppers_and_for_developers_and_stands_in_the_guide():
    assert set(SHOPPER) == set(DEVELOPER)
    rows = dict(re.findall(r"^\| `(\w+)` \| (yours|ours) \|", GUIDE.read_text(), flags=re.MULTILINE))
    assert rows == {
        code: "yours" if told.fault == Fault.AGENT else "ours" for code, told in DEVELOPER.items()
    }


@pytest.mark.parametrize("code", sorted(SHOPPER))
def test_shoppers_read_a_plain_sentence_that_blames_nobody_wrongly(code):
    words = SHOPPER[code]
    assert not JARGON.search(words.replace("{agent}", "")), words
    assert "ry again" in words
    if DEVELOPER[code].fault == Fault.AGENT:
        assert words.startswith("{agent} ")
    else:
        assert not words.startswith("{agent}"), "what is ours is not told as the agent's doing"
    assert "{" not in failure_words(DEVELOPER[code].fault, code, "Gift Finder")


@given(st.sampled_from(Fault), st.text(max_size=20))
def test_a_code_of_an_older_release_still_has_words(fault, code):
    assert failure_words(fault, code, "Gift Finder")
    assert explain_failure(code).words


WORD = st.text("abcdefghijklmnopqrstuvwxyzäöü", min_size=1, max_size=9)


@given(st.lists(WORD, min_size=3, max_size=12), st.text(max_size=60), st.text(max_size=60))
def test_no_run_of_the_shoppers_words_is_left_in_a_log(words, before, after):
    message = " ".join(words)
    for printed in (message, message.upper(), repr(message), "\t".join(words)):
        log = readable_log(f"{before}\n{printed}\n{after}", said=[message])
        assert message.casefold() not in log.casefold()


@given(st.text(), st.lists(st.text(max_size=40), max_size=3))
def test_a_log_is_bounded_and_without_control_characters(log, said):
    shown = readable_log(log, said=said)
    assert len(shown) <= LETTERS
    assert shown.count("\n") < LINES
    assert all(c in "\n\t" or c.isprintable() for c in shown)


@pytest.mark.parametrize(
    ("log", "said", "shown"),
    [
        ("asked: red shoes under $50", "red shoes under $50", f"asked: {TAKEN_OUT}"),
        ('{"prompt": "caf\\u00e9 for my sister"}', "café for my sister", f'{{"prompt": "{TAKEN_OUT}"}}'),
        ("got Bellissima", "bellissima", f"got {TAKEN_OUT}"),
        ("KeyError: 'price' in the loop", "the price", "KeyError: 'price' in the loop"),
        ("mail sam@example.com", "", "mail [e-mail address removed]"),
        ("\x1b[31mred\x00", "", "[31mred"),
    ],
)
def test_what_is_taken_out_of_a_log_and_what_stays(log, said, shown):
    assert readable_log(log, said=[said]) == shown


FAILED = Failure(
    Fault.AGENT, "out_of_memory", "The agent closed the connection.",
    "asked: A gift for my sister\nMemoryError", {"memory_kills": 2, "throttled": 0.42},
)  # fmt: skip


def fail(turn: Turn, failure: Failure = FAILED) -> Turn:
    end_turn(turn_id=turn.pk, status=Turn.Status.FAILED, by="runner", failure=failure)
    turn.refresh_from_db()
    return turn


def call(turn: Turn, outcome: str) -> ToolCall:
    return ToolCall.objects.create(
        conversation=turn.conversation, turn=turn, tool="search_catalog", transport="rest", outcome=outcome,
        duration_ms=1,
    )  # fmt: skip


def trace_url(conversation: Conversation) -> str:
    return f"/developer/northwind-labs/conversations/{conversation.pk}/"


FAILURES = "/developer/northwind-labs/agents/gift-finder/failures/"


def test_a_developer_reads_what_happened_what_to_do_and_the_log_without_the_shoppers_words(
    client, alice, turn
):
    call(turn, "ok")
    call(turn, "too_many_calls")
    fail(turn)
    assert "sister" not in turn.log_tail
    client.force_login(alice)
    page = client.get(trace_url(turn.conversation)).content.decode()
    for words in (
        "It used more memory than its manifest asks for", "Raise memory_mb", "the agent's fault",
        "The agent closed the connection.", "the kernel ended a process of it 2 times",
        "42% of the time slices", "1 beyond calls_per_turn were refused", "MemoryError",
    ):  # fmt: skip
        assert words in page, words
    assert "sister" not in page


def test_strangers_see_no_failures(client, charlie, bob, sam, turn):
    fail(turn)
    for person, status in ((bob, 200), (charlie, 404), (sam, 404)):
        client.force_login(person)
        assert client.get(FAILURES).status_code == status
        assert client.get(trace_url(turn.conversation)).status_code == status
    client.logout()
    assert client.get(FAILURES).status_code in (302, 401)
    client.force_login(charlie)
    # Not by way of an organization of their own either.
    assert client.get(FAILURES.replace("northwind-labs", "contoso")).status_code == 404


def test_failures_are_counted_by_version_and_code(client, alice, agent, conversation):
    client.force_login(alice)
    assert "Nothing failed" in client.get(FAILURES).content.decode()
    for _ in range(3):
        fail(start_turn(conversation=conversation, text="A gift for my sister"))
    fail(start_turn(conversation=conversation, text="Hello"), Failure(Fault.PLATFORM, "lease_lost"))
    other = Version.objects.create(
        agent=agent, semver="1.1.0", manifest=agent.live_version.manifest, image_id=agent.live_version.image_id,
        bundle_sha256="c" * 64, status=Version.Status.RETIRED,
    )  # fmt: skip
    row, _ = sandbox_of(other, status=Sandbox.Status.FAILED)
    lost = {"failure_code": "exited", "fault": "agent", "ended_at": now(), "log_tail": "Traceback: no key"}
    Sandbox.objects.filter(pk=row.pk).update(**lost)
    # A sandbox's failure in a turn is the turn's, an old one is over, the platform's own is not the agent's.
    claimed, _ = bind_sandbox(conversation)
    Sandbox.objects.filter(pk=claimed.pk).update(status="failed", **lost)
    for change in ({"ended_at": now() - timedelta(days=31)}, {"fault": "platform"}):
        past, _ = sandbox_of(other, status=Sandbox.Status.FAILED)
        Sandbox.objects.filter(pk=past.pk).update(**{**lost, **change})
    counted = [(row.semver, row.code, row.number) for row in count_failures(agent)]
    assert counted == [("1.0.0", "out_of_memory", 3), ("1.0.0", "lease_lost", 1), ("1.1.0", "exited", 1)]
    assert failures_of(agent).count() == 5
    page = client.get(FAILURES).content.decode()
    assert page.count("Its trace and log") == 4
    assert "Traceback: no key" in page


def test_the_log_of_a_sandbox_that_died_between_turns_keeps_the_shoppers_words_too(
    client, alice, agent, turn
):
    end_turn(turn_id=turn.pk, status=Turn.Status.DONE, by="runner", text="Here.")
    row, _ = bind_sandbox(turn.conversation)
    Sandbox.objects.filter(pk=row.pk).update(
        status="failed", failure_code="exited", fault="agent", ended_at=now(),
        log_tail="asked: A gift for my sister\nSegmentation fault",
    )  # fmt: skip
    SandboxStatusChange.objects.create(sandbox=row, from_status="claimed", to_status="failed", by="reaper")
    client.force_login(alice)
    page = client.get(FAILURES).content.decode()
    assert "Segmentation fault" in page
    assert "sister" not in page
    delete_conversation(conversation=turn.conversation)
    assert Sandbox.objects.get(claim_key=claim_key(turn.conversation_id)).log_tail == ""


def test_pages_of_failures(client, alice, conversation):
    for number in range(32):
        fail(start_turn(conversation=conversation, text=f"Try {number}"))
    client.force_login(alice)
    assert "Page 1 of 2" in client.get(FAILURES).content.decode()
    assert client.get(f"{FAILURES}?page=2").content.decode().count("Its trace and log") == 2


def test_a_deleted_conversation_leaves_no_log(turn, mug):
    """It stays as a record for what was shown in it."""
    recommend(turn, mug, reason="Blue.")
    fail(turn)
    assert turn.log_tail
    delete_conversation(conversation=turn.conversation)
    turn.refresh_from_db()
    assert (turn.log_tail, turn.failure_detail, turn.failure) == ("", "", "out_of_memory")


def test_a_ceiling_below_what_a_version_asks_for_is_said(client, alice, agent, settings):
    client.force_login(alice)
    address = "/developer/northwind-labs/agents/gift-finder/"
    assert "is below what the live version asks for" not in client.get(address).content.decode()
    settings.AGENT_MAX_MEMORY_MB = 64
    for page in (address, FAILURES):
        assert "agent.toml asks for 128; this store allows 64." in client.get(page).content.decode()

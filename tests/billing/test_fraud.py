"""Named rules flag fees; flagged ones wait for an operator, who releases or rejects them with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.urls import reverse

from agentstore.kit.errors import Conflict, Invalid, NotFound
from billing import fraud, metering, posting
from billing.fraud import Rule
from billing.models import Journal, UsageEvent, UsageTally
from billing.review import reject_event, release_event
from tests.billing.conftest import MERCHANT, at, converse
from tests.billing.test_ledger import in_threads
from tests.billing.test_pages import text


@pytest.fixture(autouse=True)
def _on_the_day():
    with time_machine.travel(at(24)):
        yield


def rules_of(event_id) -> set[str]:
    return set(UsageEvent.objects.get(pk=event_id).flags.values_list("rule", flat=True))


def end_quarantine() -> None:
    with time_machine.travel(at(25)):
        posting.post_due_events()


def status_of(event_id) -> str:
    return UsageEvent.objects.get(pk=event_id).status


def flagged(prices, **changes):
    return converse(prices, reported=[Rule.OWN_ORGANIZATION], **changes).event_id


def test_what_the_caller_saw_keeps_a_fee_from_posting(prices, budget):
    event_id, clean = flagged(prices), converse(prices).event_id
    end_quarantine()
    assert (status_of(event_id), status_of(clean)) == ("review", "posted")
    assert rules_of(event_id) == {"own_organization"}
    event = UsageEvent.objects.get(pk=event_id)
    assert [change.status for change in event.changes.all()] == ["held", "quarantined", "review"]
    assert event.hold.captured_at is None, "it still counts against the cap"


def test_one_shopper_in_many_conversations(prices, budget, settings):
    settings.FRAUD_BUYER_CONVERSATIONS = 2
    mine = [converse(prices, buyer_ref="shopper:1").event_id for _ in range(4)]
    others = [converse(prices, buyer_ref=f"shopper:{number}").event_id for number in (2, 3, 4)]
    unknown = [converse(prices).event_id for _ in range(3)]
    assert [rules_of(event_id) for event_id in mine] == [{"many_conversations"}] * 4
    assert not any(rules_of(event_id) for event_id in [*others, *unknown])
    tomorrow = converse(prices, buyer_ref="shopper:1", occurred_at=at(25)).event_id
    assert rules_of(tomorrow) == set()


def test_too_many_fees_of_one_studio_in_a_short_time(prices, budget, settings):
    settings.FRAUD_VELOCITY = 2
    events = [
        converse(prices, occurred_at=at(24) + timedelta(minutes=minute)).event_id
        for minute in (0, 11, 12, 13)
    ]
    assert [rules_of(event_id) for event_id in events] == [set()] + [{"velocity"}] * 3
    elsewhere = converse(
        prices, developer_ref="org:other", occurred_at=at(24) + timedelta(minutes=13)
    ).event_id
    assert rules_of(elsewhere) == set()


@pytest.mark.django_db(transaction=True)
def test_counts_do_not_race(prices, budget, settings):
    settings.FRAUD_BUYER_CONVERSATIONS = 11
    in_threads(4, lambda number: [converse(prices, buyer_ref="shopper:1") for _ in range(3)])
    assert UsageTally.objects.get(subject="buyer:shopper:1").events == 12
    assert UsageEvent.objects.filter(flags__rule="many_conversations").count() == 12


@pytest.mark.parametrize(
    ("seconds", "messages", "rules"),
    [
        (2.9, 1, {"instant_close"}),
        (3, 1, set()),
        (60, 0, {"no_real_message"}),
        (1, 0, {"instant_close", "no_real_message"}),
    ],
)
def test_how_a_conversation_ended(prices, budget, seconds, messages, rules):
    event_id = converse(prices, "one").event_id
    other = converse(prices, "another").event_id
    ended_at = at(24) + timedelta(seconds=seconds)
    for _ in range(2):
        fraud.note_end_of_conversation(conversation_ref="one", ended_at=ended_at, real_messages=messages)
    assert (rules_of(event_id), rules_of(other)) == (rules, set())


def test_what_is_told_after_the_quarantine_changes_nothing(prices, budget):
    event_id = converse(prices, "one").event_id
    end_quarantine()
    assert fraud.note_end_of_conversation(conversation_ref="one", ended_at=at(24), real_messages=0) == 0
    assert (status_of(event_id), rules_of(event_id)) == ("posted", set())


def test_a_released_fee_posts_once(prices, budget):
    event_id = flagged(prices)
    end_quarantine()
    for _ in range(2):
        release_event(event_id=event_id, reason="a member of staff who really shops", by="olivia")
    end_quarantine()
    release_event(event_id=event_id, reason="again", by="olivia")
    assert status_of(event_id) == "posted"
    assert Journal.objects.count() == 1
    change = UsageEvent.objects.get(pk=event_id).changes.get(status="rated")
    assert (change.by, change.reason) == ("olivia", "a member of staff who really shops")


def test_a_rejected_fee_is_never_posted_and_frees_the_cap(prices, budget):
    event_id = flagged(prices)
    end_quarantine()
    reject_event(event_id=event_id, reason="their own shop", by="olivia")
    end_quarantine()
    assert status_of(event_id) == "rejected"
    assert not Journal.objects.exists()
    budget.refresh_from_db()
    assert budget.spent_micros == 0
    with pytest.raises(Conflict):
        release_event(event_id=event_id, reason="after all", by="olivia")


def test_a_decision_needs_a_reason_and_a_fee(prices, budget):
    event_id = flagged(prices)
    for decide in (release_event, reject_event):
        with pytest.raises(Invalid):
            decide(event_id=event_id, reason="  ", by="olivia")
        with pytest.raises(NotFound):
            decide(event_id=budget_id_of_nobody(), reason="x", by="olivia")


def budget_id_of_nobody():
    return "00000000-0000-7000-8000-000000000000"


def test_old_counts_are_forgotten(prices, budget):
    converse(prices, buyer_ref="shopper:1")
    assert fraud.forget_tallies() == 0
    with time_machine.travel(at(2, month=12)):
        assert fraud.forget_tallies() == 2


def test_the_operator_decides_on_the_page(client, olivia, prices, budget):
    first, second = flagged(prices), flagged(prices)
    converse(prices)
    client.force_login(olivia)
    url = reverse("billing:review")
    page = text(client, url)
    assert page.count('name="event"') == 2
    assert "Own organization" in page
    assert 'name="event"' not in text(client, url + "?rule=velocity")
    assert client.post(url, {"decision": "reject", "event": [first], "reason": ""}).status_code == 400
    assert client.post(url, {"decision": "reject", "reason": "x"}).status_code == 400
    assert client.post(url, {"decision": "reject", "event": ["x"], "reason": "x"}).status_code == 400
    assert client.post(url, {"decision": "x", "event": [first], "reason": "x"}).status_code == 400
    assert client.post(url, {"decision": "reject", "event": [first], "reason": "fraud"}).status_code == 302
    assert client.post(url, {"decision": "release", "event": [second], "reason": "fine"}).status_code == 302
    assert (status_of(first), status_of(second)) == ("rejected", "rated")
    assert "Nothing is flagged" in text(client, url)


def test_flagged_fees_are_the_operators(client, charlie, mia, merchant, prices, budget):
    event_id = flagged(prices, merchant_ref=MERCHANT)
    for person in (charlie, mia):
        client.force_login(person)
        text(client, reverse("billing:review"), 404)
        body = {"decision": "release", "event": [event_id], "reason": "let me"}
        assert client.post(reverse("billing:review"), body).status_code == 404
    assert metering.Status(status_of(event_id)) == "quarantined"


@pytest.mark.django_db(transaction=True)
def test_a_fee_can_be_rejected_while_a_rule_flags_it(prices, budget):
    """Who flags it holds the budget that the rejection waits for, so it must not wait for the rejection."""
    event_id = flagged(prices)
    with transaction.atomic():
        reject_event(event_id=event_id, reason="a bot", by="olivia")

        def flag(number: int) -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                fraud.flag_events([event_id], rule=Rule.VELOCITY, detail="")

        in_threads(1, flag)
    assert rules_of(event_id) == {"own_organization", "velocity"}

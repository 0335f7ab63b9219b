"""The inbox: signed events, each handled once, none lost."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import time_machine
from celery import current_app
from django.db import transaction

from agentstore.kit.clock import now
from billing import webhooks
from billing.models import Account, WebhookEvent
from billing.processor.errors import InvalidSignature
from billing.stripe_standin.events import signature
from tests.billing.standin import SECRET
from tests.billing.test_ledger import in_threads

TASK = "tests.settle"


@pytest.fixture(autouse=True)
def told(settings, monkeypatch):
    """What was handed to Celery, instead of a broker."""
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    settings.PROCESSOR_EVENT_TASKS = {"payment_intent.": TASK}
    sent: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: sent.append((name, args)))
    return sent


def event(id_: str = "evt_1", type_: str = "payment_intent.succeeded") -> bytes:
    thing = {
        "id": "pi_1", "object": "payment_intent", "amount": 12_900, "currency": "usd",
        "metadata": {"reference": "order:1"},
    }  # fmt: skip
    told = {"id": id_, "object": "event", "type": type_, "created": 1_795_000_000, "data": {"object": thing}}
    return json.dumps(told).encode()


def deliver(client, body: bytes, header: str | None = None):
    given = signature(body.decode(), SECRET) if header is None else header
    return client.post(
        "/webhooks/stripe/", body, content_type="application/json", headers={"stripe-signature": given}
    )


@pytest.mark.django_db(transaction=True)
def test_an_event_is_received_once_and_handed_on(client, told):
    assert deliver(client, event()).status_code == 200
    assert deliver(client, event()).status_code == 200
    row = WebhookEvent.objects.get()
    assert told == [(TASK, [row.pk])]
    assert row.handled_at is None


@pytest.mark.django_db(transaction=True)
def test_one_event_delivered_by_many_at_once_is_one(told):
    body = event()
    in_threads(6, lambda number: webhooks.receive(body=body, signature=signature(body.decode(), SECRET)).pk)
    assert WebhookEvent.objects.count() == len(told) == 1


@pytest.mark.parametrize("header", ["", "t=1,v1=00", "nonsense"])
def test_what_is_not_signed_is_refused(db, client, told, header):
    answer = deliver(client, event(), header)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_signature"
    assert not WebhookEvent.objects.exists()


def test_events_of_connected_accounts_are_signed_by_a_secret_of_their_own(db, client, settings):
    header = signature(event().decode(), "whsec_connect")
    assert deliver(client, event(), header).status_code == 400
    settings.STRIPE_CONNECT_WEBHOOK_SECRET = "whsec_connect"
    assert deliver(client, event(), header).status_code == 200


def test_an_old_signature_is_refused(db):
    body = event()
    old = signature(body.decode(), SECRET, at=int(now().timestamp()) - 301)
    with pytest.raises(InvalidSignature):
        webhooks.receive(body=body, signature=old)


def test_a_changed_body_is_refused(db, client):
    header = signature(event().decode(), SECRET)
    assert deliver(client, event("evt_2"), header).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_events_that_nobody_wants_are_done_at_once(client, told):
    deliver(client, event(type_="balance.available"))
    assert WebhookEvent.objects.get().handled_at is not None
    assert told == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("type_", "wanted"), [("payment_intent.succeeded", False), ("payout.paid", True)])
def test_what_connected_accounts_may_tell_of(client, told, settings, type_, wanted):
    settings.PROCESSOR_EVENT_TASKS = {"payment_intent.": TASK, "payout.": TASK}
    body = json.dumps({**json.loads(event(type_=type_)), "account": "acct_1"}).encode()
    assert deliver(client, body).status_code == 200
    assert bool(told) == wanted


@pytest.fixture
def received(db) -> WebhookEvent:
    body = event()
    return webhooks.receive(body=body, signature=signature(body.decode(), SECRET))


def test_handling_twice_does_it_once(received):
    with webhooks.handle(received.pk) as first:
        assert first is not None
        assert (first.payment_id, first.reference, str(first.amount)) == ("pi_1", "order:1", "$129.00")
    with webhooks.handle(received.pk) as second:
        assert second is None


def test_what_fails_is_rolled_back_noted_and_handed_out_again_later(received, told):
    def fail() -> None:
        with webhooks.handle(received.pk):
            Account.objects.create(owner_ref="x", kind="rounding", currency="USD")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert not Account.objects.exists()
    received.refresh_from_db()
    assert (received.attempts, received.last_error) == (1, "ValueError: no")
    assert webhooks.dispatch_unhandled() == 0
    with time_machine.travel(now() + timedelta(minutes=5)):
        assert webhooks.dispatch_unhandled() == 1
        assert webhooks.dispatch_unhandled() == 0
    assert told == [(TASK, [received.pk])]
    with webhooks.handle(received.pk) as event_:
        assert event_ is not None


@pytest.mark.django_db(transaction=True)
def test_workers_that_handle_one_event_side_by_side_do_it_once():
    body = event()
    row = webhooks.receive(body=body, signature=signature(body.decode(), SECRET))

    def work(number: int) -> bool:
        with webhooks.handle(row.pk) as event_:
            if event_ is not None:
                Account.objects.create(owner_ref=f"worker {number}", kind="rounding", currency="USD")
            return event_ is not None

    assert sorted(in_threads(4, work)) == [False, False, False, True]
    assert Account.objects.count() == 1


def test_an_event_of_a_rolled_back_receipt_is_not_handed_on(db, told, django_capture_on_commit_callbacks):
    body = event()
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        webhooks.receive(body=body, signature=signature(body.decode(), SECRET))
        transaction.set_rollback(True)
    assert told == []

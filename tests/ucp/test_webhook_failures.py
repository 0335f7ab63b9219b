"""Platforms that refuse, hang, go away or lead inside, and workers that die: nothing is lost, nobody is held up."""

from __future__ import annotations

import os
import signal
import socket
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client

from agentstore.kit.clock import now
from agentstore.kit.fetch import Bounds
from marketplace.shopping.models import Order, UcpOrderEvent, UcpProfile
from marketplace.shopping.ucp import webhooks
from marketplace.shopping.ucp.webhooks import send_again, tell_platform
from tests.conversations.world import until
from tests.ucp.profiles import PATH, document, telling
from tests.ucp.receiver import HOOK, buy, make_due, refund
from tests.web import lead_to


@pytest.mark.parametrize("status", [400, 410, 500, 503, 302])
def test_what_is_not_taken_is_sent_again_alike_and_before_what_follows(receiver, goods, processor, status):
    receiver.take(status)
    buy(receiver, goods.kettle)
    assert tell_platform(platform=receiver.profile) == 0
    refund(Order.objects.get(), processor)
    make_due()
    assert tell_platform(platform=receiver.profile) == 0
    assert f"status {status}" in UcpOrderEvent.objects.earliest("pk").last_error
    receiver.take()
    make_due()
    assert tell_platform(platform=receiver.profile) == 3
    first, again, third, *_ = receiver.posts()
    assert [(sent[0]["idempotency-key"], sent[1]) for sent in (again, third)] == [
        (first[0]["idempotency-key"], first[1])
    ] * 2
    assert [len(order["adjustments"]) for order in receiver.told()] == [0, 0, 0, 1, 1]


def test_a_redirect_is_not_followed(receiver, goods, servers):
    servers[0].answers[HOOK] = lead_to(servers[0].url("/elsewhere"))
    buy(receiver, goods.kettle)
    tell_platform(platform=receiver.profile)
    assert [path for path, _, _ in servers[0].posted] == [HOOK]


def hang(handler):
    handler.server.stop.wait(20)


def drip(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.stop.wait(0.02):
        handler.wfile.write(b"X: y\r\n")


def go_away(handler):
    handler.connection.close()


@pytest.mark.parametrize("behaviour", [hang, drip, go_away])
def test_a_platform_that_is_away_holds_nobody_up_for_long(receiver, goods, servers, monkeypatch, behaviour):
    monkeypatch.setattr(webhooks, "_BOUNDS", Bounds(max_bytes=1000, seconds=0.3))
    monkeypatch.setattr(webhooks, "_FIRST_RETRY", timedelta(hours=1))
    servers[0].answers[HOOK] = behaviour
    for _ in range(3):
        buy(receiver, goods.kettle)
    assert tell_platform(platform=receiver.profile) == 0
    # Of its three orders one was tried, and the others wait as long.
    assert sorted(UcpOrderEvent.objects.values_list("attempts", flat=True)) == [0, 0, 1]
    assert UcpOrderEvent.objects.filter(due_at__gt=now()).count() == 3
    monkeypatch.undo()
    receiver.take()
    UcpOrderEvent.objects.filter(attempts=1).update(due_at=now())
    assert tell_platform(platform=receiver.profile) >= 1
    make_due()
    tell_platform(platform=receiver.profile)
    assert not UcpOrderEvent.objects.filter(status="pending").exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_while_it_sends_loses_nothing(receiver, goods, servers):
    servers[0].answers[HOOK] = hang
    buy(receiver, goods.kettle)
    pid = os.fork()
    if not pid:
        try:
            connection.connection = None  # the parent's
            tell_platform(platform=receiver.profile)
        finally:
            os._exit(0)
    try:
        until(receiver.posts)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert UcpOrderEvent.objects.get().status == "pending"
    receiver.take()
    make_due()
    until(lambda: tell_platform(platform=receiver.profile))
    first, again = receiver.posts()
    assert (first[0]["idempotency-key"], first[1]) == (again[0]["idempotency-key"], again[1])


def test_pauses_grow_and_end_after_three_days(receiver, goods):
    receiver.take(500)
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        buy(receiver, goods.kettle)
        UcpProfile.objects.update(fresh_until=now() + timedelta(days=9))
        pauses = []
        while (event := UcpOrderEvent.objects.get()).status == "pending":
            clock.move_to(event.due_at)
            tell_platform(platform=receiver.profile)
            event.refresh_from_db()
            pauses.append((event.due_at - now()).total_seconds())
        assert pauses[:4] == [5, 15, 45, 135]
        assert max(pauses) == 6 * 3600
        assert event.status == "given_up"
        assert timedelta(days=3) <= now() - event.at < timedelta(days=3, hours=6)
    assert (event.changes.get().to_status, event.body) == ("given_up", "")


def test_an_event_that_kills_every_worker_is_given_up_and_the_next_one_goes_out(receiver, goods, processor):
    buy(receiver, goods.kettle)
    refund(Order.objects.get(), processor)
    UcpOrderEvent.objects.filter(kind="created").update(attempts=40)
    assert tell_platform(platform=receiver.profile) == 2
    assert [len(order["adjustments"]) for order in receiver.told()] == [1, 1]
    killer = UcpOrderEvent.objects.get(kind="created")
    assert (killer.status, killer.changes.get().to_status) == ("given_up", "given_up")


def give_up():
    UcpOrderEvent.objects.update(since=now() - timedelta(days=4), due_at=now())


def test_operators_see_what_was_given_up_and_send_it_again(receiver, goods, processor, olivia, charlie):
    receiver.take(500)
    buy(receiver, goods.kettle)
    give_up()
    tell_platform(platform=receiver.profile)
    event = UcpOrderEvent.objects.get()
    page = "/admin/shopping/ucporderevent/"
    form = {"action": "send_again", "_selected_action": [event.pk]}
    stranger, operator = Client(), Client()
    stranger.force_login(charlie)
    assert stranger.post(page, form).status_code == 302
    event.refresh_from_db()
    assert event.status == "given_up"
    olivia.is_superuser = True
    olivia.save()
    operator.force_login(olivia)
    assert b"It answered with status 500." in operator.get(page).content
    assert operator.get(f"{page}{event.pk}/change/").status_code == 200
    assert b"1 will be sent again" in operator.post(page, form, follow=True).content
    receiver.take()
    assert tell_platform(platform=receiver.profile) == 1
    first, again = receiver.posts()
    assert again[0]["idempotency-key"] == first[0]["idempotency-key"]
    event.refresh_from_db()
    assert [change.to_status for change in event.changes.all()] == ["given_up", "pending", "delivered"]
    assert event.changes.get(to_status="pending").by == olivia
    with pytest.raises(webhooks.AlreadyDelivered):
        send_again(event_id=event.event_id, by=olivia)


def test_an_inner_address_is_refused_at_each_delivery(receiver, goods, servers):
    servers[0].answers[PATH] = telling(
        document(webhook=f"https://127.0.0.2:{servers[1].server_address[1]}/secret")
    )
    buy(receiver, goods.kettle)
    tell_platform(platform=receiver.profile)
    event = UcpOrderEvent.objects.get()
    assert (event.status, event.attempts) == ("pending", 1)
    assert "not on the public internet" in event.last_error
    assert servers[1].posted == servers[1].asked == []


def test_in_live_mode_events_reach_no_network_of_the_operators(receiver, goods, settings):
    buy(receiver, goods.kettle)
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        UcpProfile.objects.update(webhook_url=f"https://127.0.0.1:{inside.getsockname()[1]}/")
        settings.LIVE = True
        tell_platform(platform=receiver.profile)
        assert "not on the public internet" in UcpOrderEvent.objects.get().last_error
        with pytest.raises(BlockingIOError):
            inside.accept()


def test_a_name_that_comes_to_lead_inside_is_refused_then(receiver, goods, servers, monkeypatch):
    """Resolved anew for each delivery, checked, and connected to as checked."""
    name = f"http://platform.example:{servers[0].server_address[1]}{HOOK}"
    buy(receiver, goods.kettle)
    UcpProfile.objects.update(webhook_url=name)
    leads = iter(["127.0.0.1", "127.0.0.2"])
    real = socket.getaddrinfo

    def resolve(host, *given, **more):
        return real(next(leads) if host == "platform.example" else host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    receiver.take(500)
    tell_platform(platform=receiver.profile)
    assert len(receiver.posts()) == 1
    make_due()
    tell_platform(platform=receiver.profile)
    assert "not on the public internet" in UcpOrderEvent.objects.get().last_error
    assert servers[1].posted == []

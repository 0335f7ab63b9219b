"""Platforms are told of their orders' changes: signed, in order, until they take it, and of nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from ucp_sdk.models.schemas.shopping.order import Order as UcpOrderModel

from agentstore.kit.clock import now
from billing.processor import disputes
from billing.processor.client import client
from billing.processor.test_methods import TEST_METHODS
from marketplace.catalog.ucp.versions import AUGUST
from marketplace.shopping import refunds
from marketplace.shopping.models import Order, UcpCheckout, UcpOrderEvent, UcpPlatform, UcpProfile
from marketplace.shopping.ucp.webhooks import forget_events, tell_platform, wake_platforms
from tests.ucp.profiles import PATH, document, telling
from tests.ucp.receiver import HOOK, Receiver, buy
from tests.ucp.test_signatures import jwk


def test_an_order_is_told_whole_and_signed_by_the_published_key(receiver, goods):
    done = buy(receiver, goods.kettle)
    assert tell_platform(platform=receiver.profile) == 1
    [(headers, content)] = receiver.posts()
    [order] = receiver.told()
    UcpOrderModel.model_validate(order)
    assert (order["id"], order["checkout_id"]) == (done["order"]["id"], done["id"])
    assert order == receiver.rest("GET", f"orders/{order['id']}")
    assert headers["ucp-agent"].endswith('/.well-known/ucp"')
    assert headers["idempotency-key"] == str(UcpOrderEvent.objects.get().event_id)
    [key] = Client().get("/.well-known/ucp").json()["signing_keys"]
    covered = receiver.verify(headers, content, key)
    assert set(covered) >= {
        "@method", "@authority", "@path", "@query", "ucp-agent", "idempotency-key", "content-digest", "content-type",
    }  # fmt: skip
    with pytest.raises(InvalidSignature):
        receiver.verify({**headers, "idempotency-key": "another"}, content, key)
    event = UcpOrderEvent.objects.get()
    assert (event.status, event.body) == ("delivered", "")
    assert tell_platform(platform=receiver.profile) == 0


def stories(receiver):
    """Of each order that it was told of, the adjustments."""
    return [
        [
            (part["type"], part["status"], part["totals"][0]["amount"])
            for part in UcpOrderModel.model_validate(told).model_dump(mode="json")["adjustments"]
        ]
        for told in receiver.told()
    ]


def test_a_refund_follows_the_order_that_it_belongs_to(receiver, goods, processor):
    buy(receiver, goods.kettle)
    tell_platform(platform=receiver.profile)
    made = refunds.refund_whole(order=Order.objects.get(), reason="It leaks.")
    tell_platform(platform=receiver.profile)
    refunds.send_refund(refund_id=made.pk)
    processor.deliver()
    tell_platform(platform=receiver.profile)
    assert stories(receiver) == [[], [("refund", "pending", -3550)], [("refund", "completed", -3550)]]
    assert [event.kind for event in UcpOrderEvent.objects.order_by("pk")] == ["created", "refund", "refund"]


@pytest.mark.parametrize("won", [True, False])
def test_a_dispute_is_told_when_it_begins_and_when_it_ends(receiver, goods, processor, monkeypatch, won):
    monkeypatch.setitem(TEST_METHODS, "pm_card_createDispute", "Pays, and is disputed")
    buy(receiver, goods.kettle, goods.headphones, method="pm_card_createDispute")
    tell_platform(platform=receiver.profile)
    processor.deliver()
    tell_platform(platform=receiver.profile)
    payment = Order.objects.earliest("pk").checkout.payment_ref
    dispute = client().v1.disputes.list({"payment_intent": payment}).data[0]
    if won:
        disputes.answer_dispute(dispute_id=dispute.id, text="winning_evidence")
    else:
        disputes.accept_dispute(dispute_id=dispute.id)
    processor.deliver()
    tell_platform(platform=receiver.profile)
    ended = "failed" if won else "completed"
    assert sorted(map(str, stories(receiver))) == sorted(
        map(
            str,
            [
                [],
                [],
                *([("dispute", status, -part)] for status in ("pending", ended) for part in (3550, 9900)),
            ],
        )
    )
    assert [event.kind for event in UcpOrderEvent.objects.order_by("pk")] == ["created"] * 2 + ["dispute"] * 4


def test_goods_of_two_merchants_are_an_event_for_each_order(receiver, goods):
    done = buy(receiver, goods.kettle, goods.headphones)
    assert tell_platform(platform=receiver.profile) == 2
    assert {order["id"] for order in receiver.told()} == {order["id"] for order in done["orders"]}


def test_another_platforms_order_is_not_told(receiver, goods, servers):
    charlie = Receiver(servers[0], "/charlie")
    buy(receiver, goods.kettle)
    assert tell_platform(platform=charlie.profile) == 0
    assert tell_platform(platform=receiver.profile) == 1
    assert charlie.posts() == []
    # Nor is what an unsigned request is not told either.
    assert "Main St" not in str(receiver.told())


def test_who_declares_no_webhook_is_told_nothing(receiver, goods, servers):
    servers[0].answers[PATH] = telling(document())
    buy(receiver, goods.kettle)
    assert not UcpOrderEvent.objects.exists()


def test_a_webhook_taken_out_of_the_profile_is_not_called(receiver, goods, servers):
    buy(receiver, goods.kettle)
    servers[0].answers[PATH] = telling(document())
    UcpProfile.objects.update(fresh_until=now())
    tell_platform(platform=receiver.profile)
    assert UcpOrderEvent.objects.get().status == "unwanted"
    assert receiver.posts() == []


def test_a_signed_platform_is_told_where_its_order_goes(receiver, goods):
    buy(receiver, goods.kettle)
    UcpCheckout.objects.update(signed=True)
    tell_platform(platform=receiver.profile)
    assert "1 Main St" in str(receiver.told())


def test_an_entered_platform_that_was_never_fetched_is_told_once_it_can_be(receiver, goods, servers):
    UcpPlatform.objects.create(profile=receiver.profile)
    buy(receiver, goods.kettle)
    assert not UcpProfile.objects.filter(profile=receiver.profile).exists()
    assert tell_platform(platform=receiver.profile) == 1
    assert len(receiver.posts()) == 1


def test_what_was_lost_on_the_way_is_found_and_what_is_over_is_forgotten(receiver, goods):
    buy(receiver, goods.kettle)
    assert wake_platforms() == 1
    tell_platform(platform=receiver.profile)
    assert wake_platforms() == 0
    assert forget_events() == 0
    UcpOrderEvent.objects.update(at=now() - timedelta(days=31))
    assert forget_events() == 2, "the event and its change"


def test_an_order_is_told_in_the_newer_version_to_who_declares_it(receiver, goods, servers):
    key = jwk(ec.generate_private_key(ec.SECP256R1()), "k1")
    servers[0].answers[PATH] = telling(document(version=AUGUST, webhook=servers[0].url(HOOK), keys=[key]))
    buy(receiver, goods.kettle)
    tell_platform(platform=receiver.profile)
    assert receiver.told()[0]["ucp"]["version"] == AUGUST

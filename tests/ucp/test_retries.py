"""Requests sent twice, refused and sent again, and purchases that were cut off."""

from __future__ import annotations

from datetime import timedelta

from agentstore.kit.clock import now
from marketplace.shopping.models import UcpCheckout, UcpReply
from marketplace.shopping.ucp import settling
from marketplace.shopping.ucp.replies import KEPT_FOR, forget_replies
from tests.ucp.world import SOMEBODY_ELSE, Platform, card, variant


def test_the_same_key_answers_the_same_and_refuses_other_arguments(platform, goods):
    line = {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}]}
    first = platform.rest("POST", "checkout-sessions", line, status=201, key="k" * 32)
    again = platform.rest("POST", "checkout-sessions", line, status=201, key="k" * 32)
    assert first == again
    assert UcpCheckout.objects.count() == 1
    line["line_items"][0]["quantity"] = 2
    refused = platform.rest("POST", "checkout-sessions", line, status=409, key="k" * 32)
    assert refused["code"] == "idempotency_conflict"
    assert refused["content"]
    other = Platform(SOMEBODY_ELSE).rest("POST", "checkout-sessions", line, status=201, key="k" * 32)
    assert other["id"] != first["id"]
    UcpReply.objects.update(at=now() - timedelta(hours=24))
    line["line_items"][0]["quantity"] = 1
    assert platform.rest("POST", "checkout-sessions", line, status=201, key="k" * 32) == first
    UcpReply.objects.update(at=now() - KEPT_FOR - timedelta(minutes=1))
    assert forget_replies() == 2


def test_a_refused_request_may_be_sent_again_under_its_key(platform, goods):
    platform.rest("POST", "carts", {"line_items": []}, status=400, key="again")
    line = {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}]}
    platform.rest("POST", "carts", line, status=201, key="again")


def test_a_checkout_cut_off_while_it_was_paid_is_found_again(platform, goods, processor):
    checkout = platform.checkout(variant(goods.kettle))
    row = UcpCheckout.objects.get()
    settling.move(row, to=UcpCheckout.Status.PAYING, reason="test")
    path = f"checkout-sessions/{checkout['id']}"
    assert platform.rest("GET", path)["status"] == "complete_in_progress"
    UcpCheckout.objects.update(paying_since=now() - timedelta(minutes=3))
    assert platform.rest("GET", path)["status"] == "ready_for_complete"
    assert platform.rest("POST", f"{path}/complete", card())["status"] == "completed"

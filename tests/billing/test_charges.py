"""A fee's own page: the rule, the sum, its course; and the way to it from every list."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from agentstore.identity.services import add_member, create_organization
from agentstore.kit.clock import now
from billing import disputes, metering, posting, review
from billing.models import UsageEvent
from tests.billing.conftest import converse, usd
from tests.billing.test_pages import business, text
from tests.billing.test_statement_pages import addresses, month

__all__ = ["business", "month"]


def page_of(client, event: UsageEvent, organization, kind: str = "merchant") -> str:
    name = {"merchant": "charge", "developer": "earning"}[kind]
    return text(client, reverse(f"billing:{name}", args=[organization.slug, event.pk]))


def test_a_merchant_reads_rule_sum_and_course(client, mia, business):
    merchant, _ = business
    client.force_login(mia)
    listed = text(client, reverse("billing:merchant", args=[merchant.slug]))
    for event in UsageEvent.objects.all():
        assert reverse("billing:charge", args=[merchant.slug, event.pk]) in listed
    fee = page_of(client, UsageEvent.objects.get(kind="ppcv"), merchant)
    for words in ("for “electronics”", "$0.25 for the conversation, once", "70 % of it, $0.175", "test prices",
                  "which is $100.00 now", "its quarantine is over", "owed, and invoiced with its month",
                  "Dispute this charge", "Northwind Labs"):  # fmt: skip
        assert words in fee, words
    tax = page_of(client, UsageEvent.objects.get(kind="agent_tax"), merchant)
    for words in (
        "for all that has no rule of its own",
        "15 % of $129.00 is $19.35",
        "taken of what the store owes",
    ):
        assert words in tax, words
    assert "Dispute this charge" not in tax


def test_what_was_returned_leads_to_what_it_returns(client, mia, business):
    merchant, _ = business
    event = metering.reverse_agent_tax(line_ref="line:1", refunded=usd("64.50"), refund_ref="re_1")
    assert event is not None
    client.force_login(mia)
    page = page_of(client, event, merchant)
    assert "15 % of $64.50, which was refunded, is −$9.675" in page
    assert event.reverses is not None
    assert reverse("billing:charge", args=[merchant.slug, event.reverses.pk]) in page
    assert "Returned with a refund" in page_of(client, event.reverses, merchant)


def test_each_reader_is_told_what_is_theirs(client, mia, alice, olivia, prices, business, settings):
    merchant, studio = business
    settings.PPCV_QUARANTINE_SECONDS = 3600
    converse(
        prices, "conversation-0002", merchant_ref=merchant.ref, developer_ref=studio.ref, occurred_at=now(),
        reported=["own_organization"],
    )  # fmt: skip
    event = UsageEvent.objects.get(conversation_ref="conversation-0002")
    client.force_login(mia)
    assert "Flagged: Own organization" in page_of(client, event, merchant)
    assert "The quarantine ends" in page_of(client, event, merchant)
    review.reject_event(event_id=event.pk, reason="their own people", by=f"user:{olivia.pk}")
    assert "their own people" not in page_of(client, event, merchant)
    client.force_login(olivia)
    assert "their own people" in text(client, reverse("billing:fee", args=[event.pk]))
    client.force_login(alice)
    earning = page_of(client, event, studio, "developer")
    for hidden in ("Own organization", "which is $100.00 now", "their own people", "Is it wrong"):
        assert hidden not in earning, hidden
    assert "Taken back." in earning
    waiting = page_of(client, UsageEvent.objects.get(kind="agent_tax"), studio, "developer")
    assert "Until the return window of the sale is over." in waiting
    assert "10 % of it stays in reserve" in waiting


def test_a_developer_is_not_told_that_a_rule_has_flagged_it(client, mia, alice, olivia, prices, business):
    merchant, studio = business
    converse(
        prices, "conversation-0002", merchant_ref=merchant.ref, developer_ref=studio.ref, occurred_at=now(),
        reported=["own_organization"],
    )  # fmt: skip
    with time_machine.travel(now() + timedelta(days=2), tick=False):
        posting.post_due_events()
    event = UsageEvent.objects.get(conversation_ref="conversation-0002")
    assert event.status == "review"
    client.force_login(mia)
    assert "a fraud rule has flagged it" in page_of(client, event, merchant)

    def check_hidden() -> None:
        earning = page_of(client, event, studio, "developer")
        for hidden in ("fraud", "lagged", "review", "Own organization", "decides"):
            assert hidden not in earning, hidden
        assert text(client, reverse("billing:earnings", args=[studio.slug])).count("review") == 0

    client.force_login(alice)
    check_hidden()
    assert "In quarantine" in page_of(client, event, studio, "developer")
    review.release_event(event_id=event.pk, reason="a colleague", by=f"user:{olivia.pk}")
    check_hidden()


@pytest.mark.django_db(transaction=True)
def test_a_statements_line_leads_to_each_charge_and_its_dispute(client, mia, alice, month):
    merchant, studio = month
    first, second = UsageEvent.objects.order_by("idempotency_key")[:2]
    disputes.open_dispute(event_id=first.pk, owner_ref=merchant.ref, reason="Nobody was there.", by="mia")
    client.force_login(mia)
    line = text(client, addresses(merchant, "merchant")[2])
    assert reverse("billing:charge", args=[merchant.slug, second.pk]) in line
    assert reverse("billing:dispute", args=[merchant.slug, second.pk]) in line
    assert line.count("Disputed: waits for a decision") == 1
    charge = page_of(client, first, merchant)
    assert "Nobody was there." in charge
    assert "2026-10, line 1" in charge
    assert "Disputed: waits for a decision" in text(client, reverse("billing:merchant", args=[merchant.slug]))
    client.force_login(alice)
    assert "Nobody was there." not in page_of(client, first, studio, "developer")
    assert "2026-10, line" in page_of(client, first, studio, "developer")
    assert reverse("billing:earning", args=[studio.slug, first.pk]) in text(
        client, addresses(studio, "developer")[2]
    )


def test_strangers_and_members(client, charlie, alice, mia, sam, business):
    merchant, studio = business
    event = UsageEvent.objects.get(kind="ppcv")
    doors = [
        reverse("billing:charge", args=[merchant.slug, event.pk]),
        reverse("billing:earning", args=[studio.slug, event.pk]),
        reverse("billing:fee", args=[event.pk]),
    ]
    assert [client.get(door).status_code for door in doors] == [302, 302, 302]
    mine = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    client.force_login(charlie)
    assert [client.get(door).status_code for door in doors] == [404, 404, 404]
    assert client.get(reverse("billing:charge", args=[mine.slug, event.pk])).status_code == 404
    client.force_login(alice)
    assert [client.get(door).status_code for door in doors] == [404, 200, 404]
    add_member(organization=merchant, user=sam, role="member", by=mia)
    client.force_login(sam)
    assert "Owners and admins" in text(client, doors[0])

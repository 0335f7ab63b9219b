"""What agents did for a merchant, through its pages: each figure and the lines that it is the sum of."""

import csv
import io
import re
from datetime import timedelta

import pytest
from django.urls import reverse

from agentstore.identity.services import create_organization
from agentstore.kit.clock import now
from billing import budgets, posting
from billing.metering import void_ppcv
from billing.models import UsageEvent
from marketplace.shopping import refunds
from marketplace.shopping.conversations import delete_conversation
from marketplace.shopping.merchants.claims import readable_reason
from marketplace.shopping.models import Conversation, Message, Order, Recommendation, Turn
from marketplace.shopping.recommendations import recommend
from tests.orders.world import check_out, list_agent, pay, sell, show, talk, usd

PAGES = (
    "merchant-agents",
    "merchant-recommendations",
    "merchant-refused",
    "merchant-sales",
    "merchant-costs",
)
FILES = ("merchant-recommendations-csv", "merchant-sales-csv", "merchant-costs-csv")


def text(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


@pytest.fixture
def desk(client, mia, merchant):
    """`desk(page, **asked)`: what Mia reads on one of her pages."""
    client.force_login(mia)

    def desk(page, /, **asked):
        answer = client.get(reverse(f"shopping:{page}", args=[merchant.slug]), asked)
        assert answer.status_code == 200
        return text(answer).replace("&#x27;", "'")

    return desk


@pytest.fixture
def download(client, mia, merchant):
    """`download(name, **asked)`: the rows of one of Mia's files."""
    client.force_login(mia)

    def download(name, /, **asked):
        answer = client.get(reverse(f"shopping:{name}", args=[merchant.slug]), asked)
        assert answer["Content-Disposition"].startswith('attachment; filename="audio-haus-')
        return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))

    return download


@pytest.fixture
def asked(shopper, scout, prices) -> Conversation:
    """A conversation in which the shopper has said something."""
    conversation = talk(shopper, scout, prices)
    turn = Turn.objects.create(conversation=conversation, index=0, status=Turn.Status.RUNNING)
    words = "Headphones for my sister Eleonora, she has tinnitus. Mail sam@example.org"
    Message.objects.create(conversation=conversation, turn=turn, role=Message.Role.SHOPPER, text=words)
    return conversation


def claim(conversation, offer, reason="Quiet and light.") -> Recommendation:
    turn = conversation.turns.get(status=Turn.Status.RUNNING)
    return recommend(
        conversation_id=conversation.pk, turn_id=turn.pk, variant_id=offer.variant.public_id, reason=reason
    ).recommendation


@pytest.fixture
def budget(prices, merchant):
    return budgets.set_budget(merchant_ref=merchant.ref, cap=usd("10"), at_cap="organic", by="test")


def test_nothing_yet(desk):
    assert "No agent had to do with you in this time" in desk("merchant-agents")
    assert "No cards in this time" in desk("merchant-recommendations")
    assert "Nothing was refused in this time" in desk("merchant-refused")
    assert "No agent sold anything in this time" in desk("merchant-sales")
    assert "Agents cost you nothing in this time" in desk("merchant-costs")


def test_from_card_to_figures_and_back_by_a_refund(
    desk, download, asked, shopper, headphones, budget, processor, mia
):
    card = claim(asked, headphones)
    pay(check_out(shopper, card, quantity=2))
    processor.deliver()
    order = Order.objects.get()
    # Shown, conversations, refused, sold, conversion, sales, fees, tax.
    shown = desk("merchant-agents")
    row = "Bargain Scout 1 cards of Bargain Scout 1 0 refused of Bargain Scout 1 sales of Bargain Scout"
    assert f"{row} 100.0% $198.00 $0.15 fees of Bargain Scout $29.70" in shown
    assert "Cost $29.85" in shown
    assert "Quiet and light." in desk("merchant-recommendations")
    sold = desk("merchant-sales")
    assert f"{order.number} 2 × Headphones Bargain Scout Bought from the agent's card $198.00" in sold
    costs = desk("merchant-costs")
    assert f"15 % of $198.00. Bargain Scout {order.number} $29.70 Posted" in costs
    assert "Its cards" in costs

    (sale,), (fee, tax) = download("merchant-sales-csv"), download("merchant-costs-csv")
    assert (sale["order"], sale["agent"], sale["stayed_sold"]) == (order.number, "bargain-scout", "198")
    assert (fee["kind"], fee["amount"], fee["conversation"]) == ("ppcv", "0.15", str(asked.pk))
    assert (tax["kind"], tax["amount"], tax["order"], tax["of"]) == ("agent_tax", "29.7", order.number, "198")

    (line,) = order.lines.all()
    refund = refunds.issue_refund(order_id=order.pk, by=mia, reason="x", quantities={line.pk: 1})
    refunds.send_refund(refund_id=refund.pk)
    processor.deliver()
    assert "$99.00 $0.15 fees of Bargain Scout $14.85" in desk("merchant-agents")
    assert "$198.00 $99.00 $99.00" in desk("merchant-sales")
    assert "−$14.85" in desk("merchant-costs")


def test_a_fee_leads_to_the_card_that_earned_it(
    client, mia, alice, merchant, studio, asked, headphones, budget
):
    claim(asked, headphones, "For my sister Eleonora, she has tinnitus: headphones.")
    fee = UsageEvent.objects.get()
    assert fee.agent_ref == asked.agent.ref
    client.force_login(mia)
    charge = client.get(reverse("billing:charge", args=[merchant.slug, fee.pk]))
    assert "The sponsored card that earned it: Headphones, $99.00" in text(charge)
    assert "tinnitus" not in text(charge)
    assert f"period=all&amp;conversation={asked.pk}" in charge.content.decode()
    assert "with Bargain Scout" in text(charge)
    client.force_login(alice)
    earning = client.get(reverse("billing:earning", args=[studio.slug, fee.pk]))
    assert reverse("shopping:trace", args=[studio.slug, asked.pk]) in earning.content.decode()
    assert "The sponsored card that earned it" in text(earning)
    assert "/merchant/" not in earning.content.decode().partition("<main")[2]
    Conversation.objects.filter(pk=asked.pk).delete()
    assert "The conversation is not kept any more" in text(client.get(earning.request["PATH_INFO"]))


def test_a_fee_that_was_taken_back_does_not_count(desk, asked, headphones, budget):
    claim(asked, headphones)
    assert "Cost $0.15" in desk("merchant-agents")
    void_ppcv(event_id=UsageEvent.objects.get().pk, reason="nobody was there", by="test")
    assert "Cost $0.00" in desk("merchant-agents")
    assert "Agents cost you nothing" in desk("merchant-costs")


def test_a_posted_fee_counts_once_and_not_any_more_when_reversed(desk, asked, headphones, budget, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    claim(asked, headphones)
    posting.post_due_events()
    assert UsageEvent.objects.get().status == "posted"
    assert "Cost $0.15" in desk("merchant-agents")
    assert "$0.15 Posted" in desk("merchant-costs", agent="bargain-scout")
    void_ppcv(event_id=UsageEvent.objects.get().pk, reason="nobody was there", by="test")
    assert "Cost $0.00" in desk("merchant-agents", period="7")


def test_refusals_with_what_can_be_done(desk, asked, merchant):
    claim(asked, sell(merchant, "Amplifier", stock=0), "Loud.")
    claim(asked, sell(merchant, "Turntable", stock=0))
    claim(asked, sell(merchant, "Gin", min_age=21))
    shown = desk("merchant-refused")
    assert "It was out of stock. 2 Raise its stock, by hand or by feed." in shown
    assert "Amplifier It was out of stock. out_of_stock Loud. Bargain Scout $99.00" in shown
    only = desk("merchant-refused", code="age_restricted")
    assert "Gin It has an age limit" in only
    assert "Amplifier" not in only
    assert "0 cards of Bargain Scout 0 3 refused" in desk("merchant-agents")


def test_a_refused_claim_keeps_no_merchant_from_deleting_the_item(desk, asked, merchant):
    gone = sell(merchant, "Amplifier", stock=0)
    claim(asked, gone)
    gone.variant.delete()
    assert f"var_{gone.variant_id} It was out of stock." in desk("merchant-refused")


def test_pausing_at_the_cap_is_told_to_the_merchant(desk, asked, merchant, headphones, prices):
    budgets.set_budget(merchant_ref=merchant.ref, cap=usd("0"), at_cap="pause", by="test")
    claim(asked, headphones)
    assert "you chose to pause" in desk("merchant-refused")


def test_period_agent_and_conversation(desk, asked, shopper, studio, prices, headphones, merchant):
    other = list_agent(studio, "Sound Sage")
    show(talk(shopper, other, prices), sell(merchant, "Turntable"), at=now() - timedelta(days=40))
    claim(asked, headphones)
    recent = desk("merchant-recommendations")
    assert ("Headphones" in recent, "Turntable" in recent) == (True, False)
    longer = desk("merchant-recommendations", period="90")
    assert "2 cards, last 90 days" in longer
    of_one = desk("merchant-recommendations", period="90", agent="sound-sage")
    assert ("Headphones" in of_one, "Turntable" in of_one) == (False, True)
    in_one = desk("merchant-recommendations", period="365", conversation=str(asked.pk))
    assert ("Headphones" in in_one, "Turntable" in in_one) == (True, False)
    assert "Sound Sage" in desk("merchant-agents", period="90")
    assert "Sound Sage" not in desk("merchant-agents", period="nonsense")
    odd = {"agent": "☃", "code": "☃", "conversation": "☃", "period": "☃"}
    assert "Headphones" in desk("merchant-recommendations", **odd)
    assert "Nothing was refused" in desk("merchant-refused", **odd)


def test_what_a_shopper_said_is_not_told(desk, asked, headphones):
    claim(asked, headphones, "For my sister Eleonora, she has tinnitus: headphones. sam@example.org agrees.")
    shown = desk("merchant-recommendations")
    assert "tinnitus" not in shown
    assert "Eleonora" not in shown
    assert "sam@example.org" not in shown
    assert ": headphones." in shown


def test_a_deleted_conversation_leaves_its_card_without_a_reason(desk, asked, headphones):
    claim(asked, headphones, "Velvet ears.")
    asked.turns.update(status=Turn.Status.DONE)
    delete_conversation(conversation=asked)
    shown = desk("merchant-recommendations")
    assert "Velvet" not in shown
    assert "The shopper deleted what was said." in shown


def test_rehearsals_and_other_merchants_are_left_out(desk, asked, headphones, charlie, client):
    other = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    claim(asked, sell(other, "Charlie's Radio"))
    assert "No cards" in desk("merchant-recommendations")
    claim(asked, headphones)
    Conversation.objects.update(purpose="rehearsal")
    assert "No cards" in desk("merchant-recommendations")
    assert "No agent had to do" in desk("merchant-agents")


def test_charlie_is_refused_at_every_door(client, charlie, merchant, asked, headphones):
    claim(asked, headphones)
    doors = [reverse(f"shopping:{page}", args=[merchant.slug]) for page in (*PAGES, *FILES)]
    assert [client.get(door).status_code for door in doors] == [302] * len(doors)
    client.force_login(charlie)
    assert [client.get(door).status_code for door in doors] == [404] * len(doors)
    mine = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    for page in PAGES:
        asked_for = {"conversation": str(asked.pk), "agent": "bargain-scout"}
        shown = client.get(reverse(f"shopping:{page}", args=[mine.slug]), asked_for)
        assert "Headphones" not in text(shown)
    files = [client.get(reverse(f"shopping:{name}", args=[mine.slug])) for name in FILES]
    assert [b"".join(answer.streaming_content).count(b"\n") for answer in files] == [1] * len(files)


def test_the_file_of_recommendations(download, asked, headphones, merchant):
    claim(asked, headphones, "=HYPERLINK(1) for my sister Eleonora")
    claim(asked, sell(merchant, "Amplifier", stock=0))
    shown, refused = download("merchant-recommendations-csv")
    assert (shown["status"], shown["title"], shown["price"]) == ("shown", "Headphones", "99")
    assert shown["reason"] == "'=HYPERLINK(1) [the shopper's words]"
    assert (refused["refusal"], refused["refusal_in_words"]) == ("out_of_stock", "It was out of stock.")
    assert download("merchant-recommendations-csv", period="before") == []


def test_long_lists_are_paged(desk, shopper, scout, prices, merchant):
    conversation = talk(shopper, scout, prices)
    for number in range(26):
        show(conversation, sell(merchant, f"Thing {number}"))
    assert "Page 2 of 2" in desk("merchant-recommendations", page="2")


def test_the_products_own_words_may_stand():
    said = ["wireless headphones, please, with the softest cushions there are"]
    reason = "Wireless headphones with the softest cushions."
    own = frozenset({"wireless", "headphones"})
    assert readable_reason(reason, said=said, own=own) == "Wireless headphones [the shopper's words]."
    assert "headphones" not in readable_reason(reason, said=said, own=frozenset())

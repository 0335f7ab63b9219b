"""Claims become cards at the platform's price, or refusals; fees are the platform's alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from billing.models import UsageEvent, UsageFlag
from marketplace.catalog.models import Product
from marketplace.shopping import recommendations
from marketplace.shopping.cards import cards_for
from marketplace.shopping.conversations import close_conversation, open_conversation, open_rehearsal
from marketplace.shopping.models import Quote, Recommendation, Shopper, Turn
from marketplace.shopping.turns import NoTurn, start_turn
from tests.conversations.world import sell
from tests.orders.bargains import agree, allow


def recommend(turn: Turn, offer, reason: str = "It suits her.", **more):
    variant = offer if isinstance(offer, str) else f"var_{offer.variant_id}"
    return recommendations.recommend(
        conversation_id=turn.conversation_id, turn_id=turn.pk, variant_id=variant, reason=reason, **more
    )


def test_a_card_has_the_price_that_the_platform_read(turn, mug):
    outcome = recommend(turn, mug, reason="Only $1.00 today!")
    row = outcome.recommendation
    assert outcome.refusal is None
    assert (row.status, row.price_micros, row.currency) == ("shown", 12_500_000, "USD")
    assert row.offer == mug


def test_the_merchant_pays_once_and_the_card_says_so(turn, mug, merchant, budget):
    first = recommend(turn, mug).recommendation
    second = recommend(turn, sell(merchant, "Red mug", "9.00")).recommendation
    assert first.sponsored
    assert second.sponsored
    assert first.disclosure["placement_micros"] == 150_000
    assert first.disclosure["placement_developer_micros"] == 105_000
    assert first.disclosure["sale_store_micros"] == 562_500
    assert first.disclosure["sale_developer_micros"] == 1_312_500
    events = UsageEvent.objects.filter(conversation_ref=str(turn.conversation_id))
    assert [event.amount_micros for event in events] == [150_000]


def test_without_a_budget_a_card_is_organic_and_unlabelled(turn, mug):
    row = recommend(turn, mug).recommendation
    assert not row.sponsored
    assert row.disclosure["placement_micros"] == 0
    assert not UsageEvent.objects.exists()


def test_a_paused_merchant_is_not_shown_and_its_budget_is_not_told(turn, mug, merchant, prices):
    from billing import budgets

    budgets.set_budget(merchant_ref=merchant.ref, cap=prices.ppcv("") * 0, at_cap="pause", by="test")
    outcome = recommend(turn, mug)
    assert outcome.refusal.code == "not_for_sale"
    assert "budget" not in f"{outcome.refusal.message} {outcome.refusal.hint}".lower()
    assert outcome.recommendation.refusal == "paused_by_merchant"
    assert recommendations.refusal_for_developers("paused_by_merchant") == "not_for_sale"


def test_the_same_card_is_drawn_and_billed_once(turn, mug, budget):
    first, again = recommend(turn, mug), recommend(turn, mug, reason="Really!")
    assert again.already
    assert again.recommendation.pk == first.recommendation.pk
    assert Recommendation.objects.count() == 1
    assert UsageEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("claimed", "code"),
    [("var_999999999", "unknown_variant"), ("var_x", "malformed_id"), ("SKU-1", "malformed_id"),
     ("", "malformed_id"), ("var_" + "9" * 300, "malformed_id")],
)  # fmt: skip
def test_an_invented_variant_is_refused_and_recorded(turn, claimed, code):
    outcome = recommend(turn, claimed)
    assert outcome.refusal.code == code
    row = Recommendation.objects.get()
    assert (row.status, row.refusal, row.price_micros) == ("refused", code, None)


def test_rules_of_the_shopper_and_of_the_store(turn, merchant, mug):
    cases = {
        "out_of_stock": sell(merchant, "Gone", "5", stock=0),
        "not_for_sale": sell(merchant, "Off", "5", active=False),
        "withheld": sell(merchant, "Bad", "5", status=Product.Status.WITHHELD),
        "age_restricted": sell(merchant, "Gin", "5", min_age=21),
        "not_shippable": sell(merchant, "Far", "5", ships_to=["DE"]),
    }
    assert {code: recommend(turn, offer).refusal.code for code, offer in cases.items()} == {
        code: code for code in cases
    }
    assert not UsageEvent.objects.exists()
    assert recommend(turn, mug, offer_id=f"off_{cases['out_of_stock'].pk}").refusal.code == "unknown_variant"


def test_the_stated_limit_holds_for_later_messages_too(conversation, mug, lamp):
    first = start_turn(conversation=conversation, text="A lamp under $50")
    assert recommend(first, lamp).refusal.code == "over_limit"
    assert recommend(first, mug).refusal is None


def test_a_price_agreed_on_counts_for_the_limit(conversation, agent, shopper, lamp):
    allow(lamp)
    agree(conversation, lamp, 7200)
    row = recommend(start_turn(conversation=conversation, text="A lamp under $75"), lamp).recommendation
    assert (row.status, row.price_micros) == ("shown", 79_000_000)
    assert cards_for([row])[0].note.startswith("Negotiated: $72.00 in your cart until ")
    # Another conversation of the same shopper's has agreed on nothing.
    elsewhere = start_turn(conversation=open_conversation(shopper=shopper, agent=agent), text="Under $75")
    assert recommend(elsewhere, lamp).refusal.code == "over_limit"
    Quote.objects.update(expires_at=now())
    assert cards_for([row])[0].note == ""


def test_a_turn_shows_six_cards(turn, merchant):
    offers = [sell(merchant, f"Mug {number}", "5") for number in range(7)]
    outcomes = [recommend(turn, offer) for offer in offers]
    assert [o.refusal.code if o.refusal else "shown" for o in outcomes] == ["shown"] * 6 + ["too_many"]


def test_a_rehearsal_is_never_billed(agent, mug, budget):
    conversation = open_rehearsal(version=agent.live_version)
    row = recommend(start_turn(conversation=conversation, text="A gift"), mug).recommendation
    assert row.status == "shown"
    assert not row.sponsored
    assert not UsageEvent.objects.exists()


def test_a_developer_does_not_earn_by_talking_to_its_own_agent(prices, agent, bob, mug, budget):
    own = open_conversation(shopper=Shopper.objects.create(user=bob), agent=agent)
    row = recommend(start_turn(conversation=own, text="A gift"), mug).recommendation
    assert not row.sponsored
    assert not UsageEvent.objects.exists()


def flags() -> set[str]:
    return set(UsageFlag.objects.values_list("rule", flat=True))


def test_a_merchants_own_people_leave_the_fee_to_an_operator(prices, agent, mia, mug, budget):
    own = open_conversation(shopper=Shopper.objects.create(user=mia), agent=agent)
    assert recommend(start_turn(conversation=own, text="A gift"), mug).recommendation.sponsored
    assert flags() == {"own_organization"}


def test_a_conversation_without_words_leaves_the_fee_to_an_operator(prices, agent, mug, budget):
    silent = open_conversation(shopper=Shopper.objects.create(), agent=agent)
    recommend(start_turn(conversation=silent, text="?! 123"), mug)
    assert flags() == {"no_real_message"}


def test_a_conversation_that_is_closed_at_once_leaves_the_fee_to_an_operator(turn, mug, budget):
    recommend(turn, mug)
    assert flags() == set()
    close_conversation(conversation=turn.conversation, by="shopper", reason="bored")
    assert flags() == {"instant_close"}


def test_one_shopper_in_many_conversations_leaves_the_fees_to_an_operator(
    prices, agent, mug, budget, settings
):
    settings.FRAUD_BUYER_CONVERSATIONS = 1
    shopper = Shopper.objects.create()
    for _ in range(2):
        recommend(
            start_turn(conversation=open_conversation(shopper=shopper, agent=agent), text="A gift"), mug
        )
    assert list(UsageFlag.objects.values_list("rule", flat=True)) == ["many_conversations"] * 2


def test_an_agent_speaks_only_in_its_turn(turn, mug):
    Turn.objects.update(status=Turn.Status.DONE)
    with pytest.raises(NoTurn):
        recommend(turn, mug)
    with pytest.raises(Invalid):
        recommend(turn, mug, reason=" ")


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_card_and_one_fee(turn, mug, budget):
    gate = threading.Barrier(6)

    def once(_: int):
        try:
            gate.wait(5)
            return recommend(turn, mug).already
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        already = list(pool.map(once, range(6)))
    assert sorted(already) == [False] + [True] * 5
    assert Recommendation.objects.count() == 1
    assert UsageEvent.objects.count() == 1

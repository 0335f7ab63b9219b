from __future__ import annotations

import pytest
from agentstore_sdk import Turn
from concierge import wording
from concierge.conversation import answer

from tests.agents.conftest import product


@pytest.fixture
def ask(store):
    def say(prompt: str, *earlier: str) -> str:
        messages = [{"role": "user", "content": text} for text in [*earlier, prompt]]
        turn = Turn(
            prompt=prompt, messages=messages, conversation="c", turn="t", locale="en-US", currency="USD",
            attachments=[], consents=[], store=store,
        )  # fmt: skip
        return "".join(answer(turn))

    return say


@pytest.fixture
def lamps(gateway):
    gateway.products = [
        product(1, "Desk lamp, blue steel", 4500, rating=4.1),
        product(2, "Plain desk lamp blue", 1900),
        product(3, "Blue desk lamp with dimmer", 4900, rating=4.9, ratings=800),
        product(4, "Blue desk lamp of leather", 3000),
        product(5, "Velvet sofa", 90000),
    ]
    return gateway


def test_three_kinds_of_best_with_honest_reasons(ask, lamps):
    said = ask("a blue desk lamp under $50, not leather")
    assert len(lamps.recommended) == 3
    assert "var_40" not in lamps.recommended, "leather was to be avoided"
    reasons = dict(zip(lamps.recommended, lamps.reasons, strict=True))
    assert "lowest price of the 3" in reasons["var_20"]
    assert "Rated 4.9 of 5 by 800 shoppers" in reasons["var_30"]
    assert all("$" not in reason for reason in reasons.values()), "the store alone sets prices"
    assert "up to $50.00" in said
    assert "without leather" in said
    assert "$26.00 less" in said or "$45.00" in said


def test_the_cheapest_comes_first_when_that_was_asked_for(ask, lamps):
    said = ask("the cheapest blue desk lamp")
    assert lamps.recommended[0] == "var_20"
    assert "best price is Plain desk lamp blue at $19.00" in said


def test_one_question_when_nothing_was_said(ask, gateway):
    assert ask("Hi!") == wording.QUESTION
    assert not gateway.calls


def test_honest_when_nothing_is_within_the_limit(ask, lamps):
    said = ask("a velvet sofa under $100")
    assert not lamps.recommended
    assert "Nothing that fits costs $100.00 or less" in said
    assert "Velvet sofa at $900.00" in said


def test_honest_when_there_is_nothing_at_all(ask, lamps):
    assert wording.NOTHING in ask("a submarine")
    assert not lamps.recommended


def test_a_refusal_leads_to_the_next_candidate(ask, lamps):
    lamps.refuse = {"var_10": "out_of_stock", "var_20": "withheld"}
    said = ask("a blue desk lamp under $50, not leather")
    assert lamps.recommended[-1] == "var_30"
    assert "Blue desk lamp with dimmer" in said
    assert "Nothing else that I found fits as well." in said


def test_no_more_is_tried_once_the_turn_is_full(ask, lamps):
    lamps.refuse = dict.fromkeys(("var_10", "var_20", "var_30"), "too_many")
    ask("a blue desk lamp")
    assert len(lamps.recommended) == 1


def test_the_variant_with_the_wished_options_is_shown(ask, gateway):
    gateway.products = [
        product(7, "Cotton shirt", 0, variants=[
            ("S / Red", 1500, {"Size": "Small", "Color": "Red"}),
            ("M / Red", 1600, {"Size": "Medium", "Color": "Red"}),
            ("M / Blue", 1600, {"Size": "Medium", "Color": "Blue"}),
        ]),
    ]  # fmt: skip
    ask("a blue shirt, size medium")
    assert gateway.recommended == ["var_72"]
    assert "names blue, medium and shirt" in gateway.reasons[0]


def test_what_the_product_does_not_say_is_admitted(ask, gateway):
    gateway.products = [product(8, "Cotton shirt", 1500)]
    ask("a green shirt")
    assert "It does not say green." in gateway.reasons[0]


def test_sold_out_things_are_not_tried(ask, gateway):
    gateway.products = [product(9, "Blue kettle", 1500, available=False)]
    ask("a blue kettle")
    assert not gateway.recommended


def test_a_follow_up_keeps_the_wish(ask, lamps):
    ask("under $20", "a blue desk lamp")
    assert lamps.recommended == ["var_20"]


def test_several_are_added_up(ask, lamps):
    assert "For 3 of the first that is" in ask("I need 3 lamps under $20")


def test_a_gateway_that_is_away_or_refuses_to_search_is_told(ask, lamps):
    lamps.away = True
    assert wording.AWAY in ask("a blue desk lamp")
    lamps.away, lamps.busy = False, True
    assert wording.AWAY in ask("a blue desk lamp")


def test_nothing_is_shown_that_does_not_name_what_was_asked_for(ask, gateway):
    gateway.by_meaning = True
    gateway.products = [product(1, "Drums", 900)]
    said = ask("a guitar")
    assert not gateway.recommended
    assert "names “guitar”" in said
    assert "Drums at $9.00" in said


def test_what_shops_call_differently_is_the_same(ask, gateway):
    gateway.products = [product(1, "Grey fabric sofa, also a couch bed", 29500)]
    ask("a couch")
    assert gateway.recommended == ["var_10"]


def test_the_lowest_price_is_never_said_of_the_second_lowest(ask, gateway):
    gateway.products = [product(1, "Blue kettle", 1000), product(2, "Blue kettle, large", 2000)]
    ask("a blue kettle")
    assert not [reason for reason in gateway.reasons[1:] if "lowest price" in reason]


def test_anything_may_be_a_gift(ask, gateway):
    gateway.products = [product(1, "Candle", 1500, description="a fine gift")]
    ask("I need a gift under $50.00. What do you recommend?")
    assert gateway.recommended == ["var_10"]


@pytest.fixture
def headphones(gateway):
    gateway.products = [
        product(1, "Wireless headphones", 10000),
        product(2, "Headphones with a wireless case", 12000, seller="Loud & Co"),
    ]
    return gateway


def test_a_better_price_is_asked_for_and_the_last_word_is_taken(ask, headphones):
    headphones.asks = {"off_10": [9500, 9000, 8800]}
    said = ask("can you get me a better price on wireless headphones?")
    assert "Audio Haus agreed to $88.00 instead of $100.00 for Wireless headphones." in said
    assert headphones.proposals == [("off_10", 7000), ("off_10", 7001), ("off_10", 7002), ("off_10", 8800)]
    assert headphones.recommended == ["var_10"]


def test_nobody_is_asked_unless_the_shopper_wants_it(ask, headphones):
    headphones.asks = {"off_10": [9500]}
    ask("wireless headphones")
    assert not headphones.proposals
    ask("negotiate", "wireless headphones")
    assert headphones.proposals
    before = len(headphones.proposals)
    ask("only with a case", "wireless headphones", "negotiate")
    assert len(headphones.proposals) == before


def test_a_limit_is_reached_by_a_negotiated_price(ask, headphones):
    headphones.asks = {"off_10": [9500, 9000]}
    said = ask("wireless headphones under $92, please negotiate")
    assert "agreed to $90.00 instead of $100.00" in said
    assert headphones.recommended == ["var_10"]


def test_who_does_not_come_down_to_the_limit_is_told_and_not_shown(ask, headphones):
    headphones.asks = {"off_10": [9500]}
    said = ask("haggle over wireless headphones under $92")
    assert "Audio Haus went no lower than $95.00 for Wireless headphones, which is over your limit." in said
    assert "Loud & Co does not negotiate about Headphones with a wireless case." in said
    assert wording.NO_BARGAIN in said
    assert not headphones.recommended


def test_without_a_rule_the_price_stays_and_the_best_is_shown(ask, headphones):
    said = ask("a discount on wireless headphones")
    assert "Audio Haus does not negotiate about Wireless headphones." in said
    assert "My best match is Wireless headphones at $100.00" in said

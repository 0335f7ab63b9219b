"""Masking, limits and grounding: pure functions and what always holds of them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact
from marketplace.shopping.constraints import Constraints, constraints_of, stated_limit
from marketplace.shopping.grounding import CARDS_PER_TURN, Grounded, Refusal, ground
from marketplace.shopping.masking import mask
from marketplace.shopping.pseudonyms import pseudonym


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("a gift under $50", "50"), ("max 30 dollars", "30"), ("up to 40", "40"), ("between 20 and 30", "30"),
        ("$20-$30 please", "30"), ("my budget is 2k", "2000"), ("50 dollars or less", "50"),
        ("under 1,200.50", "1200.50"), ("under $50, no, up to $60", "60"), ("from 20 to 30 usd", "30"),
        ("under 50.", "50"),
    ],
)  # fmt: skip
def test_a_stated_limit_is_understood(text, limit):
    from decimal import Decimal

    assert stated_limit(text, currency="USD") == Money.from_decimal(Decimal(limit), "USD")


@pytest.mark.parametrize(
    "text",
    ["for kids under 5", "under 5 years", "up to 40 hours of battery", "size 6-12",
     "over $50", "not under $50", "under 350 euros", "less than 20% fat", "within 3 days", "hello",
     "between 5 and 8 years"],
)  # fmt: skip
def test_what_is_no_limit_is_not_taken_for_one(text):
    assert stated_limit(text, currency="USD") is None


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    limit = stated_limit(text, currency="USD")
    assert limit is None or limit.micros > 0
    masked = mask(text)
    assert mask(masked.text).text == masked.text


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to ann.lee+x@mail.example.org", ("e-mail address",)),
        ("my card is 4111 1111 1111 1111", ("card number",)),
        ("call +49 171 2345678", ("phone number",)),
        ("call (415) 555-2671 or a@b.co", ("e-mail address", "phone number")),
        ("0171 2345678", ("phone number",)),
    ],
)
def test_personal_data_is_masked(text, kinds):
    masked = mask(text)
    assert masked.kinds == kinds
    assert not any(character.isdigit() for character in masked.text)
    assert "@" not in masked.text


@pytest.mark.parametrize(
    "text", ["ISBN 0306406152", "between 100-2000", "2026-11-24", "1234567890123456", "under $5000000000"]
)
def test_numbers_of_goods_are_left_alone(text):
    assert mask(text).kinds == ()


def test_no_two_agents_know_the_same_shopper_by_one_name():
    shopper, one, other = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    assert pseudonym(agent_id=one, shopper_id=shopper) == pseudonym(agent_id=one, shopper_id=shopper)
    assert pseudonym(agent_id=one, shopper_id=shopper) != pseudonym(agent_id=other, shopper_id=shopper)


COUNTRIES = ("US", "DE", "FR")
facts = st.builds(
    OfferFact,
    offer_id=st.integers(1, 9), variant_id=st.integers(1, 9), product_id=st.integers(1, 9),
    merchant_id=st.uuids(), merchant_name=st.just("Audio Haus"), title=st.just("Mug"),
    options=st.just({}), brand=st.just(""), category=st.just("gifts"),
    price=st.builds(Money, st.integers(1, 200_000_000), st.sampled_from(["USD", "EUR"])),
    list_price=st.none(), stock=st.integers(0, 3),
    ships_to=st.lists(st.sampled_from(COUNTRIES), unique=True).map(tuple), min_age=st.sampled_from([0, 18]),
    active=st.booleans(), withheld=st.booleans(), image_url=st.just(""),
)  # fmt: skip
wishes = st.builds(
    Constraints,
    country=st.sampled_from(COUNTRIES),
    currency=st.just("USD"),
    max_price=st.none() | st.builds(Money, st.integers(1, 200_000_000), st.just("USD")),
    age=st.none() | st.integers(0, 90),
)


prices = st.none() | st.integers(1, 200_000_000)


@given(st.none() | facts, wishes, st.integers(0, CARDS_PER_TURN + 2), prices)
def test_nothing_is_shown_that_breaks_a_rule(fact, wish, count, micros):
    agreed = Money(micros, fact.price.currency) if fact and micros else None
    outcome = ground(fact, wish, shown_this_turn=count, agreed=agreed)
    if isinstance(outcome, Refusal):
        assert outcome.code
        assert outcome.message
        assert outcome.hint
        return
    assert isinstance(outcome, Grounded)
    assert outcome.price is fact.price
    assert fact.active
    assert not fact.withheld
    assert fact.stock > 0
    assert not fact.ships_to or wish.country in fact.ships_to
    assert fact.min_age == 0 or (wish.age is not None and wish.age >= fact.min_age)
    assert fact.price.currency == wish.currency
    assert wish.max_price is None or (agreed or fact.price) <= wish.max_price
    assert count < CARDS_PER_TURN


@given(facts, wishes, prices)
def test_what_keeps_all_rules_is_shown(fact, wish, micros):
    agreed = Money(micros, fact.price.currency) if micros else None
    keeps = (
        fact.available
        and (not fact.ships_to or wish.country in fact.ships_to)
        and (fact.min_age == 0 or (wish.age or 0) >= fact.min_age)
        and fact.price.currency == wish.currency
        and (wish.max_price is None or (agreed or fact.price) <= wish.max_price)
    )
    assert isinstance(ground(fact, wish, shown_this_turn=0, agreed=agreed), Grounded) is keeps


def test_an_age_is_the_least_that_the_year_of_birth_allows():
    given: dict[str, Any] = {"limits": {}, "country": "US", "currency": "USD", "this_year": 2026}
    assert constraints_of(**given, birth_year=2008).age == 17
    assert constraints_of(**given, birth_year=None).age is None

"""A rule's answers: never below the floor, the same for the same question, and telling nothing of the floor."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentstore.kit.errors import Invalid
from agentstore.kit.money import CurrencyMismatch, Money
from marketplace.shopping.negotiation import (
    Answer,
    Break,
    InvalidTerms,
    Kind,
    Terms,
    answer_round,
    asked_in,
    least_quantity,
    lowest,
)
from tests.orders.world import usd

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEN_OFF = Terms(off_ppm=100_000, step_ppm=50_000, rounds=3)

cents = st.integers(1, 2_000_00).map(lambda minor: Money.from_minor(minor, "USD"))


@st.composite
def terms(draw):
    rates = sorted(draw(st.sets(st.integers(0, 900_000), min_size=1, max_size=4)))
    quantities = sorted(draw(st.sets(st.integers(2, 60), min_size=len(rates) - 1, max_size=len(rates) - 1)))
    return Terms(
        off_ppm=rates[0],
        step_ppm=draw(st.integers(1, 900_000)),
        rounds=draw(st.integers(1, 10)),
        floor=draw(st.none() | cents),
        breaks=tuple(Break(q, off) for q, off in zip(quantities, rates[1:], strict=True)),
    )


questions = {
    "rule": terms(),
    "price": cents,
    "quantity": st.integers(1, 80),
    "proposed": cents,
    "number": st.integers(1, 12),
}


def ask(rule, price, quantity, proposed, number) -> Answer:
    return answer_round(rule, price=price, quantity=quantity, proposed=proposed, round_number=number)


def paid(answer: Answer, price: Money) -> Money:
    return price if answer.price is None else answer.price


@settings(max_examples=60)
@given(**questions)
def test_never_below_the_floor_nor_above_the_price(rule, price, quantity, proposed, number):
    answer = ask(rule, price, quantity, proposed, number)
    least = price.micros * (1_000_000 - rule.off_for(quantity)) / 1_000_000
    assert paid(answer, price) <= price
    assert paid(answer, price).micros >= least
    if rule.floor is not None:
        assert paid(answer, price) >= min(rule.floor, price)


@settings(max_examples=60)
@given(**questions)
def test_the_same_question_has_the_same_answer(rule, price, quantity, proposed, number):
    first = ask(rule, price, quantity, proposed, number)
    assert ask(replace(rule), price, quantity, proposed, number) == first


@settings(max_examples=60)
@given(**questions, more=st.integers(0, 40), dearer=st.integers(0, 50_00))
def test_more_pieces_later_rounds_and_lower_proposals_never_cost_more(
    rule, price, quantity, proposed, number, more, dearer
):
    here = paid(ask(rule, price, quantity, proposed, number), price)
    assert paid(ask(rule, price, quantity + more, proposed, number), price) <= here
    assert paid(ask(rule, price, quantity, proposed + Money.from_minor(dearer, "USD"), number), price) >= here
    if number < rule.rounds:
        assert paid(ask(rule, price, quantity, proposed, number + 1), price) <= here


@settings(max_examples=60)
@given(
    terms(),
    cents,
    st.integers(1, 80),
    st.integers(1, 3),
    st.lists(st.integers(1, 999), min_size=2, max_size=8),
)
def test_what_is_not_accepted_is_answered_alike_so_that_no_proposal_finds_the_floor(
    rule, price, quantity, number, shares
):
    proposals = [Money.from_minor(max(1, price.minor * share // 1000), "USD") for share in shares]
    answers = {ask(rule, price, quantity, proposed, number) for proposed in proposals}
    assert len({answer for answer in answers if answer.kind != Kind.ACCEPT}) <= 1


@settings(max_examples=60)
@given(**questions)
def test_a_price_is_whole_cents_and_taken_at_what_was_proposed(rule, price, quantity, proposed, number):
    answer = ask(rule, price, quantity, proposed, number)
    assert paid(answer, price).micros % 10_000 == 0
    if answer.kind == Kind.ACCEPT:
        assert answer.price == min(proposed, price)
    assert answer.kind != Kind.NO or number > rule.rounds


def test_a_negotiation_step_by_step():
    asked = [asked_in(TEN_OFF, price=usd("99.99"), quantity=1, round_number=n) for n in (1, 2, 3)]
    assert asked == [usd("95.00"), usd("90.00"), usd("90.00")]
    assert ask(TEN_OFF, usd("99.99"), 1, usd("80"), 1) == Answer(Kind.COUNTER, usd("95.00"), 2)
    assert ask(TEN_OFF, usd("99.99"), 1, usd("92"), 2) == Answer(Kind.ACCEPT, usd("92"), 1)
    assert ask(TEN_OFF, usd("99.99"), 1, usd("120"), 1) == Answer(Kind.ACCEPT, usd("99.99"), 2)
    assert ask(TEN_OFF, usd("99.99"), 1, usd("95"), 4) == Answer(Kind.NO, None, 0)


def test_quantities_and_the_floor():
    rule = replace(TEN_OFF, breaks=(Break(5, 200_000),), floor=usd("85"))
    assert lowest(rule, price=usd("100"), quantity=4) == usd("90")
    assert lowest(rule, price=usd("100"), quantity=5) == usd("85")
    assert lowest(rule, price=usd("70"), quantity=5) == usd("70")


def test_yen_have_no_cents():
    assert lowest(TEN_OFF, price=Money.from_minor(995, "JPY"), quantity=1) == Money.from_minor(896, "JPY")


def test_nothing_impossible_is_answered():
    for quantity, proposed, number in ((0, "1", 1), (1, "0", 1), (1, "1", 0)):
        with pytest.raises(Invalid):
            ask(TEN_OFF, usd("10"), quantity, usd(proposed), number)
    with pytest.raises(CurrencyMismatch):
        ask(TEN_OFF, usd("10"), 1, Money.from_minor(900, "EUR"), 1)
    with pytest.raises(CurrencyMismatch):
        lowest(replace(TEN_OFF, floor=Money.from_minor(900, "EUR")), price=usd("10"), quantity=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"off_ppm": 900_001},
        {"step_ppm": 0},
        {"rounds": 11},
        {"floor": usd("0")},
        {"breaks": (Break(1, 200_000),)},
        {"breaks": (Break(5, 50_000),)},
        {"breaks": (Break(5, 200_000), Break(5, 300_000))},
        {"valid_from": NOON, "valid_to": NOON},
        {"from_hour": 8},
        {"from_hour": 8, "to_hour": 8},
        {"from_hour": 8, "to_hour": 24},
        {"least_stock": -1},
    ],
)
def test_terms_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(InvalidTerms):
        replace(TEN_OFF, **wrong)


@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 23))
def test_hours_over_midnight(begin, end, hour):
    assume(begin != end)
    rule = replace(TEN_OFF, from_hour=begin, to_hour=end)
    open_hours = [(begin + n) % 24 for n in range((end - begin) % 24)]
    assert (not rule.closed(at=NOON.replace(hour=hour), stock=1)) == (hour in open_hours)


def test_when_a_rule_counts():
    dated = replace(TEN_OFF, valid_from=NOON, valid_to=NOON + timedelta(days=1), least_stock=3)
    assert "not begun" in dated.closed(at=NOON - timedelta(seconds=1), stock=9)
    assert dated.closed(at=NOON, stock=3) == ""
    assert "over" in dated.closed(at=NOON + timedelta(days=1), stock=9)
    assert "at least 3" in dated.closed(at=NOON, stock=2)


def test_more_off_in_each_break_of_the_generated_terms():
    rule = replace(TEN_OFF, breaks=(Break(2, 150_000), Break(9, 300_000)))
    assert all(before <= later for before, later in pairwise(rule.off_for(q) for q in range(1, 12)))


@settings(max_examples=100)
@given(
    rule=terms(), price=cents, quantity=st.integers(1, 80), number=st.integers(1, 10),
    over=st.integers(0, 50_00), fewer=st.integers(1, 80),
)  # fmt: skip
def test_whatever_is_bought_at_an_agreed_price_is_not_below_the_floor_for_so_many(
    rule, price, quantity, number, over, fewer
):
    number = min(number, rule.rounds)
    asked = asked_in(rule, price=price, quantity=quantity, round_number=number)
    answer = ask(rule, price, quantity, asked + Money.from_minor(over, "USD"), number)
    assert answer.kind == Kind.ACCEPT
    agreed = paid(answer, price)
    least = least_quantity(rule, price=price, quantity=quantity, agreed=agreed, round_number=number)
    assert 1 <= least <= quantity
    bought = min(quantity, max(least, fewer))
    assert agreed >= lowest(rule, price=price, quantity=bought)
    # And it is the fewest: one piece less would not have been accepted in that round.
    if least > 1:
        assert ask(rule, price, least - 1, agreed, number).kind == Kind.COUNTER

from __future__ import annotations

import pytest
from concierge.budget import find_budget
from concierge.understanding import read, understand
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("a lamp under $50", None, 5000),
        ("a lamp, at most 49.99 dollars", None, 4999),
        ("price lower than 80.00 dollars", None, 8000),
        ("no more than $1,200.50", None, 120050),
        ("nothing over $25", None, 2500),
        ("$30 or less", None, 3000),
        ("max 45", None, 4500),
        ("my budget is 30", None, 3000),
        ("for 1.5k dollars", None, 150000),
        ("around $100", None, 12000),
        ("between $20 and $40", 2000, 4000),
        ("$40-20", 2000, 4000),
        ("from 20 to 40 dollars", 2000, 4000),
        ("over $100", 10000, None),
        ("at least €5 but under €9", 500, 900),
        # measures, sizes and years are no prices
        ("under 18 inches tall", None, None),
        ("less than 5 pounds", None, None),
        ("up to 12 hours of battery", None, None),
        ("pick a size between 10.5 and 11", None, None),
        ("models from 2006 - 2012", None, None),
        ("an iphone 13", None, None),
    ],
)
def test_what_it_may_cost(said, least, most):
    budget, _ = find_budget(said)
    assert (budget.least, budget.most) == (least, most)


@pytest.mark.parametrize(
    ("said", "avoided"),
    [
        ("shoes, not leather", ("leather",)),
        ("snacks without artificial colors", ("artificial colors",)),
        ("a pc with no ram, no ssd and no wifi", ("ram", "ssd", "wifi")),
        ("anything but nike", ("nike",)),
        ("I don't want wool", ("wool",)),
        ("no more than $20", ()),
        ("sugar free syrup", ()),
        ("use it without disturbing others", ()),
        ("no problem", ()),
    ],
)
def test_what_it_must_not_be(said, avoided):
    assert read(said).avoid == avoided


def test_a_request_in_peoples_words():
    wish = read("I am looking for a red t-shirt, size: 3x-large, and price lower than 30.00 dollars")
    assert (wish.words, wish.colours, wish.sizes, wish.budget.most) == (
        ("t-shirt",), ("red",), ("3x-large",), 3000,
    )  # fmt: skip
    assert wish.query == "red t-shirt"


def test_several_in_total_divide_the_limit():
    wish = read("I need 3 mugs under 60 dollars in total")
    assert (wish.words, wish.quantity, wish.budget.most) == (("mugs",), 3, 2000)


@pytest.mark.parametrize(
    "said", ["hi", "can you help me?", "I want to buy something nice please", "", "???", "no thanks"]
)
def test_nothing_was_asked_for(said):
    assert read(said).is_empty


def test_later_messages_refine_the_wish():
    wish = understand("cheaper, in red", ["running shoes under $80", "not nike"])
    assert (wish.words, wish.colours, wish.avoid) == (("running", "shoes"), ("red",), ("nike",))
    assert wish.budget.most == 8000
    assert wish.cheapest_first
    assert understand("under $40", ["running shoes under $80"]).budget.most == 4000


def test_a_new_wish_begins_anew():
    wish = understand("I need a coffee maker for my office", ["running shoes under $80, not nike"])
    assert "coffee" in wish.words
    assert "shoes" not in wish.words
    assert not wish.budget
    assert not wish.avoid


def test_the_stores_rehearsal_is_understood():
    wish = read("I need a gift under $50.00. It should be something from home garden. What do you recommend?")
    assert wish.words == ("gift", "home", "garden")
    assert wish.budget.most == 5000


@given(st.text(max_size=300), st.lists(st.text(max_size=100), max_size=4))
def test_any_text_is_understood_as_something(prompt, earlier):
    wish = understand(prompt, earlier)
    assert 1 <= wish.quantity <= 99
    assert wish.budget.least is None or wish.budget.most is None or wish.budget.least >= 0


@given(
    st.integers(1, 99999),
    st.sampled_from(["under ${}", "less than {} dollars", "up to ${}.00", "${} or less"]),
)
def test_every_limit_is_found_exactly(dollars, phrase):
    assert read(f"a blue lamp {phrase.format(dollars)} please").budget.most == dollars * 100

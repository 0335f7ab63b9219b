"""Where agents stand: one New slot, few swaps, and chances that add up."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.ranking.placement import NEW_POSITION, SWAP_SHARE, arrange

names = st.lists(st.sampled_from("abcdefghij"), unique=True, min_size=1, max_size=10)


@st.composite
def stores(draw):
    ranked = draw(names)
    return ranked, draw(st.sets(st.sampled_from(ranked)))


@given(stores(), st.text(max_size=10))
def test_everyone_has_one_place_and_a_chance_of_it(store, seed):
    ranked, new = store
    places = arrange(ranked, candidates=new, seed=seed)
    assert sorted(p.agent for p in places) == sorted(ranked)
    assert [p.position for p in places] == list(range(1, len(ranked) + 1))
    assert all(0 < p.propensity <= 1 for p in places)
    assert sum(p.is_new for p in places) == (1 if new and len(ranked) > 1 else 0)
    assert places == arrange(ranked, candidates=new, seed=seed)


@given(stores(), st.text(max_size=10))
def test_without_draws_the_order_is_that_of_the_scores(store, seed):
    ranked, new = store
    kept = [p.agent for p in arrange(ranked, candidates=new, seed=seed) if not (p.is_new or p.swapped)]
    assert kept == [agent for agent in ranked if agent in kept]


def test_the_new_slot_never_takes_the_first_place_and_is_the_only_one():
    places = arrange(list("abcdef"), candidates=set("def"), seed="s")
    assert [p.position for p in places if p.is_new] == [NEW_POSITION]


def test_logged_propensities_are_the_frequencies():
    ranked, new, rounds = list("abcdef"), {"b", "e", "f"}, 40_000
    seen: Counter[tuple[str, int, bool]] = Counter()
    told: dict[tuple[str, int, bool], float] = {}
    swapped = 0
    for i in range(rounds):
        places = arrange(ranked, candidates=new, seed=str(i))
        swapped += any(p.swapped for p in places)
        for p in places:
            seen[p.agent, p.position, p.is_new] += 1
            told[p.agent, p.position, p.is_new] = p.propensity
    for key, propensity in told.items():
        spread = (propensity * (1 - propensity) / rounds) ** 0.5
        assert seen[key] / rounds == pytest.approx(propensity, abs=5 * spread + 1e-4), key
    assert swapped / rounds == pytest.approx(SWAP_SHARE, abs=0.003)
    for position in range(1, len(ranked) + 1):
        assert sum(p for (_, at, _), p in told.items() if at == position) == pytest.approx(1, abs=1e-9)


@given(stores(), st.text(max_size=5), st.integers(0, 10), st.integers(0, 10))
def test_a_page_is_a_cut_out_of_the_whole_order(store, seed, first, size):
    ranked, new = store
    window = slice(first, first + size)
    whole = arrange(ranked, candidates=new, seed=seed)
    assert arrange(ranked, candidates=new, seed=seed, window=window) == whole[window]

"""To whom a line is credited: its own card, else the last card of the same variant in seven days."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from marketplace.shopping.attribution import WINDOW, Card, credit_line

ORDERED = datetime(2026, 11, 20, 12, tzinfo=UTC)


def card(number: int, *, variant: int = 1, days: float = 1) -> Card:
    return Card(UUID(int=number), UUID(int=100 + number), variant, ORDERED - timedelta(days=days))


def credited(cards, *, variant=1, bought_from=None):
    credit = credit_line(variant_id=variant, bought_from=bought_from, ordered_at=ORDERED, cards=cards)
    return (credit.card.id.int, credit.rule) if credit else None


def test_a_line_bought_from_a_card_is_that_cards_whatever_came_later():
    assert credited([card(1, days=30), card(2, days=0.1)], bought_from=UUID(int=1)) == (1, "card")


def test_the_last_card_of_the_same_variant_is_credited():
    assert credited([card(1, days=6), card(2, days=2), card(3, days=4)]) == (2, "same_variant")


def test_other_variants_older_cards_and_later_cards_earn_nothing():
    assert credited([card(1, variant=2), card(2, days=7.001), card(3, days=-0.1)]) is None
    assert credited([card(1, days=7)]) == (1, "same_variant")


def test_without_a_card_nobody_is_paid():
    assert credited([]) is None


cards = st.lists(
    st.builds(card, st.integers(1, 50), variant=st.integers(1, 3), days=st.floats(-2, 12)),
    unique_by=lambda c: c.id,
)


@given(cards, st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_order_in_which_cards_are_read_does_not_matter(shown, variant, dice):
    shuffled = list(shown)
    dice.shuffle(shuffled)
    assert credited(shown, variant=variant) == credited(shuffled, variant=variant)


@given(cards, st.integers(1, 3))
def test_a_credit_is_always_of_the_same_variant_within_the_window(shown, variant):
    credit = credit_line(variant_id=variant, bought_from=None, ordered_at=ORDERED, cards=shown)
    if credit is not None:
        assert credit.card.variant_id == variant
        assert timedelta(0) <= ORDERED - credit.card.at <= WINDOW
        assert not [c for c in shown if c.variant_id == variant and credit.card.at < c.at <= ORDERED]

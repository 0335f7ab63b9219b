"""Money: nothing is lost by splitting, rounding is half-even, and minor units come back."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.money import CurrencyMismatch, Money, apply_rate, exponent, half_even, split

AMOUNTS = st.integers(-(10**15), 10**15)
RATES = st.integers(0, 1_000_000)
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])


@given(AMOUNTS, RATES)
def test_a_split_conserves_the_total(total, rate):
    part, rest = split(total, rate)
    assert part + rest == total
    assert part == apply_rate(total, rate)


@given(st.integers(0, 10**15), RATES)
def test_no_side_of_a_split_is_negative(total, rate):
    assert all(0 <= side <= total for side in split(total, rate))


@given(AMOUNTS, st.integers(1, 10**9))
def test_half_even_is_what_decimal_does(numerator, denominator):
    exact = Decimal(numerator) / Decimal(denominator)
    # 28 digits cannot always tell a tie from its neighbour: only exact quotients are compared.
    if exact * denominator == numerator:
        assert half_even(numerator, denominator) == int(exact.to_integral_value(ROUND_HALF_EVEN))
    assert abs(2 * (half_even(numerator, denominator) * denominator - numerator)) <= denominator


@pytest.mark.parametrize(("twice", "rounded"), [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2)])
def test_ties_go_to_the_even_side(twice, rounded):
    assert half_even(twice, 2) == rounded


@given(st.integers(-(10**12), 10**12), CURRENCIES)
def test_minor_units_come_back(minor, currency):
    assert Money.from_minor(minor, currency).minor == minor


@given(AMOUNTS, CURRENCIES)
def test_a_decimal_comes_back(micros, currency):
    money = Money(micros, currency)
    assert Money.from_decimal(money.decimal, currency) == money


@given(AMOUNTS, AMOUNTS, CURRENCIES)
def test_adding_and_taking_away_are_inverse(left, right, currency):
    assert Money(left, currency) + Money(right, currency) - Money(right, currency) == Money(left, currency)
    assert -Money(left, currency) == Money(0, currency) - Money(left, currency)


@given(AMOUNTS, st.integers(0, 1000), CURRENCIES)
def test_so_many_of_them(micros, quantity, currency):
    assert (Money(micros, currency) * quantity).micros == micros * quantity


def test_currencies_do_not_mix():
    with pytest.raises(CurrencyMismatch) as refused:
        Money(1, "USD") + Money(1, "EUR")
    assert refused.value.code == "currency_mismatch"


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (12_990_000, "USD", "$12.99"),
        (1_234_567_000_000, "EUR", "€1,234,567.00"),
        (400, "USD", "$0.0004"),
        (-5_000_000, "GBP", "−£5.00"),
        (1_500_000_000, "JPY", "¥1,500"),
        (1_500_000, "KWD", "1.500 KWD"),
        (0, "CHF", "0.00 CHF"),
    ],
)
def test_money_for_people(micros, currency, text):
    assert str(Money(micros, currency)) == text


def test_exponents_are_iso_4217():
    assert [exponent(code) for code in ("USD", "JPY", "BHD")] == [2, 0, 3]

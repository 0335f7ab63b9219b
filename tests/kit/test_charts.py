"""Charts: every value lands inside the picture, ticks are nice, and the table says what the line shows."""

import re

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.charts import Series, lay_out, nice_step, tick_values

VALUES = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 3))


@given(st.floats(1e-6, 1e9), st.integers(1, 10))
def test_steps_are_one_two_or_five(span, count):
    step = nice_step(span, count)
    assert round(float(f"{step:e}".split("e")[0]), 6) in (1, 2, 5)
    assert step >= span / count * (1 - 1e-9)


@given(VALUES, VALUES)
def test_ticks_cover_the_values_and_zero(one, other):
    low, high = min(one, other), max(one, other)
    ticks = tick_values(low, high)
    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert ticks[0] <= min(low, 0) + slack
    assert ticks[-1] >= max(high, 0) - slack
    assert 2 <= len(ticks) <= 7


@given(st.lists(st.none() | VALUES, min_size=1, max_size=40))
def test_all_points_lie_inside(values):
    labels = [str(index) for index in range(len(values))]
    picture = lay_out(labels, [Series("one", values)], width=720, height=260)
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d", picture.lines[0].path)]
    assert all(picture.left - 0.1 <= x <= picture.right + 0.1 for x in numbers[::2])
    assert all(9.8 <= y <= picture.bottom + 0.1 for y in numbers[1::2])
    assert len(numbers) == 2 * sum(value is not None for value in values)


def render(source: str, **context) -> str:
    return Template(source).render(Context(context))


def test_a_chart_has_its_table_in_the_same_words():
    page = render(
        '{% line_chart "Earned" labels series "USD" %}',
        labels=["1 Nov", "2 Nov"],
        series=[{"name": "Fees", "values": [1_500_000, None]}, {"name": "Sales", "values": [0, 2_000_000]}],
    )
    assert "$1.50" in page
    assert "–" in page
    assert page.count("<svg") == 4  # wide, narrow, and two marks of the legend
    assert "style=" not in page


@pytest.mark.parametrize(("labels", "series"), [([], []), (["1 Nov"], [])])
def test_a_chart_of_nothing_says_so(labels, series):
    page = render('{% line_chart "Earned" labels series %}', labels=labels, series=series)
    assert "No figures yet" in page
    assert "<table" not in page


def test_one_day_is_a_chart_too():
    assert "<svg" in render(
        '{% line_chart "x" labels series %}', labels=["1 Nov"], series=[{"name": "a", "values": [3]}]
    )

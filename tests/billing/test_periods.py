"""Months and days in UTC, the grace, and where a late event goes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.errors import Invalid
from billing.periods import (
    GRACE,
    Month,
    day_of,
    earliest_open,
    end_of,
    latest_closed,
    start_of,
    statement_month,
)

NOVEMBER = Month(2026, 11)
TICK = timedelta(microseconds=1)

instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def test_a_month_is_written_and_read_as_iso_8601():
    assert str(NOVEMBER) == "2026-11"
    assert Month.parse("2026-11") == NOVEMBER
    for wrong in ("2026-13", "2026-1", "0000-01", "november", "2026-11-01", ""):
        with pytest.raises(Invalid):
            Month.parse(wrong)


def test_a_month_is_of_utc_whatever_the_clock_on_the_wall():
    tokyo = timezone(timedelta(hours=9))
    assert Month.of(datetime(2026, 12, 1, 8, 59, tzinfo=tokyo)) == NOVEMBER
    assert day_of(datetime(2026, 12, 1, 8, 59, tzinfo=tokyo)) == date(2026, 11, 30)


def test_a_year_ends():
    december = Month(2026, 12)
    assert december.next() == Month(2027, 1)
    assert december.next().previous() == december
    assert december.end == datetime(2027, 1, 1, tzinfo=UTC)


@given(instants)
def test_an_instant_is_in_its_month_and_in_its_day(instant):
    month = Month.of(instant)
    assert instant in month
    assert instant not in month.next()
    assert month.previous().end == month.start
    assert start_of(day_of(instant)) <= instant < end_of(day_of(instant))


def test_a_statement_stays_open_for_three_days():
    assert GRACE.days == 3
    assert NOVEMBER.closes_at == datetime(2026, 12, 4, tzinfo=UTC)
    assert earliest_open(NOVEMBER.closes_at - TICK) == NOVEMBER
    assert latest_closed(NOVEMBER.closes_at - TICK) == Month(2026, 10)
    assert latest_closed(NOVEMBER.closes_at) == NOVEMBER


def test_a_late_event_goes_on_the_next_statement():
    happened = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    assert statement_month(occurred_at=happened, posted_at=NOVEMBER.closes_at - TICK) == NOVEMBER
    assert statement_month(occurred_at=happened, posted_at=NOVEMBER.closes_at) == Month(2026, 12)
    half_a_year = datetime(2027, 5, 20, tzinfo=UTC)
    assert statement_month(occurred_at=happened, posted_at=half_a_year) == Month(2027, 5)


@given(instants, instants)
def test_no_event_goes_on_a_statement_that_was_closed_before_it_was_posted(occurred, posted):
    month = statement_month(occurred_at=occurred, posted_at=posted)
    assert month.closes_at > posted
    assert month >= Month.of(occurred)

"""The forecast of a month: within the caps whatever the days, and on the pages only where there is enough."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import time_machine
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.money import Money
from billing import budgets
from billing.charges.forecast import fill_days, forecast_month
from billing.charges.months import developer_month, merchant_month
from billing.models import BudgetDay, SubjectTotal
from tests.billing.conftest import usd
from tests.billing.test_pages import text

DAYS = st.lists(st.integers(0, 10**9), min_size=14, max_size=60)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(days=DAYS, before=st.integers(0, 10**10), today=st.integers(0, 10**9), left=st.integers(1, 31),
       month_cap=st.none() | st.integers(0, 10**11), day_cap=st.none() | st.integers(0, 10**9))  # fmt: skip
def test_no_cap_is_passed_and_nothing_is_unsaid(days, before, today, left, month_cap, day_cap):
    found = forecast_month(
        before=before, today=today, days=days, days_left=left, month_cap=month_cap, day_cap=day_cap
    )
    if found is None:
        assert sum(1 for it in days[-28:] if it) < 5
        return
    assert before + today <= found.low <= found.expected <= found.high
    spent = before + today
    for cap in (month_cap, None if day_cap is None else before + left * day_cap):
        assert cap is None or found.high <= max(spent, cap)


def test_a_month_that_falls_may_fall_on():
    falling = forecast_month(before=0, today=0, days=[-10] * 28, days_left=10)
    assert falling is not None
    assert (falling.low, falling.expected, falling.high) == (-100, -100, -100)


def test_days_without_anything_count_from_the_first():
    days = {date(2026, 11, 1): 3, date(2026, 11, 3): 4, date(2026, 11, 5): 9}
    assert fill_days(days, until=date(2026, 11, 5)) == [3, 0, 4, 0]
    assert fill_days({}, until=date(2026, 11, 5)) == []


@time_machine.travel(NOON, tick=False)
def test_a_merchant_sees_its_month_within_its_cap(client, mia, merchant, prices):
    url = reverse("billing:merchant", args=[merchant.slug])
    client.force_login(mia)
    assert "Not forecast" in text(client, url)
    old = budgets.set_budget(
        merchant_ref=merchant.ref, cap=usd("1000"), at_cap="organic", by="mia", at=NOON - timedelta(days=30)
    )
    budget = budgets.set_budget(merchant_ref=merchant.ref, cap=usd("1000"), at_cap="organic", by="mia")
    for number in range(1, 29):
        day = NOON.date() - timedelta(days=number)
        of = budget if day.month == 11 else old
        spent = usd("10" if number % 2 else "14").micros
        BudgetDay.objects.create(budget=of, day=day, spent_micros=spent)
    BudgetDay.objects.create(budget=budget, day=NOON.date(), spent_micros=usd("3").micros)
    page = text(client, url)
    for figure in ("$243.00", "$360.00", "$350.38 to $369.62", "by the last 28 days"):
        assert figure in page, figure
    assert "your cap ends it" not in page
    budgets.set_budget(merchant_ref=merchant.ref, cap=usd("350"), at_cap="organic", by="mia")
    page = text(client, url)
    assert "$350.00 to $350.00" in page
    assert "your cap ends it" in page
    tax = {"role": "merchant", "currency": "USD", "merchant_ref": merchant.ref, "journal_kind": "agent_tax"}
    SubjectTotal.objects.create(day=NOON.date(), fee_micros=usd("5").micros, **tax)
    month = merchant_month(merchant_ref=merchant.ref, currency="USD")
    assert (month.so_far, month.expected) == (usd("248"), usd("355")), (
        "a part with too little counts as it is"
    )


@time_machine.travel(NOON, tick=False)
def test_a_studio_sees_its_month(client, alice, studio, prices):
    client.force_login(alice)
    url = reverse("billing:earnings", args=[studio.slug])
    assert "Not forecast" in text(client, url)
    for number in range(1, 15):
        SubjectTotal.objects.create(
            role="developer", currency="USD", developer_ref=studio.ref, journal_kind="ppcv",
            day=NOON.date() - timedelta(days=number), share_micros=usd("2").micros,
        )  # fmt: skip
    month = developer_month(developer_ref=studio.ref, currency="USD")
    assert (month.so_far, month.expected) == (usd("28"), Money(48_000_000, "USD"))
    assert "$48.00 to $48.00" in text(client, url)

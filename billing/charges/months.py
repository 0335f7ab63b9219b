"""The month of a merchant or a developer: what it came to so far by day, and what it will come to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.charges.forecast import WINDOW, Forecast, fill_days, forecast_month
from billing.models import BudgetDay, MerchantBudget, SubjectTotal
from billing.periods import Month, day_of
from billing.rollups.subjects import SubjectDay, subject_by_day

# Some days more than the forecast's, to know how long there has been anything.
_LOOK_BACK: Final = timedelta(days=WINDOW + 31)
_TAX: Final = ("agent_tax", "tax_reversal")


@dataclass(frozen=True, slots=True)
class MonthView:
    """A month so far and its forecast, in one currency; `days` are its days with what each came to, in micro-units."""

    currency: str
    so_far: Money
    forecast: Forecast | None
    days: list[tuple[date, int]]

    @property
    def expected(self) -> Money | None:
        """What it will come to, rounded for reading."""
        return None if self.forecast is None else Money(self.forecast.expected, self.currency).rounded

    @property
    def labels(self) -> list[str]:
        """Its days, for a chart: `Nov 26`."""
        return [f"{day:%b} {day.day}" for day, _ in self.days]

    @property
    def series(self) -> list[dict[str, object]]:
        """What each day came to, for a chart."""
        return [{"name": "By day", "values": [micros for _, micros in self.days]}]

    @property
    def bounds(self) -> tuple[Money, Money] | None:
        """Between which amounts in four months of five."""
        if self.forecast is None:
            return None
        low, high = (
            Money(micros, self.currency).rounded for micros in (self.forecast.low, self.forecast.high)
        )
        return low, high


def merchant_month(*, merchant_ref: str, currency: str, at: datetime | None = None) -> MonthView:
    """Fees for conversations, held ones included, as its caps count them, and agent tax as it was booked.

    Three queries, whatever the number of fees. The forecast of conversations stays within the caps in force.
    """
    today, month = day_of(at or now()), Month.of(at or now())
    tax: defaultdict[date, int] = defaultdict(int)
    for it in _booked(SubjectTotal.Role.MERCHANT, merchant_ref, currency, today):
        if it.journal_kind in _TAX:
            tax[it.day] += it.fee_micros
    budget = MerchantBudget.objects.filter(
        merchant_ref=merchant_ref, currency=currency, period=str(month)
    ).first()
    ppcv = _ppcv_days(merchant_ref, currency, today)
    forecasts = [_forecast(ppcv, month, today, budget), _forecast(tax, month, today)]
    return _view(currency, month, today, [ppcv, tax], forecasts)


def developer_month(*, developer_ref: str, currency: str, at: datetime | None = None) -> MonthView:
    """A developer's shares by the day of booking, what was taken back off its day."""
    today, month = day_of(at or now()), Month.of(at or now())
    shares: defaultdict[date, int] = defaultdict(int)
    for it in _booked(SubjectTotal.Role.DEVELOPER, developer_ref, currency, today):
        shares[it.day] += it.share_micros
    return _view(currency, month, today, [shares], [_forecast(shares, month, today)])


def _booked(role: str, ref: str, currency: str, today: date) -> Sequence[SubjectDay]:
    return subject_by_day(role=role, ref=ref, currency=currency, first=today - _LOOK_BACK, last=today)


def _ppcv_days(merchant_ref: str, currency: str, today: date) -> dict[date, int]:
    days = BudgetDay.objects.filter(
        budget__merchant_ref=merchant_ref,
        budget__currency=currency,
        day__gt=today - _LOOK_BACK,
        day__lte=today,
    )
    return dict(days.values_list("day", "spent_micros"))


def _forecast(
    days: dict[date, int], month: Month, today: date, budget: MerchantBudget | None = None
) -> Forecast | None:
    so_far = days.get(today, 0)
    return forecast_month(
        before=_of_month(days, month) - so_far,
        today=so_far,
        days=fill_days(days, until=today),
        days_left=(month.end.date() - today).days,
        month_cap=budget.cap_micros if budget else None,
        day_cap=budget.day_cap_micros if budget else None,
    )


def _of_month(days: dict[date, int], month: Month) -> int:
    return sum(micros for day, micros in days.items() if (day.year, day.month) == (month.year, month.month))


def _view(
    currency: str, month: Month, today: date, kinds: list[dict[date, int]], forecasts: list[Forecast | None]
) -> MonthView:
    """Together; a kind with too little to go by counts as it is, and all of them so is no forecast."""
    known = [it for it in forecasts if it is not None]
    total: Forecast | None = None
    if known:
        total = known[0] if len(known) == 1 else known[0] + known[1]
        rest = sum(_of_month(kind, month) for kind, it in zip(kinds, forecasts, strict=True) if it is None)
        total = total + Forecast(rest, rest, rest, total.days)
    first = month.start.date()
    days = [first + timedelta(days=number) for number in range((today - first).days + 1)]
    return MonthView(
        currency,
        Money(sum(_of_month(kind, month) for kind in kinds), currency).rounded,
        total,
        [(day, sum(kind.get(day, 0) for kind in kinds)) for day in days],
    )

"""A merchant's caps on PPCv. Taking from one is a single conditional write, so no cap is ever passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connection, transaction
from django.db.models import F

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from billing import alerts, funding
from billing.models import BudgetChange, BudgetDay, MerchantBudget, MerchantFunding
from billing.periods import Month, day_of

# The first fee of a day makes its row; a fee that alone is above the cap makes none.
_TAKE_DAY = """
INSERT INTO billing_budgetday AS d (budget_id, day, spent_micros)
SELECT %(budget)s, %(day)s, %(micros)s WHERE %(cap)s::bigint IS NULL OR %(micros)s <= %(cap)s::bigint
ON CONFLICT (budget_id, day) DO UPDATE SET spent_micros = d.spent_micros + excluded.spent_micros
WHERE %(cap)s::bigint IS NULL OR d.spent_micros + excluded.spent_micros <= %(cap)s::bigint
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A fee fits: from which budget it was taken, and how the merchant pays it."""

    budget: MerchantBudget
    mode: str


@dataclass(frozen=True, slots=True)
class CapReached:
    """Nothing was taken: what the merchant wants then (`pause` or `organic`), and what was in the way."""

    at_cap: str
    limit: Literal["no budget", "month", "day", "funds"]


def period_of(instant: datetime) -> str:
    """The month that an instant falls in, in UTC: `2026-11`."""
    return str(Month.of(instant))


def take(*, merchant_ref: str, currency: str, occurred_at: datetime, micros: int) -> Taken | CapReached:
    """Take micro-units from the budget of the month and of the day, if they fit, and the merchant has the means.

    Locks that merchant's rows until the caller's transaction ends. A merchant without a budget agreed to pay
    nothing, so its offers are organic.
    """
    period = period_of(occurred_at)
    for _ in range(2):
        budgets = MerchantBudget.objects.filter(merchant_ref=merchant_ref, currency=currency, period=period)
        taken = budgets.filter(spent_micros__lte=F("cap_micros") - micros).update(
            spent_micros=F("spent_micros") + micros
        )
        budget = budgets.first()
        if budget is not None:
            return (
                _take_further(budget, occurred_at, micros) if taken else _refuse(budget, "month", occurred_at)
            )
        if not _carry_over(merchant_ref, currency, period):
            break
    return CapReached(MerchantBudget.AtCap.ORGANIC.value, "no budget")


def _take_further(budget: MerchantBudget, occurred_at: datetime, micros: int) -> Taken | CapReached:
    """The day and the means, now that the month has room; what was taken goes back where they have none."""
    if not _take_day(budget, occurred_at, micros):
        MerchantBudget.objects.filter(pk=budget.pk).update(spent_micros=F("spent_micros") - micros)
        return _refuse(budget, "day", occurred_at)
    held = funding.lock_means(merchant_ref=budget.merchant_ref, currency=budget.currency)
    if held is None:
        alerts.watch_cap(budget, micros)
        return Taken(budget, MerchantFunding.Mode.POSTPAID.value)
    means = funding.read_means(held)
    if not means.covers(micros):
        give_back(budget_id=budget.pk, occurred_at=occurred_at, micros=micros)
        return _refuse(budget, "funds", occurred_at)
    alerts.watch_cap(budget, micros)
    if means.left_micros is not None:
        alerts.watch_means(held, before=means.left_micros, after=means.left_micros - micros)
    return Taken(budget, means.mode)


def _take_day(budget: MerchantBudget, occurred_at: datetime, micros: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE_DAY,
            {
                "budget": budget.pk,
                "day": day_of(occurred_at),
                "micros": micros,
                "cap": budget.day_cap_micros,
            },
        )
        return cursor.fetchone() is not None


def _refuse(
    budget: MerchantBudget, limit: Literal["month", "day", "funds"], occurred_at: datetime
) -> CapReached:
    alerts.tell_of_limit(budget, limit, day_of(occurred_at))
    return CapReached(budget.at_cap, limit)


def give_back(*, budget_id: int, occurred_at: datetime, micros: int) -> None:
    """Return what was taken for something that happened then."""
    MerchantBudget.objects.filter(pk=budget_id).update(spent_micros=F("spent_micros") - micros)
    BudgetDay.objects.filter(budget=budget_id, day=day_of(occurred_at)).update(
        spent_micros=F("spent_micros") - micros
    )


def spent_on(budget: MerchantBudget, instant: datetime) -> Money:
    """What is taken of a budget on a day, held fees included."""
    day = BudgetDay.objects.filter(budget=budget, day=day_of(instant)).first()
    return Money(day.spent_micros if day else 0, budget.currency)


def current_budget(*, merchant_ref: str, currency: str, at: datetime | None = None) -> MerchantBudget | None:
    """The budget of the month, carried over from the last one; None when none was ever set."""
    period = period_of(at or now())
    budgets = MerchantBudget.objects.filter(merchant_ref=merchant_ref, currency=currency, period=period)
    budget = budgets.first()
    if budget is None and _carry_over(merchant_ref, currency, period):
        budget = budgets.first()
    return budget


def _carry_over(merchant_ref: str, currency: str, period: str) -> bool:
    """A new month starts with the cap of the last one. Whether there is one to carry over."""
    last = (
        MerchantBudget.objects.filter(merchant_ref=merchant_ref, currency=currency, period__lt=period)
        .order_by("-period")
        .first()
    )
    if last is None:
        return False
    budget, new = MerchantBudget.objects.get_or_create(
        merchant_ref=merchant_ref,
        currency=currency,
        period=period,
        defaults={
            "cap_micros": last.cap_micros,
            "day_cap_micros": last.day_cap_micros,
            "at_cap": last.at_cap,
        },
    )
    if new:
        _record(budget, by="budgets", reason=f"carried over from {last.period}")
    return True


@transaction.atomic
def set_budget(
    *,
    merchant_ref: str,
    cap: Money,
    at_cap: str,
    by: str,
    day_cap: Money | None = None,
    reason: str = "",
    at: datetime | None = None,
) -> MerchantBudget:
    """Set a merchant's caps of the month, and of each day, from this month on, and what happens at them.

    A cap below what is spent already takes nothing back; it stops further spending. Raises Invalid.
    """
    if cap.micros < 0 or (day_cap is not None and day_cap.micros < 0):
        raise Invalid("A cap can't be negative.", hint="Set 0 to pay for nothing.")
    if at_cap not in MerchantBudget.AtCap.values:
        raise Invalid("At the cap, offers either pause or stay unbilled.")
    budget, _ = MerchantBudget.objects.update_or_create(
        merchant_ref=merchant_ref,
        currency=cap.currency,
        period=period_of(at or now()),
        defaults={
            "cap_micros": cap.micros,
            "day_cap_micros": None if day_cap is None else day_cap.micros,
            "at_cap": at_cap,
        },
    )
    _record(budget, by=by, reason=reason)
    return budget


def _record(budget: MerchantBudget, *, by: str, reason: str) -> None:
    BudgetChange.objects.create(
        budget=budget,
        cap_micros=budget.cap_micros,
        day_cap_micros=budget.day_cap_micros,
        at_cap=budget.at_cap,
        by=by,
        reason=reason,
    )

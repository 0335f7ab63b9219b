"""A merchant's caps on PPCv. Taking from one is a single conditional UPDATE, so no cap is ever passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import F

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from billing.models import BudgetChange, MerchantBudget


@dataclass(frozen=True, slots=True)
class CapReached:
    """Nothing was taken, and what the merchant wants then: `pause` or `organic`."""

    at_cap: str


def period_of(instant: datetime) -> str:
    """The month that an instant falls in, in UTC: `2026-11`."""
    return f"{instant.astimezone(UTC):%Y-%m}"


def take(
    *, merchant_ref: str, currency: str, occurred_at: datetime, micros: int
) -> MerchantBudget | CapReached:
    """Take micro-units from the budget of the month, if they fit below its cap.

    Locks that one row until the caller's transaction ends. A merchant without a budget agreed to pay
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
            return budget if taken else CapReached(budget.at_cap)
        if not _carry_over(merchant_ref, currency, period):
            break
    return CapReached(MerchantBudget.AtCap.ORGANIC.value)


def give_back(*, budget_id: int, micros: int) -> None:
    """Return what was taken."""
    MerchantBudget.objects.filter(pk=budget_id).update(spent_micros=F("spent_micros") - micros)


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
        defaults={"cap_micros": last.cap_micros, "at_cap": last.at_cap},
    )
    if new:
        _record(budget, by="budgets", reason=f"carried over from {last.period}")
    return True


@transaction.atomic
def set_budget(
    *, merchant_ref: str, cap: Money, at_cap: str, by: str, reason: str = "", at: datetime | None = None
) -> MerchantBudget:
    """Set a merchant's monthly cap from this month on, and what happens when it is reached.

    A cap below what is spent already takes nothing back; it stops further spending. Raises Invalid.
    """
    if cap.micros < 0:
        raise Invalid("A cap can't be negative.", hint="Set 0 to pay for nothing.")
    if at_cap not in MerchantBudget.AtCap.values:
        raise Invalid("At the cap, offers either pause or stay unbilled.")
    budget, _ = MerchantBudget.objects.update_or_create(
        merchant_ref=merchant_ref,
        currency=cap.currency,
        period=period_of(at or now()),
        defaults={"cap_micros": cap.micros, "at_cap": at_cap},
    )
    _record(budget, by=by, reason=reason)
    return budget


def _record(budget: MerchantBudget, *, by: str, reason: str) -> None:
    BudgetChange.objects.create(
        budget=budget, cap_micros=budget.cap_micros, at_cap=budget.at_cap, by=by, reason=reason
    )

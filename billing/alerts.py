"""Telling a merchant how its budget and balance go, once per threshold."""

from __future__ import annotations

from datetime import date
from typing import Final

from django.db.models import Count, Q

from agentstore.kit.money import Money
from billing.models import MerchantBudget, MerchantFunding, TopUp
from billing.names import merchant_page
from billing.notices import tell

# Of a month's cap, in percent. That it is reached is told by the first fee that does not fit.
THRESHOLDS: Final = (50, 80)

_AT_CAP = {
    MerchantBudget.AtCap.PAUSE: "Your offers are paused until then.",
    MerchantBudget.AtCap.ORGANIC: "Your offers stay, unbilled and without the “Sponsored” label.",
}


def watch_cap(budget: MerchantBudget, micros: int) -> None:
    """Tell where the fee that was just taken crossed a threshold of the month's cap. A new cap has new ones."""
    before, spent, cap = budget.spent_micros - micros, budget.spent_micros, budget.cap_micros
    for percent in THRESHOLDS:
        if before * 100 < percent * cap <= spent * 100:
            tell(
                key=f"cap:{budget.pk}:{cap}:{percent}",
                owner_ref=budget.merchant_ref,
                subject=f"{percent} % of your budget for {budget.period} is spent",
                text=f"{Money(spent, budget.currency)} of {Money(cap, budget.currency)} are spent on conversations,"
                " fees that are held for review included.",
                path=merchant_page(budget.merchant_ref),
            )


def tell_of_limit(budget: MerchantBudget, limit: str, day: date) -> None:
    """Tell that a fee did not fit: the month's cap, the day's cap, or the merchant's means."""
    if limit == "month":
        cap = Money(budget.cap_micros, budget.currency)
        key, subject = f"cap:{budget.pk}:{cap.micros}:100", f"Your budget for {budget.period} is spent"
        text = f"No further fee fits below {cap}. {_AT_CAP[MerchantBudget.AtCap(budget.at_cap)]}"
    elif limit == "day":
        cap = Money(budget.day_cap_micros or 0, budget.currency)
        key, subject = f"cap:{budget.pk}:{day}:{cap.micros}:100", f"Your budget for {day:%-d %B} is spent"
        text = f"No further fee fits below {cap} a day. {_AT_CAP[MerchantBudget.AtCap(budget.at_cap)]}"
    else:
        key = f"funds:{_round(budget.merchant_ref, budget.currency)}:0"
        subject = "Your balance for conversations is used up"
        text = f"Pay in, or ask for another credit limit. {_AT_CAP[MerchantBudget.AtCap(budget.at_cap)]}"
    tell(
        key=key,
        owner_ref=budget.merchant_ref,
        subject=subject,
        text=text,
        path=merchant_page(budget.merchant_ref),
    )


def watch_means(held: MerchantFunding, *, before: int, after: int) -> None:
    """Tell where less is left than the merchant wants to be told of; again only after it paid in or changed it."""
    if after < held.alert_below_micros <= before:
        left = Money(after, held.currency)
        tell(
            key=f"funds:{_round(held.merchant_ref, held.currency)}:{held.alert_below_micros}",
            owner_ref=held.merchant_ref,
            subject=f"{left} is left for conversations",
            text=f"Less than {Money(held.alert_below_micros, held.currency)} is left, held fees taken off.",
            path=merchant_page(held.merchant_ref),
        )


def _round(merchant_ref: str, currency: str) -> str:
    """What changes whenever the means do: a top-up, or another way of paying."""
    paid = TopUp.objects.filter(
        merchant_ref=merchant_ref, currency=currency, status=TopUp.Status.PAID
    ).count()
    changed = MerchantFunding.objects.filter(merchant_ref=merchant_ref, currency=currency).aggregate(
        times=Count("changes", filter=Q(changes__isnull=False))
    )["times"]
    return f"{merchant_ref}:{currency}:{paid}:{changed}"

"""Whether a card would have been billed when it was shown: by price, budget, means and standing of that instant.

Reconstructed from what is kept of each. Says yes only where it is certain: what changed within a minute of the card
excuses it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from billing import fees
from billing.accounts import merchant_prepaid, merchant_receivable
from billing.balances import balance
from billing.models import (
    BudgetChange,
    DunningStep,
    FundingChange,
    Hold,
    Invoice,
    InvoiceChange,
    MerchantFunding,
)
from billing.periods import Month, day_of, end_of, start_of
from billing.pricing import fixed_terms
from billing.reconciliation.sources import Shown

_SLACK = timedelta(minutes=1)
_SETTLED = (Invoice.Status.PAID, Invoice.Status.UNCOLLECTIBLE)


def fee_that_fitted(shown: Shown) -> tuple[int, str] | None:
    """The fee in micro-units, and its currency, that a card should have had; None where there was to be none."""
    prices = fixed_terms(shown.price_version_id)
    fee, currency = fees.ppcv_fee(prices, shown.category).total, prices.currency
    if not fee or _was_suspended(shown.merchant_ref, shown.at):
        return None
    if not _fitted_the_caps(shown.merchant_ref, currency, shown.at, fee):
        return None
    return (fee, currency) if _had_the_means(shown.merchant_ref, currency, shown.at, fee) else None


def _was_suspended(owner_ref: str, at: datetime) -> bool:
    """Whether an invoice that stopped its fees was open then; a payment that a bank took back opens one again."""
    steps = DunningStep.objects.filter(
        step=DunningStep.Step.SUSPENDED, invoice__owner_ref=owner_ref, at__lte=at + _SLACK
    )
    for invoice_id in steps.values_list("invoice", flat=True):
        changes = InvoiceChange.objects.filter(invoice=invoice_id, at__lte=at + _SLACK)
        last = changes.order_by("-at", "-pk").first()
        if last is None or last.status not in _SETTLED or last.at > at - _SLACK:
            return True
    return False


def _fitted_the_caps(merchant_ref: str, currency: str, at: datetime, fee: int) -> bool:
    changes = BudgetChange.objects.filter(
        budget__merchant_ref=merchant_ref, budget__currency=currency, at__lte=at + _SLACK
    )
    caps = changes.order_by("-at", "-pk").first()
    if caps is None or caps.at > at - _SLACK:
        return False
    held = Hold.objects.filter(budget__merchant_ref=merchant_ref, budget__currency=currency)
    month, day = str(Month.of(at)), day_of(at)
    spent = _sum(_standing(held.filter(budget__period=month), at))
    today = held.filter(event__occurred_at__gte=start_of(day), event__occurred_at__lt=end_of(day))
    return spent + fee <= caps.cap_micros and (
        caps.day_cap_micros is None or _sum(_standing(today, at)) + fee <= caps.day_cap_micros
    )


def _standing(holds: QuerySet[Hold], at: datetime) -> QuerySet[Hold]:
    """Those of a set of holds that counted at an instant, or may have."""
    kept = Q(released_at=None) | Q(released_at__gt=at - _SLACK)
    return holds.filter(kept, placed_at__lte=at + _SLACK)


def _sum(holds: QuerySet[Hold]) -> int:
    return int(holds.aggregate(total=Sum("amount_micros"))["total"] or 0)


def _had_the_means(merchant_ref: str, currency: str, at: datetime, fee: int) -> bool:
    changes = FundingChange.objects.filter(
        funding__merchant_ref=merchant_ref, funding__currency=currency, at__lte=at + _SLACK
    )
    means = changes.order_by("-at", "-pk").first()
    if means is None:
        return True
    if means.at > at - _SLACK:
        return False
    held = Hold.objects.filter(budget__merchant_ref=merchant_ref, budget__currency=currency)
    open_ones = _standing(held.filter(Q(captured_at=None) | Q(captured_at__gt=at - _SLACK)), at)
    if means.mode == MerchantFunding.Mode.PREPAID:
        account = merchant_prepaid(merchant_ref, currency)
        left = min(-balance(account, at=at - _SLACK).micros, -balance(account, at=at + _SLACK).micros)
    elif means.credit_limit_micros is None:
        return True
    else:
        account = merchant_receivable(merchant_ref, currency)
        owed = max(balance(account, at=at - _SLACK).micros, balance(account, at=at + _SLACK).micros)
        left = means.credit_limit_micros - owed
    return left - _sum(open_ones) >= fee

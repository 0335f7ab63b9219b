"""What other fees would have made of a month: for whoever decides on them, and for whom they concern."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from django.db.models import BooleanField, Count, ExpressionWrapper, Q, Sum

from agentstore.kit.money import Money, apply_rate
from billing.models import PriceVersion, UsageEvent
from billing.periods import Month

_Kind, _Status = UsageEvent.Kind, UsageEvent.Status


@dataclass(slots=True)
class Effect:
    """Micro-units of a month's usage: by the fees it was billed by, and by others."""

    before: int = 0
    after: int = 0

    @property
    def change(self) -> int:
        """What more it would have been; negative for less."""
        return self.after - self.before


@dataclass(slots=True)
class Effects:
    """Of one month, in one currency: all fees, each merchant's fees, each developer's share."""

    month: Month
    currency: str
    fees: Effect = field(default_factory=Effect)
    shares: Effect = field(default_factory=Effect)
    merchants: dict[str, Effect] = field(default_factory=lambda: defaultdict(Effect))
    developers: dict[str, Effect] = field(default_factory=lambda: defaultdict(Effect))

    def money(self, micros: int) -> Money:
        """For reading: in the currency's minor unit."""
        return Money(micros, self.currency).rounded


def effects_on(month: Month, prices: PriceVersion) -> Effects:
    """What a month's usage would have cost and earned by these prices.

    Refunded sales count with what was kept. Rates are applied to the sums of a category, so a figure may
    differ from the sum of its rounded lines by less than a micro-unit a line.
    """
    found = Effects(month, prices.currency)
    # A tax that was returned stands beside its reversal; a conversation that was taken back does not count.
    counted = Q(kind=_Kind.PPCV) & ~Q(status__in=[_Status.REJECTED, _Status.REVERSED]) | ~Q(kind=_Kind.PPCV)
    usage = (
        UsageEvent.objects.filter(
            counted, currency=prices.currency, occurred_at__gte=month.start, occurred_at__lt=month.end
        )
        .order_by()
        .values_list(
            "merchant_ref", "developer_ref", "category", ExpressionWrapper(Q(kind=_Kind.PPCV), BooleanField())
        )
        .annotate(Count("id"), Sum("base_micros"), Sum("amount_micros"), Sum("developer_share_micros"))
    )
    for merchant, developer, category, is_ppcv, events, base, fee, share in usage:
        fee_after = (
            prices.ppcv(category).micros * events if is_ppcv else apply_rate(base, prices.tax_ppm(category))
        )
        share_after = apply_rate(fee_after, prices.share_ppm(category))
        for effect in (found.fees, found.merchants[merchant]):
            effect.before += fee
            effect.after += fee_after
        for effect in (found.shares, found.developers[developer]):
            effect.before += share
            effect.after += share_after
    return found

"""PPCv, tax and share arithmetic. Pure: integers of micro-units in and out (docs/algorithms/pricing.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agentstore.kit.money import Money, apply_rate, half_even, split


class Prices(Protocol):
    """What a price version says; categories it doesn't name have its default."""

    def ppcv(self, category: str) -> Money:
        """The PPCv fee."""
        ...

    def tax_ppm(self, category: str) -> int:
        """The agent tax in parts per million."""
        ...

    def share_ppm(self, category: str = "") -> int:
        """The developer's part of either in parts per million."""
        ...


@dataclass(frozen=True, slots=True)
class Fee:
    """A fee and whose it is; `developer + platform == total`, always."""

    total: int
    developer: int

    @property
    def platform(self) -> int:
        """What the store keeps: the total less the developer's part, never rounded by itself."""
        return self.total - self.developer


@dataclass(frozen=True, slots=True)
class SaleEarnings:
    """What a sale at a price would earn, for disclosure: `store + developer == tax`."""

    tax: Money
    store: Money
    developer: Money


def ppcv_fee(prices: Prices, category: str) -> Fee:
    """The fee for one conversation in which a merchant's product was recommended."""
    total = prices.ppcv(category).micros
    developer, _ = split(total, prices.share_ppm(category))
    return Fee(total, developer)


def agent_tax(prices: Prices, category: str, sale_micros: int) -> Fee:
    """The tax on a sale that an agent brought about, rounded half-even once; the share is split from it."""
    total = apply_rate(sale_micros, prices.tax_ppm(category))
    developer, _ = split(total, prices.share_ppm(category))
    return Fee(total, developer)


def returned_part(fee: Fee, sale_micros: int, refunded_before: int, refunded_now: int) -> Fee:
    """What to give back of a tax when a part of the sale is refunded.

    Each side goes back by its cumulative share, half-even, less what went back before; so any sequence of
    partial refunds that ends in the whole sale returns exactly the whole fee, and neither side ever
    returns less than nothing. Requires 0 <= before, 0 <= now, before + now <= sale, 0 < sale.
    """
    after = refunded_before + refunded_now

    def part(side: int) -> int:
        return half_even(side * after, sale_micros) - half_even(side * refunded_before, sale_micros)

    developer = part(fee.developer)
    return Fee(part(fee.platform) + developer, developer)


def earnings_on_sale(prices: Prices, category: str, price: Money) -> SaleEarnings:
    """What the store and the developer would earn if this were bought, by these prices."""
    fee = agent_tax(prices, category, price.micros)
    return SaleEarnings(
        tax=Money(fee.total, price.currency),
        store=Money(fee.platform, price.currency),
        developer=Money(fee.developer, price.currency),
    )

"""A feed's price, sale and its dates, understood or refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from agentstore.kit.money import Money, exponent
from marketplace.catalog.feeds.refusals import RowRefused
from marketplace.catalog.sales import Sale

_PRICE: Final = re.compile(r"(?:([A-Za-z]{3})\s*)?([0-9]{1,8}(?:\.[0-9]{1,6})?)(?:\s*([A-Za-z]{3}))?")
PRICE_COLUMNS: Final = (
    "price_micros", "list_price_micros", "regular_micros", "sale_micros", "sale_from", "sale_to",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prices:
    """What is asked now, what was asked before the sale, and the sale's dates if it has any."""

    price: Money
    list_price: Money | None
    sale: Sale | None

    @property
    def columns(self) -> dict[str, Any]:
        """An offer's columns."""
        return {
            "price_micros": self.price.micros,
            "list_price_micros": None if self.list_price is None else self.list_price.micros,
            "regular_micros": self.sale.regular_micros if self.sale else None,
            "sale_micros": self.sale.sale_micros if self.sale else None,
            "sale_from": self.sale.starts if self.sale else None,
            "sale_to": self.sale.ends if self.sale else None,
        }


def read_price(text: str, *, currency: str, column: str = "price") -> Money:
    """`12.99 USD`, `USD 12.99` or `12.99`, with a full stop for decimals. Raises RowRefused."""
    match = _PRICE.fullmatch(text.strip())
    if match is None:
        raise RowRefused(
            f"{column}_unreadable", f"The {column} {text!r:.40} is not of the form “12.99 {currency}”."
        )
    named = (match[1] or match[3] or currency).upper()
    if (match[1] and match[3]) or named != currency:
        raise RowRefused(
            "currency_not_sold_here", f"The {column} is in {named}; this store sells in {currency}."
        )
    amount = Decimal(match[2])
    places = -int(amount.as_tuple().exponent)
    if places > exponent(currency) and amount != round(amount, exponent(currency)):
        raise RowRefused(f"{column}_too_fine", f"The {column} has more decimals than {currency} has.")
    if amount <= 0:
        raise RowRefused(f"{column}_not_positive", f"The {column} is not above zero.")
    return Money.from_decimal(amount, currency)


def read_prices(cells: Mapping[str, str], *, currency: str, at: datetime) -> Prices:
    """Price, sale price and the sale's dates; `at` decides which is asked now. Raises RowRefused."""
    price = read_price(cells["price"], currency=currency)
    if not cells.get("sale_price"):
        return Prices(price, None, None)
    reduced = read_price(cells["sale_price"], currency=currency, column="sale_price")
    if reduced.micros > price.micros:
        raise RowRefused("sale_price_above_price", "The sale_price is above the price.")
    if reduced == price:
        return Prices(price, None, None)
    window = cells.get("sale_price_effective_date", "")
    if not window:
        return Prices(reduced, price, None)
    begin, _, end = window.partition("/")
    starts = read_instant("sale_price_effective_date", begin)
    ends = read_instant("sale_price_effective_date", end)
    if starts >= ends:
        raise RowRefused("sale_price_effective_date_reversed", "The sale ends before it begins.")
    sale = Sale(price.micros, reduced.micros, starts, ends)
    asked, before = sale.at(at)
    return Prices(Money(asked, currency), None if before is None else Money(before, currency), sale)


def read_instant(column: str, text: str) -> datetime:
    """An ISO 8601 date or instant, UTC where it names no zone. Raises RowRefused."""
    try:
        read = datetime.fromisoformat(text.strip())
        # The first and last days there are have instants elsewhere that no calendar has.
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as broken:
        raise RowRefused(
            f"{column}_unreadable", f"{column} {text!r:.40} is not an ISO 8601 date."
        ) from broken

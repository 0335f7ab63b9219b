"""One line of a feed, understood or refused. Pure: no database, no files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from agentstore.kit.money import Money, exponent
from marketplace.catalog.categories import path_names
from marketplace.catalog.feeds.columns import ATTRIBUTES, REQUIRED

_PRICE: Final = re.compile(r"(?:([A-Za-z]{3})\s*)?(\d{1,8}(?:\.\d{1,6})?)(?:\s*([A-Za-z]{3}))?")
_DIGITS: Final = re.compile(r"\d{8}|\d{12,14}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffd]")
_MOST_STOCK: Final = 1_000_000_000
_LONGEST: Final = {"id": 120, "item_group_id": 120, "title": 300, "brand": 120, "sku": 120, "mpn": 120}
_LONGEST_TEXT: Final = 20_000
_IN_STOCK: Final = frozenset({"in_stock", "instock", "available", "limited_availability"})
_NOT_IN_STOCK: Final = frozenset(
    {"out_of_stock", "outofstock", "preorder", "pre_order", "backorder", "back_order", "sold_out", "unknown"}
)
_YES: Final = frozenset({"yes", "true", "1"})


class RowRefused(Exception):
    """A line that cannot be taken: a stable code and a sentence for the merchant."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An item as its merchant describes it. Prices in micro-units of the store's currency."""

    item_id: str
    group_id: str
    title: str
    description: str
    brand: str
    category: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str], ...]
    sku: str
    gtin: str
    price_micros: int
    list_price_micros: int | None
    currency: str
    stock: int
    ships_to: tuple[str, ...]
    min_age: int
    valid_to: datetime | None
    rating_value: Decimal | None
    rating_count: int

    @property
    def variant_title(self) -> str:
        """The options in words: `Red / M`."""
        return " / ".join(value for _, value in self.options)[:300]


def read_item(row: Mapping[str, str], *, currency: str, at: datetime) -> FeedItem:
    """A row under our column names as an item. `at` decides whether a dated sale is on. Raises RowRefused."""
    cells = {
        name: " ".join(value.split()) if name != "description" else value.strip()
        for name, value in row.items()
    }
    for name in REQUIRED:
        if not cells.get(name):
            raise RowRefused(f"{name}_missing", f"The column {name} is empty.")
    for name, value in cells.items():
        if _UNREADABLE.search(value):
            raise RowRefused("unreadable_text", f"The column {name} holds bytes that are not UTF-8 text.")
        if len(value) > _LONGEST.get(name, 20_000):
            raise RowRefused(
                f"{name}_too_long", f"The column {name} has over {_LONGEST.get(name, 20_000)} characters."
            )
    price, list_price = _prices(cells, currency=currency, at=at)
    options = _options(cells)
    return FeedItem(
        item_id=cells["id"],
        group_id=cells.get("item_group_id") or cells["id"],
        title=cells.get("item_group_title", "")[:300] or cells["title"],
        description=cells.get("description", ""),
        brand=cells.get("brand", ""),
        category=tuple(path_names(cells.get("product_category", ""))),
        attributes=tuple((name, cells[name][:300]) for name in ATTRIBUTES if cells.get(name)),
        options=options,
        sku=cells.get("sku", ""),
        gtin=_gtin(cells.get("gtin", "")),
        price_micros=price.micros,
        list_price_micros=None if list_price is None else list_price.micros,
        currency=currency,
        stock=_stock(cells),
        ships_to=_ships_to(cells),
        min_age=_min_age(cells),
        valid_to=_instant("expiration_date", cells["expiration_date"])
        if cells.get("expiration_date")
        else None,
        rating_value=_rating(cells.get("rating", "")),
        rating_count=_count("rating_count", cells.get("rating_count", "") or "0"),
    )


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


def _prices(cells: Mapping[str, str], *, currency: str, at: datetime) -> tuple[Money, Money | None]:
    price = read_price(cells["price"], currency=currency)
    if not cells.get("sale_price"):
        return price, None
    sale = read_price(cells["sale_price"], currency=currency, column="sale_price")
    if sale.micros > price.micros:
        raise RowRefused("sale_price_above_price", "The sale_price is above the price.")
    window = cells.get("sale_price_effective_date", "")
    if window:
        begin, _, end = window.partition("/")
        starts = _instant("sale_price_effective_date", begin)
        ends = _instant("sale_price_effective_date", end)
        if not starts <= at < ends:
            return price, None
    return (price, None) if sale == price else (sale, price)


def _stock(cells: Mapping[str, str]) -> int:
    availability = re.sub(r"[\s-]+", "_", cells["availability"].lower().rpartition("/")[2])
    if availability in _NOT_IN_STOCK:
        return 0
    if availability not in _IN_STOCK:
        raise RowRefused(
            "availability_unknown",
            f"The availability {availability!r:.40} is none of in_stock, out_of_stock, preorder, backorder.",
        )
    # In stock without a number says that there is at least one, so one is what can be sold.
    return _count("quantity", cells.get("quantity") or "1")


def _count(column: str, text: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(-1)
    if not number.is_finite() or number != int(number) or not 0 <= number <= _MOST_STOCK:
        raise RowRefused(
            f"{column}_unreadable", f"The {column} {text!r:.40} is not a whole number from zero up."
        )
    return int(number)


def _options(cells: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    options = [(name.capitalize(), cells[name]) for name in ("color", "size") if cells.get(name)]
    for position in (1, 2, 3):
        name = cells.get(f"custom_variant{position}_category", "")
        value = cells.get(f"custom_variant{position}_option", "")
        if name and value:
            options.append((name[:60], value))
    return tuple((name, value[:120]) for name, value in dict(options).items())


def _gtin(text: str) -> str:
    """GS1 General Specifications 7.9: the last digit checks the others, weighted 3 and 1 from the right."""
    digits = re.sub(r"[\s-]", "", text)
    if not digits:
        return ""
    if not _DIGITS.fullmatch(digits):
        raise RowRefused("gtin_unreadable", f"The gtin {text!r:.40} does not have 8, 12, 13 or 14 digits.")
    weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits[-2::-1]))
    if (10 - weighted % 10) % 10 != int(digits[-1]):
        raise RowRefused("gtin_wrong", f"The check digit of the gtin {text!r:.40} is wrong.")
    return digits


def _ships_to(cells: Mapping[str, str]) -> tuple[str, ...]:
    """Countries of `ships_to`, or of Google's `shipping` (`US:CA:Overnight:16.00 USD,DE:::4.90 EUR`)."""
    named = [part.strip().upper() for part in re.split(r"[,;| ]", cells.get("ships_to", "")) if part.strip()]
    if not named:
        entries = cells.get("shipping", "").split(",")
        named = [entry.split(":")[0].strip().upper() for entry in entries if ":" in entry]
    for country in named:
        if not _COUNTRY.fullmatch(country):
            raise RowRefused("country_unknown", f"{country!r:.20} is not a two-letter country code.")
    return tuple(sorted(set(named)))


def _min_age(cells: Mapping[str, str]) -> int:
    stated = cells.get("age_restriction", "")
    age = _count("age_restriction", stated.rstrip("+")) if stated else 0
    if age > 120:
        raise RowRefused("age_restriction_unreadable", "The age_restriction is over 120 years.")
    return max(age, 18) if cells.get("adult", "").lower() in _YES else age


def _rating(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value <= 5:
        raise RowRefused("rating_unreadable", f"The rating {text!r:.40} is not a number from 0 to 5.")
    return round(value, 2)


def _instant(column: str, text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError as broken:
        raise RowRefused(
            f"{column}_unreadable", f"{column} {text!r:.40} is not an ISO 8601 date."
        ) from broken
    return read if read.tzinfo else read.replace(tzinfo=UTC)

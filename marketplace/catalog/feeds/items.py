"""One line of a feed, understood or refused. Pure: no database, no files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from marketplace.catalog.categories import path_names
from marketplace.catalog.feeds.columns import ATTRIBUTES, LONGEST_TEXT, REQUIRED, tidy
from marketplace.catalog.feeds.prices import Prices, read_instant, read_prices
from marketplace.catalog.feeds.refusals import RowRefused, too_long
from marketplace.catalog.measures import Measure, read_measure
from marketplace.catalog.offers import MOST_STOCK

_DIGITS: Final = re.compile(r"[0-9]{8}|[0-9]{12,14}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
# Control characters, what stands for bytes that are no UTF-8, and halves of characters, which JSON can spell.
_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffd\ud800-\udfff]")
_LONGEST: Final = {"id": 120, "item_group_id": 120, "title": 300, "brand": 120, "sku": 120, "mpn": 120}
_IN_STOCK: Final = frozenset({"in_stock", "instock", "available", "limited_availability"})
_NOT_IN_STOCK: Final = frozenset(
    {"out_of_stock", "outofstock", "preorder", "pre_order", "backorder", "back_order", "sold_out", "unknown"}
)
# Addresses hold commas themselves.
_BETWEEN_URLS: Final = re.compile(r",+\s*(?=https?:|$)", re.IGNORECASE)
_YES: Final = frozenset({"yes", "true", "1"})


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An item as its merchant describes it. `photos` is None where its feed says nothing of photographs."""

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
    measure: Measure | None
    prices: Prices
    currency: str
    stock: int
    ships_to: tuple[str, ...]
    min_age: int
    valid_to: datetime | None
    rating_value: Decimal | None
    rating_count: int
    photos: tuple[str, ...] | None

    @property
    def variant_title(self) -> str:
        """The options in words: `Red / M`."""
        return " / ".join(value for _, value in self.options)[:300]


def readable(text: str) -> str:
    """A text with U+FFFD for what no database keeps, for reports of lines that are refused."""
    return _UNREADABLE.sub("\ufffd", text)


def read_item(row: Mapping[str, str], *, currency: str, at: datetime) -> FeedItem:
    """A row under our column names as an item. `at` decides whether a dated sale is on. Raises RowRefused."""
    cells = {name: tidy(name, value) for name, value in row.items()}
    for name in REQUIRED:
        if not cells.get(name):
            raise RowRefused(f"{name}_missing", f"The column {name} is empty.")
    for name, value in cells.items():
        if _UNREADABLE.search(value):
            raise RowRefused("unreadable_text", f"The column {name} holds bytes that are not UTF-8 text.")
        longest = _LONGEST.get(name, LONGEST_TEXT)
        if len(value) > longest:
            raise too_long(name, longest)
    prices = read_prices(cells, currency=currency, at=at)
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
        measure=_measure(cells),
        prices=prices,
        currency=currency,
        stock=read_stock(cells),
        ships_to=_ships_to(cells),
        min_age=_min_age(cells),
        valid_to=read_instant("expiration_date", cells["expiration_date"])
        if cells.get("expiration_date")
        else None,
        rating_value=_rating(cells.get("rating", "")),
        rating_count=_count("rating_count", cells.get("rating_count", "") or "0"),
        photos=_photos(cells),
    )


def read_stock(cells: Mapping[str, str]) -> int:
    """How many can be sold, by `availability` and `quantity`. Raises RowRefused."""
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
    # The bounds first: a whole number of 1e999999999 would take all memory.
    if not number.is_finite() or not 0 <= number <= MOST_STOCK or number != int(number):
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


def _photos(cells: Mapping[str, str]) -> tuple[str, ...] | None:
    """Addresses as given, the main one first; None where the feed has no such columns and says nothing of them."""
    if "image_link" not in cells and "additional_image_link" not in cells:
        return None
    named = _BETWEEN_URLS.split(f"{cells.get('image_link', '')},{cells.get('additional_image_link', '')}")
    return tuple(url.strip()[:2000] for url in named if url.strip(" ,"))


def _measure(cells: Mapping[str, str]) -> Measure | None:
    text, base = cells.get("unit_pricing_measure", ""), cells.get("unit_pricing_base_measure", "")
    if not text:
        return None
    found = read_measure(text, base)
    if found is None:
        raise RowRefused(
            "unit_pricing_measure_unreadable",
            f"{text!r:.40} per {base!r:.40} is not of the form “750 ml” per “1 l”, or a million times apart.",
        )
    return found


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

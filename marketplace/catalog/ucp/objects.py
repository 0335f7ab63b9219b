"""Our products as UCP's objects, validated by the protocol's own models. Amounts are minor units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from pydantic import BaseModel

from agentstore.kit.money import Money
from marketplace.catalog.hostile.marks import UNMARKED, said_of
from marketplace.catalog.measures import Measure
from marketplace.catalog.products import OfferView, ProductView, VariantView
from marketplace.catalog.ucp.versions import version

SEARCH: Final = "dev.ucp.shopping.catalog.search"
LOOKUP: Final = "dev.ucp.shopping.catalog.lookup"
# What every reader of JSON takes exactly (RFC 8259, section 6).
_LARGEST: Final = 2**53 - 1


def envelope(capability: str, *, status: str = "success") -> dict[str, Any]:
    """The `ucp` member of a response."""
    return {"version": version(), "status": status, "capabilities": {capability: [{"version": version()}]}}


def price(amount: Money) -> dict[str, Any]:
    """An amount in minor units."""
    return {"amount": amount.minor, "currency": amount.currency}


def absolute(path: str) -> str:
    """A path of ours as a whole address."""
    return f"{settings.SITE_URL.rstrip('/')}{path}"


def _range(amounts: Sequence[Money]) -> dict[str, Any]:
    return {"min": price(min(amounts)), "max": price(max(amounts))}


def product_object(
    product: ProductView, *, variants: Sequence[VariantView], inputs: Mapping[int, Any] | None = None
) -> dict[str, Any] | None:
    """A product with some of its variants; None when none of these is offered by anybody.

    `inputs` are lookup's correlations by variant id.
    """
    offered = [(variant, best) for variant in variants if (best := variant.best) is not None]
    every = [offer for offer in product.offers if offer.available] or product.offers
    if not offered or not every:
        return None
    found: dict[str, Any] = {
        "id": product.public_id,
        "title": product.title,
        "description": {"plain": product.description or product.title},
        "url": absolute(f"/products/{product.public_id}/"),
        "price_range": _range([offer.price for offer in every]),
        "variants": [
            variant_object(product, variant, best, inputs=(inputs or {}).get(variant.variant_id))
            for variant, best in offered
        ],
        "metadata": {
            "brand": product.brand,
            "merchant": product.owner_name,
            "min_age": product.min_age,
            "attributes": product.attributes,
        },
    }
    if product.marks != UNMARKED:
        found["metadata"]["untrusted_content"] = said_of(product.marks)
    if product.category_path:
        found["categories"] = [
            {"value": " > ".join(product.category_path), "taxonomy": "merchant"},
            {"value": product.category_slug, "taxonomy": "agentstore"},
        ]
    if product.photos:
        found["media"] = [
            {
                "type": "image",
                "url": absolute(photo.url),
                "alt_text": photo.alt or product.title,
                "width": photo.width,
                "height": photo.height,
            }
            for photo in product.photos
        ]
    options = option_values(product.variants)
    if options:
        found["options"] = [
            {"name": name, "values": [{"label": label} for label in labels]}
            for name, labels in options.items()
        ]
    if product.rating_value is not None:
        found["rating"] = {"value": product.rating_value, "scale_max": 5, "count": product.rating_count}
    return found


def variant_object(
    product: ProductView, variant: VariantView, best: OfferView, *, inputs: Any = None
) -> dict[str, Any]:
    """A variant at its best offer; the offer's own id, stock and destinations are in `metadata`."""
    title = variant.title or product.title
    found: dict[str, Any] = {
        "id": variant.public_id,
        "title": title,
        "description": {"plain": title},
        "price": price(best.price),
        "availability": {
            "available": variant.available,
            "status": "in_stock" if variant.available else "out_of_stock",
        },
        "seller": {"name": best.merchant_name},
        "metadata": {
            "offer_id": best.public_id,
            "stock": best.stock,
            "ships_to": list(best.ships_to),
            "offers": [
                {"id": offer.public_id, "merchant": offer.merchant_name, "price": price(offer.price)}
                for offer in variant.offers
                if offer.available
            ],
        },
    }
    if best.list_price:
        found["list_price"] = price(best.list_price)
    if best.low:
        found["metadata"]["lowest_price_30_days"] = price(best.low)
    if best.unit_price and variant.measure and (unit_price := _unit_price(best.unit_price, variant.measure)):
        found["unit_price"] = unit_price
    if variant.sku:
        found["sku"] = variant.sku
    if variant.gtin:
        found["barcodes"] = [{"type": "GTIN", "value": variant.gtin}]
    if variant.options:
        found["options"] = [{"name": name, "label": label} for name, label in variant.options.items()]
    if inputs:
        found["inputs"] = inputs
    return found


def _unit_price(amount: Money, measure: Measure) -> dict[str, Any] | None:
    """None where a number is too large for the protocol: one product may not fail a whole answer."""
    held, base = _scaled(measure.amount, measure.unit), _scaled(measure.base, measure.unit)
    if max(amount.minor, held["value"], base["value"]) > _LARGEST:
        return None
    return {**price(amount), "measure": held, "reference": base}


def _scaled(amount: Decimal, unit: str) -> dict[str, Any]:
    """A measure as UCP has it: `value × 10^-scale`."""
    exact = amount.normalize()
    scale = max(0, -int(exact.as_tuple().exponent))
    return {
        "value": int(exact.scaleb(scale)),
        "scale": scale,
        "unit": unit,
        "display_text": f"{exact:f} {unit}",
    }


def option_values(variants: Iterable[VariantView]) -> dict[str, list[str]]:
    """The options of variants and the values each takes, in order of appearance."""
    values: dict[str, dict[str, None]] = {}
    for variant in variants:
        for name, label in variant.options.items():
            values.setdefault(name, {})[label] = None
    return {name: list(labels) for name, labels in values.items()}


def checked(model: type[BaseModel], body: dict[str, Any]) -> dict[str, Any]:
    """A response body that the protocol's model accepts, without what is empty."""
    return model.model_validate(body).model_dump(mode="json", by_alias=True, exclude_none=True)

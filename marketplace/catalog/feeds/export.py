"""A merchant's catalogue as the feed that would make it again, and its offers as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import F, Prefetch, QuerySet

from agentstore.identity.models import Organization
from agentstore.kit.money import Money, exponent
from marketplace.catalog.feeds.columns import ATTRIBUTES
from marketplace.catalog.models import Offer, PhotoLink

FEED_COLUMNS: Final = (
    "id", "item_group_id", "item_group_title", "title", "description", "brand", "product_category", *ATTRIBUTES,
    "color", "size", "custom_variant1_category", "custom_variant1_option", "custom_variant2_category",
    "custom_variant2_option", "custom_variant3_category", "custom_variant3_option", "sku", "gtin", "price",
    "sale_price", "sale_price_effective_date", "unit_pricing_measure", "unit_pricing_base_measure", "availability",
    "quantity", "ships_to", "age_restriction", "expiration_date", "rating", "rating_count", "image_link",
    "additional_image_link",
)  # fmt: skip
OFFER_COLUMNS: Final = (
    "offer", "product", "variant", "id", "title", "price", "list_price", "regular_price", "sale_price", "sale_from",
    "sale_to", "currency", "on_hand", "reserved", "stock", "ships_to", "valid_from", "valid_to", "active",
    "updated_at",
)  # fmt: skip


def described_by(merchant: Organization) -> QuerySet[Offer]:
    """The merchant's offers of products that it describes itself: what its feeds brought."""
    links = Prefetch("variant__product__photo_links", queryset=PhotoLink.objects.order_by("position", "id"))
    return (
        Offer.objects.filter(merchant=merchant, variant__owner=F("merchant"))
        .select_related("variant__product__category")
        .prefetch_related(links)
    )


def offered_by(merchant: Organization) -> QuerySet[Offer]:
    """All of the merchant's offers."""
    return Offer.objects.filter(merchant=merchant).select_related("variant__product")


def feed_rows(offers: Sequence[Offer]) -> list[list[str]]:
    """Offers of `described_by` under FEED_COLUMNS; importing them changes nothing."""
    rows = [_feed_cells(offer) for offer in offers]
    return [[cells.get(name, "") for name in FEED_COLUMNS] for cells in rows]


def offer_rows(offers: Sequence[Offer]) -> list[list[object]]:
    """Offers under OFFER_COLUMNS: prices of one in major units, instants as ISO 8601."""
    return [
        [
            offer.public_id, offer.variant.product.public_id, offer.variant.public_id, offer.variant.item_id,
            _title(offer), offer.price.decimal, offer.list_price.decimal if offer.list_price else "",
            _amount(offer.regular_micros, offer), _amount(offer.sale_micros, offer),
            offer.sale_from.isoformat() if offer.sale_from else "",
            offer.sale_to.isoformat() if offer.sale_to else "", offer.currency, offer.on_hand, offer.reserved,
            offer.stock, ",".join(offer.ships_to), offer.valid_from.isoformat() if offer.valid_from else "",
            offer.valid_to.isoformat() if offer.valid_to else "", "yes" if offer.active else "no",
            offer.updated_at.isoformat(),
        ]
        for offer in offers
    ]  # fmt: skip


def _feed_cells(offer: Offer) -> dict[str, str]:
    variant, product = offer.variant, offer.variant.product
    photos = [link.url for link in product.photo_links.all()]
    return {
        "id": variant.item_id,
        "item_group_id": product.group_id,
        "item_group_title": product.title,
        "title": _title(offer),
        "description": product.description,
        "brand": product.brand,
        "product_category": product.category.path if product.category else "",
        **{name: str(value) for name, value in product.attributes.items() if name in ATTRIBUTES},
        **_option_cells(variant.options),
        "sku": variant.sku,
        "gtin": variant.gtin,
        **_price_cells(offer),
        "unit_pricing_measure": f"{variant.measure.normalize():f} {variant.measure_unit}"
        if variant.measure
        else "",
        "unit_pricing_base_measure": (
            f"{variant.measure_base.normalize():f} {variant.measure_unit}" if variant.measure_base else ""
        ),
        "availability": "in_stock" if offer.on_hand else "out_of_stock",
        "quantity": str(offer.on_hand),
        "ships_to": ",".join(offer.ships_to),
        "age_restriction": str(product.min_age) if product.min_age else "",
        "expiration_date": offer.valid_to.isoformat() if offer.valid_to else "",
        "rating": str(product.rating_value) if product.rating_value is not None else "",
        "rating_count": str(product.rating_count) if product.rating_count else "",
        "image_link": photos[0] if photos else "",
        "additional_image_link": ",".join(photos[1:]),
    }


def _title(offer: Offer) -> str:
    variant = offer.variant
    return f"{variant.product.title} {variant.title}".strip()[:300]


def _option_cells(options: dict[str, str]) -> dict[str, str]:
    cells = {name.lower(): value for name, value in options.items() if name in ("Color", "Size")}
    others = [(name, value) for name, value in options.items() if name.lower() not in cells]
    for position, (name, value) in enumerate(others[:3], 1):
        cells[f"custom_variant{position}_category"] = name
        cells[f"custom_variant{position}_option"] = value
    return cells


def _price_cells(offer: Offer) -> dict[str, str]:
    if sale := offer.sale:
        return {
            "price": _money(sale.regular_micros, offer),
            "sale_price": _money(sale.sale_micros, offer),
            "sale_price_effective_date": f"{sale.starts.isoformat()}/{sale.ends.isoformat()}",
        }
    if offer.list_price_micros is None:
        return {"price": _money(offer.price_micros, offer)}
    return {"price": _money(offer.list_price_micros, offer), "sale_price": _money(offer.price_micros, offer)}


def _money(micros: int, offer: Offer) -> str:
    return f"{_amount(micros, offer)} {offer.currency}"


def _amount(micros: int | None, offer: Offer) -> str:
    if micros is None:
        return ""
    return f"{Money(micros, offer.currency).decimal:.{exponent(offer.currency)}f}"

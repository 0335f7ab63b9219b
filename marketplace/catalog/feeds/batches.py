"""Writing items: a few statements for a whole batch; item by item only when PostgreSQL refuses the batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import DatabaseError, OperationalError, transaction
from psycopg.errors import ProgramLimitExceeded

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from marketplace.catalog.categories import ensure_categories
from marketplace.catalog.drafting.standing import standing_drafts
from marketplace.catalog.feeds.fields import Diff, set_values
from marketplace.catalog.feeds.groups import find_crowded
from marketplace.catalog.feeds.items import FeedItem
from marketplace.catalog.feeds.prices import PRICE_COLUMNS
from marketplace.catalog.feeds.refusals import RowRefused
from marketplace.catalog.models import Category, Offer, Product, Variant
from marketplace.catalog.outbox import announce_products
from marketplace.catalog.photo_links import set_links
from marketplace.catalog.texts import product_text, text_hash

_PRODUCT: Final = (
    "title", "description", "brand", "category_id", "attributes", "rating_value", "rating_count", "min_age",
    "text_hash",
)  # fmt: skip
_VARIANT: Final = ("product_id", "sku", "gtin", "title", "options", "measure", "measure_base", "measure_unit")
_OFFER: Final = (*PRICE_COLUMNS, "currency", "on_hand", "ships_to", "valid_to")


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An item that was new or came to differ, and in which fields."""

    line: int
    item: FeedItem
    is_new: bool
    diff: Diff


@dataclass(slots=True)
class Outcome:
    """How many items were new, changed and as they were; what changed, and what was refused."""

    accepted: int = 0
    changed: int = 0
    unchanged: int = 0
    changes: list[ItemChange] = field(default_factory=list)
    refused: list[tuple[int, FeedItem, RowRefused]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count another's in."""
        self.accepted += other.accepted
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.changes += other.changes
        self.refused += other.refused


def write_batch(*, merchant: Organization, items: Sequence[tuple[int, FeedItem]]) -> Outcome:
    """Make the catalogue say what the items say; item ids are distinct, the transaction is the caller's.

    A batch that PostgreSQL refuses is written again item by item, so that a bad item takes no other with it. Raises
    OperationalError for the database's own trouble, deadlocks among it, which is no item's fault.
    """
    try:
        with transaction.atomic():
            return _write(merchant, items)
    except DatabaseError as broken:
        # psycopg counts what is too large for an index among the database's troubles.
        if isinstance(broken, OperationalError) and not isinstance(broken.__cause__, ProgramLimitExceeded):
            raise
        if len(items) == 1:
            line, item = items[0]
            message = str(broken).splitlines()[0][:200] if str(broken) else "The database refused it."
            return Outcome(refused=[(line, item, RowRefused("not_storable", message))])
    total = Outcome()
    for one in items:
        total.add(write_batch(merchant=merchant, items=[one]))
    return total


def _write(merchant: Organization, items: Sequence[tuple[int, FeedItem]]) -> Outcome:
    variants = {
        variant.item_id: variant
        for variant in Variant.objects.filter(owner=merchant, item_id__in=[item.item_id for _, item in items])
    }
    crowded = find_crowded(merchant, items, variants)
    outcome = Outcome(
        refused=[(line, item, crowded[item.item_id]) for line, item in items if item.item_id in crowded]
    )
    items = [(line, item) for line, item in items if item.item_id not in crowded]
    wanted = [item for _, item in items]
    diffs: dict[str, Diff] = defaultdict(Diff)
    products = _write_products(merchant, wanted, diffs)
    written = _write_variants(merchant, wanted, products, variants, diffs)
    _write_offers(merchant, wanted, {item_id: v.pk for item_id, v in written.all.items()}, diffs)
    stale: set[int] = set()
    for line, item in items:
        is_new = item.item_id in written.new
        if not is_new and item.item_id not in diffs:
            outcome.unchanged += 1
            continue
        outcome.accepted += is_new
        outcome.changed += not is_new
        outcome.changes.append(ItemChange(line, item, is_new, diffs[item.item_id]))
        stale.add(products[item.group_id].pk)
    announce_products(stale | written.left)
    return outcome


def _write_products(
    merchant: Organization, items: Sequence[FeedItem], diffs: dict[str, Diff]
) -> dict[str, Product]:
    """Products by group id; what changed in one is the change of the item that describes it.

    The first item of a group describes the product; its siblings often differ in wording, and taking each in
    turn would change the product with every line. A description that the merchant published in the store stands
    until its feed says something else than it did then.
    """
    leading: dict[str, FeedItem] = {}
    for item in items:
        leading.setdefault(item.group_id, item)
    products = {
        product.group_id: product
        for product in Product.objects.filter(owner=merchant, group_id__in=list(leading))
    }
    leads = dict(
        Variant.objects.filter(product__in=products.values())
        .order_by("product_id", "id")
        .distinct("product_id")
        .values_list("product_id", "item_id")
    )
    by_id = {item.item_id: item for item in items}
    categories = ensure_categories([item.category for item in items])
    standing = standing_drafts(products.values())
    write: dict[str, Product] = {}
    leads_here: list[FeedItem] = []
    for group_id, first in leading.items():
        product = products.get(group_id)
        lead_id = first.item_id if product is None else leads.get(product.pk, first.item_id)
        lead = by_id.get(lead_id)
        if lead is None or lead.group_id != group_id:
            continue
        leads_here.append(lead)
        draft = standing.get(product.pk) if product else None
        description = draft.text if draft and draft.fed == lead.description else lead.description
        values = _product_values(lead, categories[lead.category], description)
        if product is None:
            write[group_id] = Product(owner=merchant, group_id=group_id, **values)
            diffs[lead.item_id].add_new("product", {"created": True})
        elif changed := set_values(product, values):
            diffs[lead.item_id].add("product", changed)
            product.updated_at = now()
            write[group_id] = product
    Product.objects.bulk_create(
        write.values(), update_conflicts=True, unique_fields=["owner", "group_id"],
        update_fields=[*(name.removesuffix("_id") for name in _PRODUCT), "updated_at"],
    )  # fmt: skip
    all_products = {**products, **write}
    pictured = {all_products[item.group_id].pk: item for item in leads_here if item.photos is not None}
    for product_id, (before, after) in set_links(
        {product_id: item.photos or () for product_id, item in pictured.items()}
    ).items():
        diffs[pictured[product_id].item_id].add("product", {"photos": (before, after)})
    return all_products


def _product_values(item: FeedItem, category: Category | None, description: str) -> dict[str, Any]:
    text = product_text(title=item.title, brand=item.brand, category=item.category, description=description)
    return {
        "title": item.title,
        "description": description,
        "brand": item.brand,
        "category_id": category.pk if category else None,
        "attributes": dict(item.attributes),
        "rating_value": item.rating_value,
        "rating_count": item.rating_count,
        "min_age": item.min_age,
        "text_hash": text_hash(text),
    }


@dataclass(slots=True)
class _Variants:
    all: dict[str, Variant]
    new: set[str]
    left: set[int]


def _write_variants(
    merchant: Organization,
    items: Iterable[FeedItem],
    products: dict[str, Product],
    variants: dict[str, Variant],
    diffs: dict[str, Diff],
) -> _Variants:
    result = _Variants(all=dict(variants), new=set(), left=set())
    write: list[Variant] = []
    for item in items:
        values = {
            "product_id": products[item.group_id].pk,
            "sku": item.sku,
            "gtin": item.gtin,
            "title": item.variant_title,
            "options": dict(item.options),
            "measure": item.measure.amount if item.measure else None,
            "measure_base": item.measure.base if item.measure else None,
            "measure_unit": item.measure.unit if item.measure else "",
        }
        variant = variants.get(item.item_id)
        if variant is None:
            variant = Variant(owner=merchant, item_id=item.item_id, **values)
            result.new.add(item.item_id)
        else:
            before = variant.product_id
            changed = set_values(variant, values)
            if not changed:
                continue
            diffs[item.item_id].add("variant", changed)
            if before != variant.product_id:
                result.left.add(before)
        result.all[item.item_id] = variant
        write.append(variant)
    Variant.objects.bulk_create(
        write, update_conflicts=True, unique_fields=["owner", "item_id"],
        update_fields=[name.removesuffix("_id") for name in _VARIANT],
    )  # fmt: skip
    return result


def _write_offers(
    merchant: Organization, items: Iterable[FeedItem], ids: dict[str, int], diffs: dict[str, Diff]
) -> None:
    """A feed never switches an offer on or off."""
    offers = {
        offer.variant_id: offer
        for offer in Offer.objects.filter(merchant=merchant, variant_id__in=list(ids.values()))
    }
    write: dict[str, Offer] = {}
    for item in items:
        values = {
            **item.prices.columns,
            "currency": item.currency,
            "on_hand": item.stock,
            "ships_to": list(item.ships_to),
            "valid_to": item.valid_to,
        }
        offer = offers.get(ids[item.item_id])
        if offer is None:
            write[item.item_id] = Offer(variant_id=ids[item.item_id], merchant=merchant, **values)
            diffs[item.item_id].add_new("offer", values)
        elif changed := set_values(offer, values):
            diffs[item.item_id].add("offer", changed)
            offer.updated_at = now()
            write[item.item_id] = offer
    Offer.objects.bulk_create(
        # In the order of the variants, as all who lock several offers go by.
        sorted(write.values(), key=lambda offer: offer.variant_id),
        update_conflicts=True, unique_fields=["variant", "merchant"], update_fields=[*_OFFER, "updated_at"],
    )  # fmt: skip

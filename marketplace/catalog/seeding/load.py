"""Loading a seed merchant: its organization, its feed through the importer, its photographs."""

from __future__ import annotations

import csv
import hashlib
import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from django.core.files.base import File
from django.utils.text import slugify

from agentstore.identity.models import Membership, Organization, User
from agentstore.identity.services import create_organization
from marketplace.catalog.feeds import run_import, start_import
from marketplace.catalog.media import attach_photo
from marketplace.catalog.models import FeedImport, Media, Product

COLUMNS: Final = (
    "id", "item_group_id", "item_group_title", "title", "description", "product_category", "brand", "sku",
    "mpn", "price", "availability", "quantity", "condition", "size", "ships_to", "age_restriction",
    "custom_variant1_category", "custom_variant1_option", "custom_variant2_category",
    "custom_variant2_option",
)  # fmt: skip


def ensure_merchant(*, name: str, owner: User) -> Organization:
    """The merchant of that name with the owner among its members."""
    merchant = Organization.objects.filter(slug=slugify(name), kind=Organization.Kind.MERCHANT).first()
    if merchant is None:
        return create_organization(kind=Organization.Kind.MERCHANT, name=name, owner=owner)
    Membership.objects.get_or_create(
        organization=merchant, user=owner, defaults={"role": Membership.Role.OWNER}
    )
    return merchant


def load_feed(
    *, merchant: Organization, rows: Iterable[dict[str, str]], by: User, limit: int | None = None
) -> FeedImport | None:
    """Write rows as a CSV feed and read it through the importer; None when this very feed was read before.

    Reading it again would put sold stock back, so an unchanged seed is left alone.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "feed.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(itertools.islice(rows, limit))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        filename = f"seed-{digest}.csv"
        done = FeedImport.objects.filter(merchant=merchant, filename=filename, status=FeedImport.Status.DONE)
        if done.exists():
            return None
        with path.open("rb") as source:
            feed_import = start_import(
                merchant=merchant, source=File(source, name=filename), by=by, enqueue=False
            )
    return run_import(import_id=feed_import.pk)


def load_photographs(*, merchant: Organization, photographs: Iterable[tuple[str, Path]]) -> int:
    """Attach photographs to products by group id, those that have none yet; gives how many were added."""
    products = {product.group_id: product for product in Product.objects.filter(owner=merchant)}
    have = set(Media.objects.filter(product__owner=merchant).values_list("product__group_id", flat=True))
    added: dict[str, int] = {}
    for group_id, path in photographs:
        product = products.get(group_id)
        if product is None or group_id in have:
            continue
        with path.open("rb") as source:
            attach_photo(product=product, source=source, alt=product.title, position=added.get(group_id, 0))
        added[group_id] = added.get(group_id, 0) + 1
    return sum(added.values())

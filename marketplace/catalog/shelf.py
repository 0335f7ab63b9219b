"""What a merchant's pages show of its catalogue: figures and lists, read only."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from agentstore.identity.models import Organization
from agentstore.kit.errors import NotFound
from agentstore.kit.ids import MalformedId, parse_public_id
from marketplace.catalog.models import Category, FeedImport, FeedItemChange, FeedRefusal, Offer, Product
from marketplace.catalog.slugs import slugs_along


@dataclass(frozen=True, slots=True)
class ShelfFigures:
    """How much a merchant has in the store."""

    products: int
    offers: int
    out_of_stock: int
    switched_off: int
    without_photo: int


def shelf_figures(merchant: Organization) -> ShelfFigures:
    """Counts of a merchant's products and offers, in two queries."""
    offers = Offer.objects.filter(merchant=merchant).aggregate(
        all=Count("id"),
        out=Count("id", filter=Q(stock=0, active=True)),
        off=Count("id", filter=Q(active=False)),
    )
    products = Product.objects.filter(owner=merchant)
    return ShelfFigures(
        products=products.count(),
        offers=offers["all"],
        out_of_stock=offers["out"],
        switched_off=offers["off"],
        without_photo=products.filter(media__isnull=True).count(),
    )


def offers_of(merchant: Organization, *, text: str = "", show: str = "") -> QuerySet[Offer]:
    """A merchant's offers by a text in the title or an id of the item; `show` is "", "out" or "off"."""
    offers = (
        Offer.objects.filter(merchant=merchant)
        .select_related("variant__product__category")
        .order_by("variant__product__title", "id")
    )
    if wanted := text.strip():
        offers = offers.filter(
            Q(variant__product__title__icontains=wanted)
            | Q(variant__item_id=wanted)
            | Q(variant__sku=wanted)
            | Q(variant__gtin=wanted)
        )
    if show == "out":
        offers = offers.filter(stock=0, active=True)
    elif show == "off":
        offers = offers.filter(active=False)
    return offers


def offer_of(merchant: Organization, offer_id: int) -> Offer:
    """One of a merchant's own offers. Raises NotFound for others' and unknown ones alike."""
    found = (
        Offer.objects.select_related("variant__product__category")
        .prefetch_related("variant__product__media", "changes__by")
        .filter(merchant=merchant, pk=offer_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such offer.")
    return found


def find_offer(merchant: Organization, text: str) -> Offer | None:
    """The merchant's offer that somebody means by `off_1`, an item id, an SKU or a GTIN; the first of several."""
    wanted = text.strip()
    if not wanted:
        return None
    named = Q(variant__item_id=wanted) | Q(variant__sku=wanted) | Q(variant__gtin=wanted)
    with suppress(MalformedId):
        named |= Q(pk=parse_public_id("off", wanted))
    offers = Offer.objects.filter(named, merchant=merchant).select_related("variant__product")
    return offers.order_by("id").first()


def categories_of(merchant: Organization) -> QuerySet[Category]:
    """The categories of a merchant's products, with those above them."""
    paths = (
        Category.objects.filter(products__owner=merchant).order_by().distinct().values_list("path", flat=True)
    )
    names = [path.split(" > ") for path in paths]
    slugs = {slug for path in names for slug in slugs_along(path)}
    return Category.objects.filter(slug__in=slugs)


def imports_of(merchant: Organization) -> QuerySet[FeedImport]:
    """A merchant's imports, the latest first."""
    return FeedImport.objects.filter(merchant=merchant).select_related("by")


def import_of(merchant: Organization, import_id: UUID) -> FeedImport:
    """One of a merchant's own imports. Raises NotFound for others' and unknown ones alike."""
    found = imports_of(merchant).filter(pk=import_id).first()
    if found is None:
        raise NotFound("There is no such import.")
    return found


def refusals_of(feed_import: FeedImport) -> QuerySet[FeedRefusal]:
    """The refused lines of an import, in the file's order."""
    return FeedRefusal.objects.filter(feed_import=feed_import)


def changes_of(feed_import: FeedImport) -> QuerySet[FeedItemChange]:
    """What an import changed or a dry run would, in the file's order."""
    return FeedItemChange.objects.filter(feed_import=feed_import)


def refusal_counts(feed_import: FeedImport) -> list[tuple[str, int]]:
    """How many lines were refused for each reason, the commonest first."""
    rows = refusals_of(feed_import).order_by().values("code").annotate(count=Count("id"))
    return sorted(((row["code"], row["count"]) for row in rows), key=lambda row: (-row[1], row[0]))

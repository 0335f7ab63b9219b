"""What is sold, the exact sellable items, and who sells them at which price."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from pgvector.django import HalfVectorField, HnswIndex

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id, public_id
from agentstore.kit.money import Money


class Category(models.Model):
    """A node of the taxonomy; the path from the root is kept for reading subtrees."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="children"
    )

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """What is sold, as the merchant's feed that brought it describes it."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        WITHHELD = "withheld", "Withheld by the platform"

    owner = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="products")
    group_id = models.CharField(max_length=80, help_text="the feed's item_group_id, or the item's id")
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True)
    brand = models.CharField(max_length=120, blank=True)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, null=True, related_name="products")
    attributes = models.JSONField(default=dict, blank=True)
    rating_value = models.DecimalField(max_digits=3, decimal_places=2, null=True, blank=True)
    rating_count = models.PositiveIntegerField(default=0)
    min_age = models.PositiveSmallIntegerField(default=0, help_text="years")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    text_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the text that is embedded")
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "group_id"], name="one_product_per_group")]
        indexes = [models.Index(fields=["text_hash"], name="product_by_text")]

    def __str__(self) -> str:
        return self.title

    @property
    def public_id(self) -> str:
        """`prod_<number>`"""
        return public_id("prod", self.pk)


class Media(models.Model):
    """A photograph, stored once under its content's hash and served by the platform itself."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="media")
    path = models.CharField(max_length=120, help_text="below MEDIA_ROOT")
    alt = models.CharField(max_length=300, blank=True)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        verbose_name_plural = "media"
        constraints = [models.UniqueConstraint(fields=["product", "path"], name="one_photograph_each")]

    def __str__(self) -> str:
        return self.path


class Variant(models.Model):
    """The exact sellable item."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="variants")
    owner = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    item_id = models.CharField(max_length=80, help_text="the feed's id")
    sku = models.CharField(max_length=80, blank=True)
    gtin = models.CharField(max_length=14, blank=True)
    title = models.CharField(
        max_length=300, blank=True, help_text="its options in words; empty for the only one"
    )
    options = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["owner", "item_id"], name="one_variant_per_item")]
        indexes = [models.Index(fields=["gtin"], condition=~Q(gtin=""), name="variant_by_gtin")]

    def __str__(self) -> str:
        return self.title or self.item_id

    @property
    def public_id(self) -> str:
        """`var_<number>`"""
        return public_id("var", self.pk)


class Offer(models.Model):
    """One merchant's price and stock for a variant. Narrow, so that a price change costs little."""

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="offers")
    merchant = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="offers")
    price_micros = models.BigIntegerField()
    list_price_micros = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    stock = models.IntegerField(default=0)
    ships_to = ArrayField(
        models.CharField(max_length=2), default=list, blank=True, help_text="empty: everywhere"
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["variant", "merchant"], name="one_offer_per_merchant"),
            models.CheckConstraint(name="price_above_zero", condition=Q(price_micros__gt=0)),
            models.CheckConstraint(name="stock_not_negative", condition=Q(stock__gte=0)),
            models.CheckConstraint(
                name="list_price_above_price",
                condition=Q(list_price_micros__isnull=True) | Q(list_price_micros__gt=F("price_micros")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.price} at {self.merchant_id}"

    @property
    def public_id(self) -> str:
        """`off_<number>`"""
        return public_id("off", self.pk)

    @property
    def price(self) -> Money:
        """What it costs now."""
        return Money(self.price_micros, self.currency)


class FeedImport(models.Model):
    """One reading of a merchant's feed: how far it got and what came of each line."""

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        TSV = "tsv", "TSV"
        JSONL = "jsonl", "JSON lines"

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    merchant = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="imports")
    by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    file = models.FileField(upload_to="feeds/")
    filename = models.CharField(max_length=200)
    format = models.CharField(max_length=5, choices=Format.choices)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.WAITING)
    size = models.BigIntegerField(default=0, help_text="bytes")
    lines_read = models.PositiveIntegerField(default=0, help_text="where a restart goes on")
    accepted = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, help_text="why the whole feed could not be read")
    created_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.filename


class FeedImportStatusChange(models.Model):
    """Who moved an import to which status, when and why."""

    feed_import = models.ForeignKey(FeedImport, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=7, blank=True)
    to_status = models.CharField(max_length=7)
    by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class FeedRefusal(models.Model):
    """A line of a feed that was not taken, and why."""

    feed_import = models.ForeignKey(FeedImport, on_delete=models.CASCADE, related_name="refusals")
    line = models.PositiveIntegerField(help_text="from 1, the header included")
    item_id = models.CharField(max_length=80, blank=True)
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=300)

    class Meta:
        ordering = ["line", "id"]
        constraints = [
            models.UniqueConstraint(fields=["feed_import", "line"], name="one_refusal_per_line"),
        ]

    def __str__(self) -> str:
        return f"line {self.line}: {self.code}"


class IndexOutbox(models.Model):
    """A product that the search index has to read again."""

    product_id = models.BigIntegerField()
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"prod_{self.product_id}"


class TextEmbedding(models.Model):
    """A text's vector by all-MiniLM-L6-v2, computed once however many products share the text."""

    text_hash = models.CharField(max_length=64, primary_key=True)
    vector = HalfVectorField(dimensions=384)
    computed_at = models.DateTimeField(default=now)

    class Meta:
        indexes = [
            HnswIndex(name="text_embedding_hnsw", fields=["vector"], opclasses=["halfvec_cosine_ops"]),
        ]

    def __str__(self) -> str:
        return self.text_hash[:12]

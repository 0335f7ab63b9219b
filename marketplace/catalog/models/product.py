"""Products and their variants, as the merchant that describes them says."""

from __future__ import annotations

from django.db import models

from agentstore.identity.models import Organization
from agentstore.kit.changes import ChangeByUser
from agentstore.kit.clock import now
from agentstore.kit.ids import public_id


class Category(models.Model):
    """A place in the store's tree of goods. The path is what it is; the slug spells the whole way from the root."""

    slug = models.CharField(max_length=160, unique=True, help_text="slug_of its names")
    former_slug = models.CharField(
        max_length=160, null=True, unique=True, help_text="what old addresses call it"
    )
    name = models.CharField(max_length=120)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="children")
    path = models.CharField(max_length=620, help_text="names from the root, joined by “ > ”")

    class Meta:
        ordering = ["path"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.path

    @property
    def names(self) -> list[str]:
        """Names from the root to this category."""
        return self.path.split(" > ")


class Product(models.Model):
    """What is sold: the part of a description that all its variants share."""

    class Status(models.TextChoices):
        ACTIVE = "active", "In the catalogue"
        WITHHELD = "withheld", "Withheld by the store"

    owner = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="products",
        help_text="the merchant whose feed describes it",
    )  # fmt: skip
    group_id = models.CharField(max_length=120, help_text="item_group_id of the feed, or the item's own id")
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True)
    brand = models.CharField(max_length=120, blank=True)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, null=True, related_name="products")
    attributes = models.JSONField(default=dict, blank=True)
    rating_value = models.DecimalField(max_digits=3, decimal_places=2, null=True, blank=True)
    rating_count = models.PositiveIntegerField(default=0)
    min_age = models.PositiveSmallIntegerField(default=0, help_text="years; 0 is for everyone")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    text_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the text that is embedded")
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["owner", "group_id"], name="one_product_per_group")]
        indexes = [models.Index(fields=["text_hash"], name="product_by_text")]

    def __str__(self) -> str:
        return self.title

    @property
    def public_id(self) -> str:
        """`prod_1`"""
        return public_id("prod", self.pk)


class ProductStatusChange(ChangeByUser):
    """Who withheld a product or let it back, when and why."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=8)
    to_status = models.CharField(max_length=8)
    reason = models.TextField()

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Media(models.Model):
    """A photograph of a product, re-encoded by the store and named by its content."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="media")
    path = models.CharField(max_length=120, help_text="below MEDIA_ROOT; named by its content's SHA-256")
    alt = models.CharField(max_length=300, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    width = models.PositiveIntegerField(help_text="pixels")
    height = models.PositiveIntegerField(help_text="pixels")

    class Meta:
        ordering = ["position", "id"]
        verbose_name_plural = "media"
        constraints = [models.UniqueConstraint(fields=["product", "path"], name="one_photograph_each")]

    def __str__(self) -> str:
        return self.path


class Variant(models.Model):
    """The exact sellable item."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="variants")
    owner = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+",
        help_text="the product's owner, kept here so that item ids are unique within a merchant",
    )  # fmt: skip
    item_id = models.CharField(max_length=120, help_text="the feed's id")
    sku = models.CharField(max_length=120, blank=True)
    gtin = models.CharField(max_length=14, blank=True, help_text="GS1: 8, 12, 13 or 14 digits")
    title = models.CharField(
        max_length=300, blank=True, help_text="its options in words; empty for the only one"
    )
    options = models.JSONField(default=dict, blank=True, help_text="such as colour and size, name to value")
    measure = models.DecimalField(
        max_digits=14, decimal_places=6, null=True, blank=True, help_text="what a package holds"
    )
    measure_base = models.DecimalField(
        max_digits=14, decimal_places=6, null=True, blank=True, help_text="per how much its price is compared"
    )
    measure_unit = models.CharField(max_length=5, blank=True, help_text="of both")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["owner", "item_id"], name="one_variant_per_item")]
        indexes = [
            models.Index(fields=["gtin"], name="variant_by_gtin", condition=~models.Q(gtin="")),
            models.Index(fields=["sku"], name="variant_by_sku", condition=~models.Q(sku="")),
        ]

    def __str__(self) -> str:
        return self.title or self.item_id

    @property
    def public_id(self) -> str:
        """`var_1`"""
        return public_id("var", self.pk)

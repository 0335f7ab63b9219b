"""Descriptions that the store drafted for a merchant, and what the merchant made of them."""

from __future__ import annotations

from django.db import models

from agentstore.kit.changes import ChangeByUser
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from marketplace.catalog.models.product import Product


class DescriptionDraft(models.Model):
    """A drafted description. Only a member of the merchant publishes it; what stood before is kept."""

    class Source(models.TextChoices):
        TEMPLATE = "template", "From a template"
        MODEL = "model", "By a language model"

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        DISCARDED = "discarded", "Discarded"
        UNDONE = "undone", "Taken back"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="drafts")
    drafted = models.TextField(help_text="as it was drafted")
    text = models.TextField(blank=True, help_text="as it was published")
    before = models.TextField(blank=True, help_text="the description that it took the place of")
    fed = models.TextField(
        blank=True, help_text="what the feed said then; a feed that still says so leaves it"
    )
    source = models.CharField(max_length=8, choices=Source.choices)
    model_name = models.CharField(max_length=120, blank=True)
    note = models.CharField(
        max_length=200, blank=True, help_text="why a template was used where a model was asked"
    )
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.DRAFT)
    created_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["product"], condition=models.Q(status="draft"), name="one_open_draft_per_product"
            )
        ]

    def __str__(self) -> str:
        return f"{self.product_id}: {self.status}"


class DescriptionDraftChange(ChangeByUser):
    """Who moved a draft to which status, and when."""

    draft = models.ForeignKey(DescriptionDraft, on_delete=models.CASCADE, related_name="changes")
    from_status = models.CharField(max_length=9, blank=True)
    to_status = models.CharField(max_length=9)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"

"""Texts of products that were judged: which are examined, which are marked, and every decision about them."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from agentstore.kit.changes import ChangeByUser
from agentstore.kit.clock import now
from marketplace.catalog.models.product import Product


class TextExamination(models.Model):
    """By which version of the detector a product's texts were examined; 0 since they changed.

    PostgreSQL makes the row with the product and sets it to 0 with every change of a text (triggers of the
    migration), so that no writer can forget to.
    """

    product = models.OneToOneField(
        Product, on_delete=models.CASCADE, primary_key=True, related_name="examination"
    )
    version = models.PositiveSmallIntegerField(default=0)
    failure = models.CharField(
        max_length=300, blank=True, db_default="", help_text="why that version could not examine it"
    )

    class Meta:
        indexes = [
            models.Index(fields=["version", "product"], name="examination_due"),
            models.Index(fields=["product"], condition=~models.Q(failure=""), name="examination_failed"),
        ]

    def __str__(self) -> str:
        return f"product {self.product_id}: {self.version}"


class MarkedText(models.Model):
    """A text of a product that tries to instruct or to press agents, with what gave it away."""

    class Status(models.TextChoices):
        OPEN = "open", "To be decided"
        NOTED = "noted", "Marked"
        KEPT = "kept", "Kept marked"
        CLEARED = "cleared", "Cleared"
        HIDDEN = "hidden", "Product hidden"
        GONE = "gone", "No longer there"

    # What agents are told of. A product that is hidden is in no answer.
    TOLD = (Status.OPEN, Status.NOTED, Status.KEPT)

    product = models.ForeignKey(
        Product, on_delete=models.CASCADE, related_name="marked_texts", db_index=False
    )
    field = models.CharField(max_length=80, help_text="as in answers: `description`, `attributes.material`")
    text = models.TextField(help_text="as it came, what cannot be seen included")
    kinds = ArrayField(models.CharField(max_length=16), default=list)
    score = models.FloatField(help_text="0 to 1")
    evidence = models.JSONField(default=list, help_text="signals with their weights, reasons and places")
    version = models.PositiveSmallIntegerField(help_text="of the detector")
    status = models.CharField(max_length=7, choices=Status.choices)
    hid_product = models.BooleanField(default=False, help_text="the product is withheld because of this text")
    asked_at = models.DateTimeField(null=True, blank=True, help_text="when its merchant asked for a review")
    found_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-changed_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["product", "field"], name="one_mark_per_field")]
        indexes = [models.Index(fields=["status", "-changed_at"], name="marked_text_by_status")]

    def __str__(self) -> str:
        return f"{self.field} of product {self.product_id}"

    @property
    def public_key(self) -> str:
        """Its number as text, for names in pages."""
        return str(self.pk)

    @property
    def last_change(self) -> MarkedTextChange | None:
        """The latest change of its status; costs nothing where `changes` was fetched ahead."""
        return max(self.changes.all(), key=lambda change: change.pk, default=None)

    @property
    def witnesses(self) -> list[dict[str, Any]]:
        """The signals that gave it away, the most convincing first."""
        return sorted(self.evidence, key=lambda hit: -hit["weight"])


class MarkedTextChange(ChangeByUser):
    """Which status a marked text left and which it entered, when, who did it and why; nobody is the detector."""

    marked_text = models.ForeignKey(MarkedText, on_delete=models.CASCADE, related_name="changes")
    from_status = models.CharField(max_length=7, blank=True)
    to_status = models.CharField(max_length=7, choices=MarkedText.Status.choices)
    reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"

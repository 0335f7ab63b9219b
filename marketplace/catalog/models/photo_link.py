"""Addresses of photographs that feeds name, and whether the store has them."""

from __future__ import annotations

from django.db import models

from agentstore.kit.clock import now
from marketplace.catalog.models.product import Media, Product


class PhotoLink(models.Model):
    """A photograph at an address of the merchant's. The store fetches it once; no shopper's browser ever does."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting to be fetched"
        DONE = "done", "In the store"
        FAILED = "failed", "Failed"

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="photo_links")
    url = models.CharField(max_length=2000)
    position = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.WAITING)
    message = models.CharField(max_length=200, blank=True, help_text="why not")
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=now)
    media = models.ForeignKey(Media, on_delete=models.SET_NULL, null=True, related_name="links")

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["product", "url"], name="one_link_per_address")]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(status="waiting"), name="photo_link_due")
        ]

    def __str__(self) -> str:
        return self.url

"""Addresses that merchants' feeds are fetched from, and what came of each time."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from marketplace.catalog.models.feed import FeedImport


class FeedSource(models.Model):
    """A feed at an address of the merchant's, fetched every so many hours."""

    class Every(models.IntegerChoices):
        HOUR = 1, "Every hour"
        THREE = 3, "Every three hours"
        SIX = 6, "Every six hours"
        HALF_DAY = 12, "Twice a day"
        DAY = 24, "Once a day"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    merchant = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="feed_sources")
    url = models.CharField(max_length=1000)
    format = models.CharField(max_length=5, choices=FeedImport.Format.choices, blank=True)
    every_hours = models.PositiveSmallIntegerField(choices=Every.choices, default=Every.DAY)
    active = models.BooleanField(default=True)
    etag = models.CharField(max_length=200, blank=True)
    last_modified = models.CharField(max_length=60, blank=True)
    due_at = models.DateTimeField(default=now)
    failures = models.PositiveSmallIntegerField(default=0, help_text="in a row")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["merchant", "url"], name="one_source_per_address")]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(active=True), name="feed_source_due")]

    def __str__(self) -> str:
        return self.url


class FeedPull(models.Model):
    """One time that a source was fetched, and what came of it."""

    class Outcome(models.TextChoices):
        RUNNING = "running", "Being fetched"
        IMPORTED = "imported", "Imported"
        UNCHANGED = "unchanged", "Unchanged"
        FAILED = "failed", "Failed"

    source = models.ForeignKey(FeedSource, on_delete=models.CASCADE, related_name="pulls")
    outcome = models.CharField(max_length=9, choices=Outcome.choices, default=Outcome.RUNNING)
    message = models.CharField(max_length=300, blank=True)
    size = models.BigIntegerField(default=0, help_text="bytes")
    feed_import = models.ForeignKey(FeedImport, on_delete=models.SET_NULL, null=True, related_name="pulls")
    started_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return f"{self.source_id}: {self.outcome}"

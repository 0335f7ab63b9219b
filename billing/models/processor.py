"""What the payment processor told us, each event once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agentstore.kit.clock import now


class WebhookEvent(models.Model):
    """One event in the inbox; handled when its work is committed, not before."""

    source = models.CharField(max_length=16, default="stripe")
    external_id = models.CharField(max_length=255)
    type = models.CharField(max_length=120)
    payload = models.JSONField()
    received_at = models.DateTimeField(default=now)
    handled_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="times its handling failed")
    last_error = models.TextField(blank=True)
    retry_at = models.DateTimeField(default=now, help_text="not handed out again before this")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="each_event_once"),
        ]
        indexes = [
            models.Index(fields=["retry_at"], condition=Q(handled_at__isnull=True), name="webhook_unhandled"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"

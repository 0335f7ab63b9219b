"""What organizations are told about money, each thing once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from agentstore.kit.clock import now


class Notice(models.Model):
    """A message to an organization's owners and admins; mailed by a task, shown on its money page."""

    key = models.CharField(max_length=200, help_text="what it is about: told once")
    owner_ref = models.CharField(max_length=64)
    subject = models.CharField(max_length=150)
    text = models.TextField()
    path = models.CharField(max_length=200, blank=True, help_text="the page in the store that it leads to")
    created_at = models.DateTimeField(default=now)
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(default=now, help_text="not tried again before this")

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["key"], name="each_notice_once")]
        indexes = [
            models.Index(fields=["retry_at"], condition=Q(sent_at__isnull=True), name="notice_unsent"),
            models.Index(fields=["owner_ref", "-created_at"], name="notice_by_owner"),
        ]

    def __str__(self) -> str:
        return self.subject

"""Rows that say who changed something, when and why. Abstract: each room has tables of its own."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agentstore.kit.clock import now


class Change(models.Model):
    """A change by somebody who is named in words: `user:<uuid>`, or the service that made it."""

    at = models.DateTimeField(default=now)
    by = models.CharField(max_length=64)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True
        ordering = ["at", "id"]


class ChangeByUser(models.Model):
    """A change by a person who may be gone since; None also for the store itself."""

    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=now)

    class Meta:
        abstract = True
        ordering = ["at", "id"]

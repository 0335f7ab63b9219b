"""What platforms say of themselves, as it was last fetched from their profiles' addresses."""

from __future__ import annotations

from django.db import models

from agentstore.kit.clock import now


class UcpProfile(models.Model):
    """The part of a platform's profile that the store goes by."""

    profile = models.CharField(max_length=300, unique=True, help_text="the address it was fetched from")
    version = models.CharField(max_length=10, help_text="of UCP, as it declares")
    capabilities = models.JSONField(default=dict, help_text="the versions of each capability by its name")
    keys = models.JSONField(default=list, help_text="its public keys, as JWK")
    webhook_url = models.CharField(max_length=1000, blank=True, help_text="where it wants orders' events")
    etag = models.CharField(max_length=200, blank=True)
    added_at = models.DateTimeField(default=now, db_index=True)
    fetched_at = models.DateTimeField(default=now, db_index=True)
    fresh_until = models.DateTimeField()

    class Meta:
        ordering = ["profile"]
        verbose_name = "fetched UCP profile"

    def __str__(self) -> str:
        return self.profile

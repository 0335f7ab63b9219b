"""Who shops, and what they agreed to."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id


class Shopper(models.Model):
    """A person who shops, signed in or not. Agents see a different pseudonym each, never this id."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="shopper"
    )
    country = models.CharField(max_length=2, default="US", help_text="ISO 3166-1 alpha-2, where to ship")
    birth_year = models.PositiveSmallIntegerField(null=True, blank=True, help_text="for age limits; optional")
    facts = models.JSONField(
        default=dict, blank=True, help_text="sizes and likes, as the shopper wrote them; for consented agents"
    )
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return str(self.id)


class Consent(models.Model):
    """What a shopper allowed agents to know or do, and when they took it back."""

    class Scope(models.TextChoices):
        PROFILE = "profile", "Sizes, likes and past purchases"
        PHOTOS = "photos", "Photos sent in a conversation"

    shopper = models.ForeignKey(Shopper, on_delete=models.CASCADE, related_name="consents")
    scope = models.CharField(max_length=10, choices=Scope.choices)
    given_at = models.DateTimeField(default=now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-given_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["shopper", "scope"],
                condition=models.Q(withdrawn_at__isnull=True),
                name="one_consent_in_force",
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} since {self.given_at:%Y-%m-%d}"

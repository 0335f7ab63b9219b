"""Price versions: dated sets of fees, immutable once they are no draft any more (migration 0002)."""

from __future__ import annotations

from functools import cached_property

from django.db import models

from agentstore.kit.changes import Change
from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money

# An agent tax is never more than 20 % of the sale.
MAX_TAX_PPM = 200_000


class PriceVersion(models.Model):
    """A set of fees in force from `effective_at` until the next one's."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        ANNOUNCED = "announced", "Announced"
        IN_FORCE = "in_force", "In force"
        SUPERSEDED = "superseded", "Superseded"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=60, unique=True)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.DRAFT)
    created_at = models.DateTimeField(default=now)
    announced_at = models.DateTimeField(null=True, blank=True)
    effective_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="when organizations were told of it")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["currency", "effective_at"],
                condition=~models.Q(status="withdrawn"),
                name="one_price_version_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["draft", "withdrawn"])
                | models.Q(announced_at__isnull=False, effective_at__isnull=False),
                name="announced_prices_have_dates",
            ),
        ]
        indexes = [models.Index(fields=["currency", "-effective_at"], name="price_version_by_time")]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def _rules(self) -> dict[tuple[str, str], PriceRule]:
        return {(rule.kind, rule.category): rule for rule in self.rules.all()}

    def rule(self, kind: str, category: str) -> PriceRule:
        """The rule of a category, or the default one. Raises NotFound where there is neither."""
        rule = self._rules.get((kind, category)) or self._rules.get((kind, ""))
        if rule is None:
            raise NotFound(f"Price version {self.name} has no {kind} fee.", hint="Give it a default rule.")
        return rule

    def ppcv(self, category: str) -> Money:
        """The PPCv fee of a category, or the default one."""
        return Money(self.rule(PriceRule.Kind.PPCV, category).amount_micros or 0, self.currency)

    def tax_ppm(self, category: str) -> int:
        """The agent tax of a category, in parts per million of the sale."""
        return self.rule(PriceRule.Kind.AGENT_TAX, category).rate_ppm or 0

    def share_ppm(self, category: str = "") -> int:
        """The developer's part of either fee, in parts per million of it."""
        return self.rule(PriceRule.Kind.DEVELOPER_SHARE, category).rate_ppm or 0


class PriceRule(models.Model):
    """One fee of a version: an amount for PPCv, a rate for the others. Category "" is the default."""

    class Kind(models.TextChoices):
        PPCV = "ppcv", "Pay per conversation"
        AGENT_TAX = "agent_tax", "Agent tax"
        DEVELOPER_SHARE = "developer_share", "Developer share"

    version = models.ForeignKey(PriceVersion, on_delete=models.PROTECT, related_name="rules")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    category = models.CharField(max_length=160, blank=True, default="")
    amount_micros = models.BigIntegerField(null=True, blank=True)
    rate_ppm = models.IntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "kind", "category"], name="one_rule_per_category"),
            models.CheckConstraint(
                condition=models.Q(kind="ppcv", amount_micros__gte=0, rate_ppm__isnull=True)
                | models.Q(kind="agent_tax", amount_micros__isnull=True, rate_ppm__range=(0, MAX_TAX_PPM))
                | models.Q(
                    kind="developer_share", amount_micros__isnull=True, rate_ppm__range=(0, 1_000_000)
                ),
                name="rule_fits_its_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.category or 'all'}"


class PriceVersionChange(Change):
    """A price version's status changed: who, when, why."""

    version = models.ForeignKey(PriceVersion, on_delete=models.PROTECT, related_name="changes")
    status = models.CharField(max_length=12, choices=PriceVersion.Status.choices)
    by = models.CharField(max_length=64, help_text="user:<uuid> or the service's name")

    def __str__(self) -> str:
        return f"{self.version_id} {self.status}"

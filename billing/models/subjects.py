"""What fees came to on a day, for each merchant, developer and agent."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class SubjectTotal(models.Model):
    """The fees of one day added up for one subject. Only its role's references are filled, and an agent's studio.

    Kept by the roll-up below the same mark as the balances. A merchant's, developer's or agent's day is the one on
    which the journal was posted (UTC), as in DayTotal; a pair's is the one on which the event happened, and a fee that
    was taken back comes off that day.
    """

    class Role(models.TextChoices):
        MERCHANT = "merchant", "Merchant"
        DEVELOPER = "developer", "Developer"
        AGENT = "agent", "Agent"
        PAIR = "pair", "Merchant and agent"

    # The journals that are of one usage event each, and whether they take it back.
    JOURNALS: ClassVar[dict[str, int]] = {
        "ppcv": 1,
        "ppcv_reversal": -1,
        "credit_note": -1,
        "agent_tax": 1,
        "tax_reversal": 1,
    }

    role = models.CharField(max_length=9, choices=Role.choices)
    currency = models.CharField(max_length=3)
    day = models.DateField()
    merchant_ref = models.CharField(max_length=64, blank=True)
    developer_ref = models.CharField(max_length=64, blank=True)
    agent_ref = models.CharField(max_length=64, blank=True)
    journal_kind = models.CharField(max_length=32)
    fee_micros = models.BigIntegerField(
        default=0, help_text="what merchants were charged; negative: given back"
    )
    share_micros = models.BigIntegerField(default=0, help_text="the developers' part of it")
    journals = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("role", "currency", "day", "merchant_ref", "developer_ref", "agent_ref"),
                    "journal_kind",
                ],
                name="one_subject_total_a_day",
            ),
        ]
        indexes = [
            models.Index(
                fields=["merchant_ref", "role", "day"],
                condition=~Q(merchant_ref=""),
                name="subject_of_merchant",
            ),
            models.Index(
                fields=["developer_ref", "role", "day"],
                condition=~Q(developer_ref=""),
                name="subject_of_developer",
            ),
        ]

    def __str__(self) -> str:
        who = self.merchant_ref or self.developer_ref or self.agent_ref
        return f"{self.day:%Y-%m-%d} {self.role} {who} by {self.journal_kind}"

    @staticmethod
    def is_ppcv(journal_kind: str) -> bool:
        """Whether a kind of journal is of fees for conversations; the others are of agent tax."""
        return journal_kind in ("ppcv", "ppcv_reversal", "credit_note")

"""What people fill in on the money pages."""

from __future__ import annotations

from decimal import Decimal

from django import forms

from agentstore.kit.money import Money
from billing.models import MerchantBudget


class BudgetForm(forms.Form):
    """A merchant's monthly cap on PPCv, and what happens at it."""

    cap = forms.DecimalField(
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        label="At most per month",
        help_text="Fees stop exactly here, to the last cent. 0 pays for nothing.",
    )
    at_cap = forms.ChoiceField(
        choices=MerchantBudget.AtCap.choices,
        label="When it is reached",
        widget=forms.RadioSelect,
    )

    def money(self, currency: str) -> Money:
        """The cap that was filled in."""
        return Money.from_decimal(self.cleaned_data["cap"], currency)

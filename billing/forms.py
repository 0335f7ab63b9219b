"""What people fill in on the money pages."""

from __future__ import annotations

from decimal import Decimal

from django import forms

from agentstore.kit.money import Money
from billing.models import BillingParty, MerchantBudget


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


class BillingPartyForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    """Whom a merchant's invoices are for, and where it is taxed."""

    class Meta:
        model = BillingParty
        fields = ["name", "email", "line1", "postal_code", "city", "state", "country", "tax_exempt"]
        help_texts = {"country": "Two letters, such as DE or US.", "state": "Needed in the United States."}

    def clean_country(self) -> str:
        """Two capital letters."""
        country = str(self.cleaned_data["country"]).upper()
        if len(country) != 2 or not country.isascii() or not country.isalpha():
            raise forms.ValidationError("Write the country as two letters, such as DE.")
        return country

"""What people fill in on the money pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

from django import forms

from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from billing.models import BillingParty, MerchantBudget, MerchantFunding


class BudgetForm(forms.Form):
    """A merchant's caps on PPCv, and what happens at them."""

    cap = forms.DecimalField(
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        label="At most per month",
        help_text="Fees stop exactly here, to the last cent. 0 pays for nothing.",
    )
    day_cap = forms.DecimalField(
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        required=False,
        label="At most per day",
        help_text="A day is one of UTC. Without it the month's cap alone counts.",
    )
    at_cap = forms.ChoiceField(
        choices=MerchantBudget.AtCap.choices,
        label="When it is reached",
        widget=forms.RadioSelect,
    )

    def money(self, currency: str) -> Money:
        """The month's cap that was filled in."""
        return Money.from_decimal(self.cleaned_data["cap"], currency)

    def day_money(self, currency: str) -> Money | None:
        """The day's cap, None where there is to be none."""
        cap = self.cleaned_data["day_cap"]
        return None if cap is None else Money.from_decimal(cap, currency)


class FundingForm(forms.Form):
    """How a merchant pays for conversations, and when it wants to be told that little is left."""

    mode = forms.ChoiceField(
        choices=MerchantFunding.Mode.choices, label="Conversations are paid", widget=forms.RadioSelect
    )
    alert_below = forms.DecimalField(
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=2,
        label="Tell us when less is left than",
        help_text="Of the balance or the credit limit, held fees taken off. 0 tells only when nothing fits any more.",
    )


class TopUpForm(forms.Form):
    """Paying into the balance with a card."""

    amount = forms.DecimalField(
        min_value=Decimal("0.01"), max_value=Decimal(100_000), decimal_places=2, label="Amount"
    )

    def __init__(self, *args: Any, methods: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["payment_method"] = forms.ChoiceField(
            label="Card", widget=forms.RadioSelect, choices=list(methods.items())
        )


class CreditForm(forms.Form):
    """Up to which amount a merchant may owe the store."""

    limit = forms.DecimalField(
        min_value=Decimal(0), max_value=Decimal(10_000_000), decimal_places=2, label="Credit limit",
        help_text="What is owed and held together never passes it.",
    )  # fmt: skip
    reason = forms.CharField(max_length=200, label="Reason")

    def __init__(self, *args: Any, merchants: Iterable[Organization], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["merchant"] = forms.ChoiceField(
            label="Merchant", choices=[(str(merchant.pk), merchant.name) for merchant in merchants]
        )
        self.order_fields(["merchant", "limit", "reason"])


class BillingPartyForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    """Whom a merchant's invoices are for, and where it is taxed."""

    class Meta:
        model = BillingParty
        # Not `tax_exempt`: the store answers for a tax that it does not take, so operators set it who saw the proof.
        fields = ["name", "email", "line1", "postal_code", "city", "state", "country"]
        help_texts = {"country": "Two letters, such as DE or US.", "state": "Needed in the United States."}

    def clean_country(self) -> str:
        """Two capital letters."""
        country = str(self.cleaned_data["country"]).upper()
        if len(country) != 2 or not country.isascii() or not country.isalpha():
            raise forms.ValidationError("Write the country as two letters, such as DE.")
        return country

    def save(self, commit: bool = True) -> BillingParty:
        """Another country is another tax: what was proved for the one before holds no longer."""
        if "country" in self.changed_data:
            self.instance.tax_exempt = BillingParty.TaxExempt.NONE
        return cast(BillingParty, super().save(commit))


class DisputeForm(forms.Form):
    """What is wrong with a charge."""

    reason = forms.CharField(
        max_length=2000, widget=forms.Textarea(attrs={"rows": 4}), label="What is wrong with it?"
    )


class VerdictForm(forms.Form):
    """Why a disputed charge is credited or stands."""

    note = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="Why",
        help_text="The merchant reads this.",
    )


class ReasonForm(forms.Form):
    """Why an incident is resolved."""

    reason = forms.CharField(
        max_length=200,
        label="Why it is resolved",
        help_text="Kept for whoever audits this. Only something new opens it again.",
    )


class PayoutCountryForm(forms.Form):
    """Where a studio is, which decides what the processor asks of it."""

    country = forms.CharField(
        min_length=2,
        max_length=2,
        label="Country",
        help_text="Two letters, such as DE. It can't be changed later.",
    )

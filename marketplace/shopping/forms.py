"""What shoppers and merchants fill in around orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from agentstore.kit.money import Money
from marketplace.shopping.checkouts import Address
from marketplace.shopping.models import Order


class AddressForm(forms.Form):
    """Where to send it, and the total that the page showed."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "shipping name"}))
    street = forms.CharField(
        label="Street and number",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "shipping street-address"}),
    )
    postal_code = forms.CharField(
        max_length=20, widget=forms.TextInput(attrs={"autocomplete": "shipping postal-code"})
    )
    city = forms.CharField(
        max_length=120, widget=forms.TextInput(attrs={"autocomplete": "shipping address-level2"})
    )
    country = forms.RegexField(
        regex=r"^[A-Za-z]{2}$",
        help_text="Two letters, as in US or DE.",
        error_messages={"invalid": "A country is two letters, as in US or DE."},
        widget=forms.TextInput(attrs={"autocomplete": "shipping country", "maxlength": 2}),
    )
    agreed_micros = forms.IntegerField(widget=forms.HiddenInput)

    def address(self) -> Address:
        """The address of a valid form."""
        data = self.cleaned_data
        return Address(
            name=data["name"],
            street=data["street"],
            city=data["city"],
            postal_code=data["postal_code"],
            country=data["country"].upper(),
        )


class RefundForm(forms.Form):
    """How many of each line, and why. Lines with nothing left are not asked for."""

    reason = forms.CharField(label="Why?", max_length=200)

    def __init__(self, *args: Any, order: Order, left: Mapping[int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lines = [line for line in order.lines.all() if left.get(line.pk, 0) > 0]
        for line in self._lines:
            most = left[line.pk]
            # Some of an item may have been bought at a negotiated price, the others not.
            each = Money(line.unit_price_micros, order.currency)
            self.fields[f"line_{line.pk}"] = forms.IntegerField(
                label=f"{line.title}, {each} each", min_value=0, max_value=most, initial=most,
                help_text=f"0 to {most}",
            )  # fmt: skip
        self.order_fields([*(f"line_{line.pk}" for line in self._lines), "reason"])

    def quantities(self) -> dict[int, int]:
        """By line id, how many, of a valid form."""
        return {line.pk: self.cleaned_data[f"line_{line.pk}"] for line in self._lines}

"""What merchants fill in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from agentstore.kit.money import Money
from marketplace.catalog.feeds.intake import FeedTooLarge, UnknownFormat, check_upload
from marketplace.catalog.hostile.decisions import DECISIONS
from marketplace.catalog.models import FeedImport, FeedSource, Offer
from marketplace.catalog.offers import MOST_STOCK


class MerchantForm(forms.Form):
    """A new merchant."""

    name = forms.CharField(label="Name of the shop", max_length=120)


class FeedForm(forms.Form):
    """A feed to import."""

    file = forms.FileField(
        label="Feed file",
        help_text="CSV, TSV or JSON Lines, gzipped or not; the first line names the columns.",
    )
    format = forms.ChoiceField(
        label="Format",
        choices=[("", "Told by the file's name"), *FeedImport.Format.choices],
        required=False,
    )
    dry_run = forms.BooleanField(
        label="Only show what would change",
        required=False,
        help_text="Nothing is changed; you can import it from the report.",
    )

    def clean(self) -> dict[str, Any]:
        """Refuses what could not be imported anyway."""
        cleaned = super().clean() or {}
        if file := cleaned.get("file"):
            try:
                check_upload(filename=file.name, size=file.size, format=cleaned.get("format", ""))
            except (UnknownFormat, FeedTooLarge) as refused:
                self.add_error("file", f"{refused.message} {refused.hint}")
        return cleaned


class SourceForm(forms.Form):
    """A feed at an address."""

    url = forms.CharField(
        label="Address",
        max_length=1000,
        widget=forms.URLInput,
        help_text="https://… on the public internet, up to 1 GB within ten minutes.",
    )
    every_hours = forms.TypedChoiceField(
        label="How often", choices=FeedSource.Every.choices, coerce=int, initial=FeedSource.Every.DAY
    )
    format = forms.ChoiceField(
        label="Format",
        choices=[("", "Told by the address or the answer"), *FeedImport.Format.choices],
        required=False,
    )


class OfferForm(forms.Form):
    """Price, stock and switch of one offer, in its own currency."""

    # A form may have been open for long: what it showed comes back with it.
    price = forms.DecimalField(
        label="Price",
        min_value=Decimal("0.01"),
        max_digits=12,
        decimal_places=2,
        show_hidden_initial=True,
    )
    list_price = forms.DecimalField(
        label="Price before the sale",
        required=False,
        min_value=Decimal("0.01"),
        max_digits=12,
        decimal_places=2,
        show_hidden_initial=True,
    )
    stock = forms.IntegerField(
        label="Items in stock",
        min_value=0,
        max_value=MOST_STOCK,
        show_hidden_initial=True,
        help_text="What you have, with what open checkouts hold.",
    )
    active = forms.BooleanField(label="Offered in the store", required=False)
    reason = forms.CharField(
        label="Why", max_length=200, required=False, help_text="Kept in this offer's history."
    )

    @classmethod
    def of(cls, offer: Offer) -> OfferForm:
        """Filled in with an offer as it is."""
        shown = offer.list_price
        return cls(
            initial={
                "price": offer.price.decimal,
                "list_price": shown.decimal if shown else None,
                "stock": offer.on_hand,
                "active": offer.active,
            }
        )

    def money(self, name: str, currency: str) -> Money | None:
        """A cleaned amount as money."""
        amount = self.cleaned_data[name]
        return None if amount is None else Money.from_decimal(amount, currency)

    @property
    def has_new_price(self) -> bool:
        """Whether the price or the one before the sale is another than was shown."""
        return not {"price", "list_price"}.isdisjoint(self.changed_data)

    @property
    def shown_stock(self) -> int | None:
        """The stock that was shown; None where the request does not say."""
        try:
            shown: int = self.fields["stock"].clean(self.data.get(self["stock"].html_initial_name))
        except forms.ValidationError:
            return None
        return shown


class TextDecisionForm(forms.Form):
    """What becomes of a marked text."""

    decision = forms.ChoiceField(choices=[(name, label) for name, (_, label) in DECISIONS.items()])
    reason = forms.CharField(
        label="Reason",
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=2_000,
        help_text="Kept; its merchant reads it.",
    )


class DescriptionForm(forms.Form):
    """A description as the merchant leaves it."""

    text = forms.CharField(label="Description", max_length=20_000, widget=forms.Textarea(attrs={"rows": 8}))


class PhotoForm(forms.Form):
    """A photograph of a product."""

    photo = forms.FileField(label="Photograph", help_text="JPEG, PNG, WebP or GIF, up to 10 MB.")

    def clean_photo(self) -> Any:
        """Refuses what is too large to be looked at."""
        photo = self.cleaned_data["photo"]
        if photo.size > 10_000_000:
            raise forms.ValidationError("The photograph has more than 10 MB.")
        return photo

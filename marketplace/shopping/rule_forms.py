"""What merchants fill in about negotiation."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings

from agentstore.identity.models import Organization
from agentstore.kit.money import Money
from marketplace.catalog.shelf import categories_of, find_offer
from marketplace.shopping.models import NegotiationRule
from marketplace.shopping.negotiation import Break, InvalidTerms, Terms
from marketplace.shopping.negotiation.rules import Target

_BREAK = re.compile(r"(\d{1,6})\s*[:=]\s*(\d{1,2}(?:\.\d{1,4})?)\s*%?")
_CENT = Decimal("0.01")


def _percent(label: str, **more: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, min_value=Decimal(0), max_value=Decimal(90), max_digits=6, decimal_places=4, **more
    )


def _instant(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, required=False, widget=widget)


def _price(label: str, **more: Any) -> forms.DecimalField:
    return forms.DecimalField(label=label, min_value=_CENT, max_digits=12, decimal_places=2, **more)


class TermsForm(forms.Form):
    """How far a rule goes, and when. `terms` holds them once it is valid."""

    off = _percent("Most off one piece, in per cent", help_text="0 means that this is not negotiated.")
    floor = _price(
        "Never below", required=False, help_text="The lowest price of one piece, whatever the percentages."
    )
    rounds = forms.IntegerField(label="Rounds", min_value=1, max_value=10, initial=3)
    step = _percent("Off with each round, in per cent", initial=5)
    breaks = forms.CharField(
        label="More off for more pieces",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="A line each, pieces and per cent: 5: 12.5",
    )
    valid_from = _instant("From (UTC)")
    valid_to = _instant("Until (UTC)")
    from_hour = forms.IntegerField(label="From hour (UTC)", required=False, min_value=0, max_value=23)
    to_hour = forms.IntegerField(label="Until hour (UTC)", required=False, min_value=0, max_value=23)
    least_stock = forms.IntegerField(
        label="Only while so many are in stock", required=False, min_value=0, max_value=1_000_000_000
    )
    active = forms.BooleanField(label="In force", required=False, initial=True)
    reason = forms.CharField(label="Why", max_length=200, required=False, help_text="Kept in its history.")

    terms: Terms

    @classmethod
    def of(cls, rule: NegotiationRule) -> TermsForm:
        """Filled in with a rule as it is."""
        terms = rule.terms
        return cls(
            initial={
                "off": _shown(terms.off_ppm), "step": _shown(terms.step_ppm), "rounds": terms.rounds,
                "floor": terms.floor.decimal.quantize(_CENT) if terms.floor else None,
                "breaks": "\n".join(f"{b.quantity}: {_shown(b.off_ppm)}" for b in terms.breaks),
                "valid_from": terms.valid_from, "valid_to": terms.valid_to,
                "from_hour": terms.from_hour, "to_hour": terms.to_hour,
                "least_stock": terms.least_stock or None, "active": rule.active,
            }
        )  # fmt: skip

    def clean_breaks(self) -> tuple[Break, ...]:
        """The lines as quantities and rates."""
        breaks = []
        for line in filter(None, map(str.strip, self.cleaned_data["breaks"].splitlines())):
            match = _BREAK.fullmatch(line)
            if match is None:
                raise forms.ValidationError(f"“{line[:40]}” is not of the form “5: 12.5”.")
            breaks.append(Break(int(match[1]), _ppm(Decimal(match[2]))))
        return tuple(breaks)

    def clean(self) -> dict[str, Any]:
        """Refuses terms that contradict themselves."""
        data = super().clean() or {}
        if not self.errors:
            floor = data["floor"]
            try:
                self.terms = Terms(
                    off_ppm=_ppm(data["off"]), step_ppm=_ppm(data["step"]), rounds=data["rounds"],
                    floor=None if floor is None else Money.from_decimal(floor, settings.STORE_CURRENCY),
                    breaks=data["breaks"], valid_from=data["valid_from"], valid_to=data["valid_to"],
                    from_hour=data["from_hour"], to_hour=data["to_hour"],
                    least_stock=data["least_stock"] or 0,
                )  # fmt: skip
            except InvalidTerms as refused:
                self.add_error(None, refused.message)
        return data


class RuleForm(TermsForm):
    """A new rule: what it is for, and its terms. `target` holds the former once it is valid."""

    applies_to = forms.ChoiceField(
        label="For",
        choices=[
            ("offer", "One item"),
            ("product", "A product with all its variants"),
            ("category", "A category"),
        ],
    )
    item = forms.CharField(
        label="Item id, SKU or GTIN", max_length=120, required=False, help_text="For an item or its product."
    )

    target: Target

    def __init__(self, *args: Any, merchant: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._merchant = merchant
        self.fields["category"] = forms.ModelChoiceField(
            queryset=categories_of(merchant), required=False, empty_label="None"
        )

    def clean(self) -> dict[str, Any]:
        """Finds what the rule is for."""
        data = super().clean()
        if data.get("applies_to") == "category":
            if data.get("category") is None:
                self.add_error("category", "Choose the category.")
            else:
                self.target = data["category"]
            return data
        offer = find_offer(self._merchant, data.get("item", ""))
        if offer is None:
            self.add_error("item", "None of your items has this id.")
        else:
            self.target = offer if data.get("applies_to") == "offer" else offer.variant.product
        return data


class SimulatorForm(forms.Form):
    """An item, how many of it, and what an agent proposes for each."""

    item = forms.CharField(label="Item id, SKU or GTIN", max_length=120)
    quantity = forms.IntegerField(label="Pieces", min_value=1, max_value=100_000, initial=1)
    proposed = _price("Proposed for one")

    def __init__(self, *args: Any, merchant: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._merchant = merchant

    def clean_item(self) -> int:
        """The offer's number."""
        offer = find_offer(self._merchant, self.cleaned_data["item"])
        if offer is None:
            raise forms.ValidationError("None of your items has this id.")
        return offer.pk

    def proposal(self) -> Money:
        """The price of a valid form."""
        return Money.from_decimal(self.cleaned_data["proposed"], settings.STORE_CURRENCY)


def _ppm(percent: Decimal) -> int:
    return int(percent * 10_000)


def _shown(ppm: int) -> str:
    return f"{ppm / 10_000:g}"

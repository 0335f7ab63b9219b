"""What an operator fills in to draft and announce prices."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.forms.formsets import BaseFormSet

from agentstore.kit.money import MICRO
from billing.models import PriceRule, PriceVersion
from billing.models.pricing import MAX_TAX_PPM
from billing.pricing import Terms

_PPM_OF_PERCENT = 10_000
_Kind = PriceRule.Kind


class NameForm(forms.Form):
    """What new prices are called."""

    name = forms.CharField(max_length=60, label="Name", help_text="Merchants and developers read it.")


class CategoryTermsForm(forms.Form):
    """The fees of one category. What is left empty follows the default; the default leaves nothing empty."""

    category = forms.CharField(max_length=160, required=False, label="Category")
    ppcv = forms.DecimalField(min_value=0, decimal_places=6, max_digits=12, required=False, label="PPCv fee")
    agent_tax = forms.DecimalField(
        min_value=0, max_value=MAX_TAX_PPM // _PPM_OF_PERCENT, decimal_places=4, required=False,
        label="Agent tax, percent",
    )  # fmt: skip
    developer_share = forms.DecimalField(
        min_value=0, max_value=100, decimal_places=4, required=False, label="Developer share, percent"
    )

    def terms(self, *, category: str) -> Iterator[Terms]:
        """The terms that were filled in."""
        for kind in _Kind:
            value: Decimal | None = self.cleaned_data.get(kind.value)
            if value is not None:
                yield Terms(
                    kind.value, int(value * (MICRO if kind == _Kind.PPCV else _PPM_OF_PERCENT)), category
                )


if TYPE_CHECKING:
    # Generic for the type checker only; Django's own formsets can't be subscripted.
    _TermsFormSet = BaseFormSet[CategoryTermsForm]
else:
    _TermsFormSet = BaseFormSet


class _CategoryTermsFormSet(_TermsFormSet):
    """The default first, then the categories that have fees of their own, then room for more."""

    def add_fields(self, form: CategoryTermsForm, index: int | None) -> None:
        """The default needs all its fees."""
        super().add_fields(form, index)
        if index == 0:
            for kind in _Kind:
                form.fields[kind.value].required = True

    def clean(self) -> None:
        """Each category is named once, and no fee is without one."""
        if any(self.errors):
            return
        others = self.forms[1:]
        names = [form.cleaned_data.get("category", "").strip() for form in others if form.has_changed()]
        filled = [name for name in names if name]
        if len(set(filled)) != len(filled):
            raise forms.ValidationError("A category is named twice.")
        for form in others:
            given = [form.cleaned_data.get(kind.value) for kind in _Kind]
            if not form.cleaned_data.get("category") and any(value is not None for value in given):
                raise forms.ValidationError("Fees need a category.")


CategoryTermsFormSet = forms.formset_factory(CategoryTermsForm, formset=_CategoryTermsFormSet, extra=3)


def terms_of(rows: BaseFormSet[CategoryTermsForm]) -> list[Terms]:
    """What was filled in, in a formset that is valid."""
    first, *others = rows.forms
    found = list(first.terms(category=""))
    for form in others:
        category = form.cleaned_data.get("category", "").strip()
        if category:
            found += form.terms(category=category)
    return found


def initial_terms(version: PriceVersion | None) -> list[dict[str, Any]]:
    """A version's rules as the formset shows them; an empty default without one."""
    rows: dict[str, dict[str, Any]] = {"": {"category": ""}}
    for rule in sorted(version.rules.all(), key=lambda rule: rule.category) if version else ():
        row = rows.setdefault(rule.category, {"category": rule.category})
        if rule.rate_ppm is None:
            row[rule.kind] = (Decimal(rule.amount_micros or 0) / MICRO).normalize()
        else:
            row[rule.kind] = (Decimal(rule.rate_ppm) / _PPM_OF_PERCENT).normalize()
    return [
        {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in rows.values()
    ]


class AnnounceForm(forms.Form):
    """The day that prices come into force on, and why they change."""

    day = forms.DateField(
        label="In force from",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="At 00:00 UTC of that day.",
    )
    reason = forms.CharField(max_length=200, required=False, label="Why", help_text="Kept with the version.")

"""Forms of the developers' and operators' pages."""

from __future__ import annotations

from typing import Any

from django import forms


class StudioForm(forms.Form):
    """A new developer studio."""

    name = forms.CharField(
        label="Name of your studio", max_length=120, help_text="Shoppers see it beside your agents."
    )


class BundleForm(forms.Form):
    """A bundle to submit."""

    bundle = forms.FileField(
        label="Agent bundle (.zip or .tar.gz)",
        help_text="Choose the file or drop it on the field. It has agent.toml at its top; "
        "<code>agentstore pack</code> makes one.",
        widget=forms.FileInput(attrs={"accept": ".zip,.tar,.gz,.tgz"}),
        error_messages={"required": "Choose the bundle to upload.", "empty": "This file is empty."},
    )
    notes = forms.CharField(
        label="Release notes",
        required=False,
        max_length=4000,
        help_text="What is new. The operator who reviews it reads this first.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class ListingForm(forms.Form):
    """The words of an agent's listing."""

    tagline = forms.CharField(
        label="Tagline", max_length=160, help_text="One line under its name in the store."
    )
    description = forms.CharField(
        label="Description", required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 6})
    )


class DecisionForm(forms.Form):
    """An operator's decision about a submission."""

    APPROVE, REJECT = "approve", "reject"

    decision = forms.ChoiceField(
        choices=[(APPROVE, "Approve"), (REJECT, "Reject")], widget=forms.HiddenInput, initial=REJECT
    )
    note = forms.CharField(
        label="Note to the developer",
        required=False,
        max_length=4000,
        help_text="Mailed with the decision. A rejection needs one: say what has to change.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean(self) -> dict[str, Any]:
        """A rejection without a note is told beside the field."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("decision") == self.REJECT and not cleaned.get("note", "").strip():
            self.add_error("note", "A rejection needs a note that says what has to change.")
        return cleaned

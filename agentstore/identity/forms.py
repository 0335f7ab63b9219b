"""What people may type about themselves and their organizations."""

from __future__ import annotations

from typing import Any

from django import forms

from agentstore.identity.models import Membership, Organization


class ProfileForm(forms.Form):
    """A person's own page."""

    name = forms.CharField(
        max_length=120, required=False, help_text="What other members of your organizations see."
    )


class TokenForm(forms.Form):
    """A new access token."""

    name = forms.CharField(max_length=80, help_text="What it is for, such as “stock from the warehouse”.")


class OrganizationForm(forms.Form):
    """A new organization."""

    kind = forms.ChoiceField(
        choices=[
            (Organization.Kind.DEVELOPER, "A developer studio: publish shopping agents"),
            (Organization.Kind.MERCHANT, "A merchant: sell products through agents"),
        ],
        widget=forms.RadioSelect,
        label="What will it do?",
    )
    name = forms.CharField(max_length=120, help_text="Shoppers see it. It can't be changed here later.")
    country = forms.RegexField(
        r"^[A-Za-z]{2}$",
        initial="US",
        help_text="Two letters, such as US or DE.",
        error_messages={"invalid": "Write the two letters of the country's ISO code, such as US or DE."},
    )

    def clean_country(self) -> str:
        """ISO 3166-1 alpha-2 codes are capitals."""
        return str(self.cleaned_data["country"]).upper()


class InviteForm(forms.Form):
    """Somebody to join, by address."""

    email = forms.EmailField(label="E-mail address")
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.MEMBER)

    def __init__(self, *args: Any, may_invite_owners: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_invite_owners:
            offered = [choice for choice in Membership.Role.choices if choice[0] != Membership.Role.OWNER]
            self.fields["role"] = forms.ChoiceField(choices=offered, initial=Membership.Role.MEMBER)


class RoleForm(forms.Form):
    """A member's role."""

    role = forms.ChoiceField(choices=Membership.Role.choices)

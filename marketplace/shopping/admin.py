"""Shopping in the administration: the platforms whose signatures are believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from agentstore.kit.errors import Invalid
from marketplace.shopping.models import UcpPlatform
from marketplace.shopping.ucp.callers import require_https
from marketplace.shopping.ucp.platforms import check_keys, register_platform

T = TypeVar("T")


class PlatformForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """A platform with its public keys."""

    class Meta:
        model = UcpPlatform
        fields = ("profile", "keys", "must_sign")

    def clean_profile(self) -> str:
        """The address of a profile."""
        return _said(lambda: require_https(self.cleaned_data["profile"]))

    def clean_keys(self) -> list[dict[str, Any]]:
        """Public keys."""
        keys = self.cleaned_data["keys"]
        _said(lambda: check_keys(keys))
        return list(keys)


def _said(check: Callable[[], T]) -> T:
    """A refusal of ours in the form's own way."""
    try:
        return check()
    except Invalid as refused:
        raise forms.ValidationError(f"{refused.message} {refused.hint}") from refused


@admin.register(UcpPlatform)
class UcpPlatformAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Entered and changed by the operator; their word goes before what a profile says."""

    form = PlatformForm
    list_display = ("profile", "must_sign", "added_at")
    search_fields = ("profile",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The name stays: carts and checkouts hang on it."""
        return ("profile",) if obj else ()

    def save_model(self, request: HttpRequest, obj: UcpPlatform, form: Any, change: bool) -> None:
        """Through the service, as everywhere."""
        obj.pk = register_platform(profile=obj.profile, keys=obj.keys, must_sign=obj.must_sign).pk
